//! Looking up a recorded exchange, and saying what it is to a policy.

use authorize::{Object, Person};
use gateway::Gateway;
use model::{Code, ExchangeId, Refusal, ResourceName};
use record::{Exchange, LedgerError, Reader, opened};

/// What was looked up before a call was judged.
pub(crate) enum Recall {
    /// Nothing had to be.
    Nothing,
    /// What somebody wishes.
    Wish(gateway::Wish),
    /// A membership.
    Grant(Box<authenticate::standing::Grant>),
    /// A recorded exchange.
    Found(Box<Recalled>),
    /// An approval.
    Approval(Box<approve::Approval>),
    /// There is none by that id.
    Missing,
    /// There are several whose ids begin like that.
    Ambiguous,
}

/// A recorded exchange with the reader of its frames.
pub(crate) struct Recalled {
    pub(crate) id: ExchangeId,
    pub(crate) exchange: Exchange,
    pub(crate) reader: Reader,
}

impl Recall {
    /// What was found.
    ///
    /// # Errors
    /// `not_found`, with what to do where the id was only too short.
    pub(crate) fn found(self) -> Result<Recalled, Refusal> {
        match self {
            Self::Found(recalled) => Ok(*recalled),
            Self::Ambiguous => Err(Refusal::new(Code::NotFound)
                .because("Several sessions begin with this id: write more of it.")),
            Self::Missing | Self::Nothing | Self::Approval(_) | Self::Wish(_) | Self::Grant(_) => {
                Err(Refusal::new(Code::NotFound).because("No session has this id."))
            }
        }
    }

    /// What it is to a policy. What is not there is in the area of all sessions, so that who may see none
    /// can't tell what is there.
    pub(crate) fn object(&self, asked: &str, gateway: &Gateway) -> Object {
        let Self::Found(recalled) = self else {
            return Object::Session { id: asked.to_owned(), resource: None, model: None, caller: None };
        };
        object(recalled.id, &recalled.exchange, gateway)
    }
}

/// What a recorded exchange is to a policy.
pub(crate) fn object(id: ExchangeId, exchange: &Exchange, gateway: &Gateway) -> Object {
    let (id, caller) = (id.to_string(), caller(exchange).map(person));
    let Some(opened) = &exchange.opened else {
        return Object::Session { id, resource: None, model: None, caller };
    };
    let model = opened.operations.iter().map(|operation| &operation.model).find(|model| !model.is_empty());
    Object::Session { id, resource: resource(&opened.resource, gateway), model: model.cloned(), caller }
}

/// A resource by its recorded name, with the kind it has now; none for what is no resource.
pub(crate) fn resource(name: &str, gateway: &Gateway) -> Option<(ResourceName, String)> {
    let name = ResourceName::new(name).ok()?;
    let kind = gateway.place(&name).map(|place| place.kind.to_owned()).unwrap_or_default();
    Some((name, kind))
}

/// Who asked, also where it came no further than the door.
pub(crate) fn caller(exchange: &Exchange) -> Option<&opened::Caller> {
    let opened = exchange.opened.as_ref().and_then(|opened| opened.caller.as_ref());
    opened.or_else(|| exchange.refused.as_ref()?.caller.as_ref())
}

fn person(caller: &opened::Caller) -> Person {
    let client = caller.token.as_ref().and_then(|token| token.client.clone());
    Person {
        issuer: caller.issuer.clone(),
        issuer_name: caller.issuer_name.clone(),
        subject: caller.subject.clone(),
        kind: caller.kind.clone(),
        email: caller.email.clone().unwrap_or_default(),
        client: client.unwrap_or_default(),
        groups: caller.groups.clone(),
    }
}

/// Opens the ledger to read.
///
/// # Errors
/// `internal`, with the cause for the operator.
pub(crate) async fn reader(gateway: &Gateway) -> Result<Reader, Refusal> {
    Reader::open(&gateway.config().ledger.dir).await.map_err(|fault| unreadable(&fault))
}

/// The record can't be read.
pub(crate) fn unreadable(fault: &LedgerError) -> Refusal {
    Refusal::new(Code::Internal).because("The record cannot be read.").detail(fault)
}

/// Looks up the exchange whose id begins with `text`.
///
/// # Errors
/// As [`reader`].
pub(crate) async fn recall(gateway: &Gateway, text: &str) -> Result<Recall, Refusal> {
    let reader = reader(gateway).await?;
    let told = |fault: LedgerError| match fault {
        LedgerError::NotFound { .. } => Ok(Recall::Missing),
        LedgerError::Ambiguous { .. } => Ok(Recall::Ambiguous),
        fault => Err(unreadable(&fault)),
    };
    let id = match reader.find(text).await {
        Ok(id) => id,
        Err(fault) => return told(fault),
    };
    match reader.show(id).await {
        Ok(exchange) => Ok(Recall::Found(Box::new(Recalled { id, exchange, reader }))),
        Err(fault) => told(fault),
    }
}
