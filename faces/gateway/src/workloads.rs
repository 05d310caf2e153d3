//! Programs that become agents by a token of their own: `agents.workloads` says who may. No administrator stands
//! behind it, so what comes of each token is recorded here.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use authenticate::AuthenticateError;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use model::{
    Act, Area, Code, Decision, ExchangeId, Findings, Identity, Outcome, Question, QuestionParts, Refusal,
    Ruling,
};
use record::{Administering, LedgerError, Sealing};
use tunnel::{AgentIdentity, Proven, Proving, Refused, Workloads};

use crate::Gateway;

/// The call, as it is recorded.
const NAME: &str = "agents.join";
const PATH: &str = "/agents/join";

/// Programs, by tokens of the issuers that callers come from.
struct ByToken(Weak<Gateway>);

pub(crate) fn of(gateway: &Arc<Gateway>) -> Arc<dyn Workloads> {
    Arc::new(ByToken(Arc::downgrade(gateway)))
}

impl Workloads for ByToken {
    fn prove<'a>(&'a self, token: &'a str, client: SocketAddr) -> Proving<'a> {
        Box::pin(async move {
            let Some(gateway) = self.0.upgrade() else { return Err(Refused::workload()) };
            let at = gateway.clock.now();
            Joining { gateway: &gateway, exchange: ExchangeId::at(at), at, client }.prove(token).await
        })
    }
}

/// One token that was shown.
struct Joining<'g> {
    gateway: &'g Gateway,
    exchange: ExchangeId,
    at: Timestamp,
    client: SocketAddr,
}

impl Joining<'_> {
    /// Which agent the bearer of this token is.
    async fn prove(&self, token: &str) -> Result<Proven, Refused> {
        let identity = match self.bearer(token).await {
            Ok(identity) => identity,
            Err(why) => {
                tracing::warn!(why, client = %self.client, "a workload that would be an agent was not believed");
                return Err(Refused::workload());
            }
        };
        let setup = self.gateway.setup();
        let settings = setup.config.agents.as_ref().map(|agents| agents.workloads.as_slice());
        let is_it = |workload: &&config::Workload| {
            workload.issuer == identity.issuer_name && workload.subject == identity.subject
        };
        let named = settings.unwrap_or_default().iter().find(is_it);
        if named.is_none() {
            tracing::warn!(caller = %identity.entity_id(), "it would be an agent, and `agents.workloads` does not name it");
        }
        self.record(&identity, named.is_some()).await.map_err(|fault| {
            tracing::error!(%fault, "nobody becomes an agent: it cannot be recorded");
            Refused::unrecorded()
        })?;
        let workload = named.ok_or_else(Refused::workload)?;
        let joins = AgentIdentity { name: workload.agent.clone(), resources: workload.resources.clone() };
        Ok(Proven { identity: joins, by: identity.entity_id() })
    }

    /// Whose token it is, or why it is nobody's.
    async fn bearer(&self, token: &str) -> Result<Arc<Identity>, String> {
        let value =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "it is no token".to_owned())?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let caller = self.gateway.setup().authenticator.caller(self.exchange, &headers).await;
        caller.map(|caller| Arc::clone(caller.own())).map_err(|fault: AuthenticateError| fault.to_string())
    }

    /// Puts what came of it into the ledger. The configuration decides who is a workload, not policy: so there
    /// is a ruling without judgements.
    async fn record(&self, identity: &Identity, admitted: bool) -> Result<(), LedgerError> {
        let ruling = if admitted { Ruling::Allowed } else { Ruling::Denied };
        let policy_set = self.gateway.authorizer.current().hash();
        let question = Question::new(QuestionParts {
            exchange: self.exchange,
            method: Method::POST,
            path: PATH.to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        });
        let act = Administering {
            arrived: self.at,
            client: self.client,
            identity,
            area: Area::Agents,
            act: Act::Invite,
            name: NAME,
            decision: &Decision { ruling, judgements: Vec::new(), policy_set },
            question: &question,
            bodies: false,
        };
        let record = self.gateway.ledger.open_act(act).await?;
        let refusal = (!admitted).then(|| Refusal::new(Code::PolicyDenied));
        let outcome = if admitted { Outcome::Completed } else { Outcome::Refused };
        let findings = Findings::default();
        record.seal(Sealing { outcome, refusal: refusal.as_ref(), usage: None, findings: &findings }).await
    }
}
