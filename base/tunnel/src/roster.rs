//! Who may be an agent: invitations, members, and who was put out. It lies in the store, so that every
//! gateway of one store knows the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::{AgentName, Clock, ResourceName, hex, same};
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{Commit, Expect, Store, Until, Write};

use crate::TunnelError;
use crate::authority::{AgentCertificate, Authority};
use crate::error::{Refused, Why};
use crate::identity::{AgentIdentity, MOST_RESOURCES};
use crate::token::{JoinToken, random, sha256};

/// Where invitations lie.
const INVITATIONS: &str = "agents/invitations/";
/// Where members lie.
pub(crate) const MEMBERS: &str = "agents/members/";
/// How long an invitation lasts unless it says otherwise.
pub const INVITED_FOR: Duration = Duration::from_secs(15 * 60);
/// The longest.
pub const INVITED_FOR_AT_MOST: Duration = Duration::from_secs(24 * 3600);
/// How many certificates of one agent may be good at once: an old one ends while the next begins.
const MOST_CERTIFICATES: usize = 4;
/// How often a write that met another is tried again.
const TRIES: usize = 5;
/// The longest reason that is kept, in bytes.
const LONGEST_REASON: usize = 1024;

/// An invitation that nobody has used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Invited {
    agent: AgentName,
    resources: BTreeSet<ResourceName>,
    /// The digest of the token's secret, in hexadecimal.
    secret: String,
    by: String,
    at: Timestamp,
}

/// An invitation, as it is handed over.
#[derive(Debug)]
pub struct Invitation {
    /// For the agent's operator. It is shown once.
    pub token: SecretString,
    /// Who will join.
    pub agent: AgentName,
    /// What it may serve.
    pub resources: BTreeSet<ResourceName>,
    /// Until when.
    pub expires: Timestamp,
}

impl Invitation {
    /// The token in the clear, for the one answer or file it is handed over in.
    pub fn hand_over(&self) -> String {
        self.token.expose_secret().to_owned()
    }
}

/// An invitation that waits, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Who will join.
    pub agent: AgentName,
    /// What it may serve.
    pub resources: BTreeSet<ResourceName>,
    /// Who invited it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// A certificate that is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The SHA-256 of it, in hexadecimal.
    pub fingerprint: String,
    /// Until when.
    pub expires: Timestamp,
}

/// An agent that joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: AgentName,
    /// What it may serve.
    pub resources: BTreeSet<ResourceName>,
    /// Who invited it.
    pub by: String,
    /// When it joined.
    pub joined: Timestamp,
    /// Its certificates, the newest last.
    pub certificates: Vec<Held>,
    /// Who put it out, if somebody did.
    pub revoked: Option<Revoked>,
}

/// Who put an agent out, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, for operators.
    pub reason: Option<String>,
}

impl Member {
    /// Until when a certificate with this fingerprint opens a tunnel, or why it does not.
    pub(crate) fn admits(&self, fingerprint: &str, now: Timestamp) -> Result<Timestamp, Refused> {
        if self.revoked.is_some() {
            return Err(self.put_out());
        }
        match self.certificates.iter().find(|held| held.fingerprint == fingerprint) {
            Some(held) if now < held.expires => Ok(held.expires),
            _ => Err(unknown()),
        }
    }

    /// What it is told when it was put out.
    pub(crate) fn put_out(&self) -> Refused {
        let sentence = format!(
            "the agent `{}` was revoked: it needs a new join token from `portcullis agents invite`",
            self.name
        );
        Refused::new(Why::Revoked, sentence)
    }
}

fn unknown() -> Refused {
    Refused::new(
        Why::Unknown,
        "the agent is not enrolled here, or its certificate has ended: it needs a new join token from \
         `portcullis agents invite`",
    )
}

pub(crate) fn unavailable(fault: &dyn std::fmt::Display) -> Refused {
    tracing::error!(%fault, "agents cannot be looked up");
    Refused::new(Why::Unavailable, "the gateway cannot look agents up now; try again")
}

/// Who may be an agent.
pub struct Roster {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) authority: Authority,
    pub(crate) clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Roster")
    }
}

impl Roster {
    /// The roster in `store`, whose members `authority` certifies.
    pub fn new(store: Arc<dyn Store>, authority: Authority, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { store, authority, clock })
    }

    /// Invites an agent. Without a name it gets one.
    ///
    /// # Errors
    /// [`TunnelError::Unfit`] when the name is taken, or there is nothing it could serve.
    pub async fn invite(
        &self,
        name: Option<AgentName>,
        resources: BTreeSet<ResourceName>,
        lasts: Duration,
        by: &str,
    ) -> Result<Invitation, TunnelError> {
        if resources.is_empty() || resources.len() > MOST_RESOURCES {
            return Err(TunnelError::Unfit(format!("an agent serves 1 to {MOST_RESOURCES} resources")));
        }
        if lasts.is_zero() || lasts > INVITED_FOR_AT_MOST {
            return Err(TunnelError::Unfit(
                "an invitation lasts more than nothing and at most a day".to_owned(),
            ));
        }
        let name = match name {
            Some(name) => name,
            None => AgentName::new(&format!("agent-{}", hex(&random::<4>()?))).map_err(TunnelError::Unfit)?,
        };
        if self.member(&name).await?.is_some_and(|member| member.revoked.is_none()) {
            return Err(TunnelError::Unfit(format!(
                "`{name}` is enrolled already: choose another name, or revoke it first"
            )));
        }
        let token = JoinToken::new(self.authority.fingerprint())?;
        let now = self.store.now().await?;
        let invited = Invited {
            agent: name.clone(),
            resources: resources.clone(),
            secret: token.kept(),
            by: by.to_owned(),
            at: now,
        };
        let expires = now.checked_add(lasts).unwrap_or(Timestamp::MAX);
        let write = Write::put(format!("{INVITATIONS}{}", token.id), &invited)?
            .expecting(Expect::Nothing)
            .lasting(Until::At(expires));
        match self.store.commit(vec![write]).await? {
            Commit::Done(_) => Ok(Invitation { token: token.text(), agent: name, resources, expires }),
            Commit::Conflict { .. } => {
                Err(TunnelError::Unfit("the invitation met another; try again".to_owned()))
            }
        }
    }

    /// Invitations that nobody has used.
    ///
    /// # Errors
    /// [`TunnelError::Store`].
    pub async fn waiting(&self) -> Result<Vec<Waiting>, TunnelError> {
        let page = self.store.list(INVITATIONS, None, store::MAX_PAGE).await?;
        let read = |entry: &store::Entry| {
            let Invited { agent, resources, by, at, .. } = entry.read()?;
            Ok(Waiting { agent, resources, by, at, expires: entry.expires })
        };
        page.entries.iter().map(read).collect()
    }

    /// Everybody who joined, the revoked too, by name. At most 1,000.
    ///
    /// # Errors
    /// [`TunnelError::Store`].
    pub async fn members(&self) -> Result<Vec<Member>, TunnelError> {
        let page = self.store.list(MEMBERS, None, store::MAX_PAGE).await?;
        page.entries.iter().map(|entry| Ok(entry.read()?)).collect()
    }

    /// One who joined.
    ///
    /// # Errors
    /// [`TunnelError::Store`].
    pub async fn member(&self, name: &AgentName) -> Result<Option<Member>, TunnelError> {
        let entry = self.store.get(&key(name)).await?;
        entry.map(|entry| Ok(entry.read()?)).transpose()
    }

    /// Puts an agent out, and takes back what invitations of its name wait. Its tunnels close within a
    /// second, on every gateway of this store. None when there is no such agent.
    ///
    /// # Errors
    /// [`TunnelError::Store`], or [`TunnelError::Unfit`] when the reason is too long.
    pub async fn revoke(
        &self,
        name: &AgentName,
        reason: Option<&str>,
        by: &str,
    ) -> Result<Option<Member>, TunnelError> {
        if reason.is_some_and(|reason| reason.len() > LONGEST_REASON) {
            return Err(TunnelError::Unfit(format!("a reason has at most {LONGEST_REASON} bytes")));
        }
        let invitations = self.store.list(INVITATIONS, None, store::MAX_PAGE).await?.entries;
        let of_it =
            |entry: &&store::Entry| entry.read::<Invited>().is_ok_and(|invited| invited.agent == *name);
        let mut withdrawn: Vec<Write> =
            invitations.iter().filter(of_it).map(|entry| Write::remove(entry.key.clone())).collect();
        for _ in 0..TRIES {
            let Some(entry) = self.store.get(&key(name)).await? else { break };
            let mut member: Member = entry.read()?;
            let reason = reason.map(str::to_owned);
            member.revoked = Some(Revoked { by: by.to_owned(), at: self.store.now().await?, reason });
            member.certificates.clear();
            let put = Write::put(key(name), &member)?.expecting(Expect::Version(entry.version));
            let writes = std::iter::once(put).chain(withdrawn.iter().cloned()).collect();
            if self.store.commit(writes).await?.is_done() {
                return Ok(Some(member));
            }
        }
        if !withdrawn.is_empty() {
            self.store.commit(std::mem::take(&mut withdrawn)).await?;
        }
        match self.member(name).await? {
            Some(_) => Err(TunnelError::Unfit("the agent changes all the time; try again".to_owned())),
            None => Ok(None),
        }
    }

    /// Takes an invitation for a certificate. It is good once: of two who come with it, one is refused.
    pub(crate) async fn redeem(
        &self,
        id: &str,
        secret: &[u8],
        point: &[u8],
    ) -> Result<AgentCertificate, Refused> {
        let gone = || {
            let sentence = "the join token is unknown, was used, or is too old: a new one comes from \
                            `portcullis agents invite`";
            Refused::new(Why::Token, sentence)
        };
        // What no id can be is not looked up.
        if id.is_empty()
            || id.len() > 64
            || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(gone());
        }
        let at = format!("{INVITATIONS}{id}");
        let entry = self.store.get(&at).await.map_err(|fault| unavailable(&fault))?.ok_or_else(gone)?;
        let invited: Invited = entry.read().map_err(|fault| unavailable(&fault))?;
        if !same(&hex(&sha256(secret)), &invited.secret) {
            return Err(gone());
        }
        let identity = AgentIdentity { name: invited.agent, resources: invited.resources };
        let issued = self.authority.agent(&identity, point).map_err(|fault| unavailable(&fault))?;
        let before = self.store.get(&key(&identity.name)).await.map_err(|fault| unavailable(&fault))?;
        let expect = match before {
            None => Expect::Nothing,
            // Who is enrolled under this name is not replaced by a token that was given out before.
            Some(entry) if entry.read::<Member>().is_ok_and(|member| member.revoked.is_some()) => {
                Expect::Version(entry.version)
            }
            Some(_) => return Err(gone()),
        };
        let member = Member {
            name: identity.name.clone(),
            resources: identity.resources,
            by: invited.by,
            joined: self.store.now().await.map_err(|fault| unavailable(&fault))?,
            certificates: vec![held(&issued)],
            revoked: None,
        };
        let put = Write::put(key(&identity.name), &member).map_err(|fault| unavailable(&fault))?;
        let writes = vec![Write::remove(at).expecting(Expect::Version(entry.version)), put.expecting(expect)];
        match self.store.commit(writes).await.map_err(|fault| unavailable(&fault))? {
            Commit::Done(_) => Ok(issued),
            Commit::Conflict { .. } => Err(gone()),
        }
    }

    /// The next certificate of an agent that shows one.
    pub(crate) async fn renew(
        &self,
        shown: &CertificateDer<'_>,
        point: &[u8],
    ) -> Result<AgentCertificate, Refused> {
        let identity = AgentIdentity::of(shown).map_err(|_| unknown())?;
        for _ in 0..TRIES {
            let at = key(&identity.name);
            let entry = self.store.get(&at).await.map_err(|fault| unavailable(&fault))?;
            let entry = entry.ok_or_else(unknown)?;
            let mut member: Member = entry.read().map_err(|fault| unavailable(&fault))?;
            let now = self.clock.now();
            member.admits(&fingerprint(shown), now)?;
            let identity = AgentIdentity { name: member.name.clone(), resources: member.resources.clone() };
            let issued = self.authority.agent(&identity, point).map_err(|fault| unavailable(&fault))?;
            keep_newest(&mut member.certificates, held(&issued), now);
            let put = Write::put(at, &member).map_err(|fault| unavailable(&fault))?;
            let written = self.store.commit(vec![put.expecting(Expect::Version(entry.version))]).await;
            if written.map_err(|fault| unavailable(&fault))?.is_done() {
                return Ok(issued);
            }
        }
        Err(unavailable(&"its entry changes all the time"))
    }

    /// Whether a certificate, whose chain was checked, opens a tunnel: who it is, and until when.
    pub(crate) async fn admit(
        &self,
        shown: &CertificateDer<'_>,
    ) -> Result<(AgentIdentity, Timestamp), Refused> {
        let identity = AgentIdentity::of(shown).map_err(|_| unknown())?;
        let member = self.member(&identity.name).await.map_err(|fault| unavailable(&fault))?;
        let expires = member.ok_or_else(unknown)?.admits(&fingerprint(shown), self.clock.now())?;
        Ok((identity, expires))
    }
}

pub(crate) fn key(name: &AgentName) -> String {
    format!("{MEMBERS}{name}")
}

/// A certificate's digest, as the store has it.
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&sha256(certificate))
}

pub(crate) fn held(issued: &AgentCertificate) -> Held {
    Held { fingerprint: fingerprint(&issued.certificate), expires: issued.expires }
}

/// Adds a certificate to those that are good; the oldest of too many is good no more.
pub(crate) fn keep_newest(certificates: &mut Vec<Held>, issued: Held, now: Timestamp) {
    certificates.retain(|held| now < held.expires);
    certificates.push(issued);
    let most = certificates.len().saturating_sub(MOST_CERTIFICATES);
    certificates.drain(..most);
}
