//! Programs that are known already: a token of their own issuer is the proof, in the place of an invitation.

use std::net::SocketAddr;
use std::pin::Pin;

use rustls::pki_types::CertificateDer;
use store::{Commit, Expect, Write};

use crate::authority::AgentCertificate;
use crate::error::{Refused, Why};
use crate::identity::AgentIdentity;
use crate::roster::{Member, Roster, fingerprint, held, keep_newest, key, unavailable};

/// Who a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Which agent it is, and what it may serve.
    pub identity: AgentIdentity,
    /// Who says so: the token's issuer and subject. Never the token.
    pub by: String,
}

/// The answer to a token, when it comes.
pub type Proving<'a> = Pin<Box<dyn Future<Output = Result<Proven, Refused>> + Send + 'a>>;

/// Who knows programs by their tokens.
pub trait Workloads: Send + Sync {
    /// Who this token, shown by somebody at `client`, proves, after every check of its issuer. What comes of it is
    /// recorded before this returns. The refusal tells nothing of the token.
    fn prove<'a>(&'a self, token: &'a str, client: SocketAddr) -> Proving<'a>;
}

impl Refused {
    /// A token that is good for no agent here.
    pub fn workload() -> Self {
        let sentence = "the workload's token is not accepted here, or its subject is no agent: the gateway's log \
                        says why, and `agents.workloads` says who is one";
        Self::new(Why::Token, sentence)
    }

    /// Nobody is let in, because what comes of it cannot be recorded.
    pub fn unrecorded() -> Self {
        Self::new(Why::Unavailable, "the gateway cannot record it now; try again")
    }
}

impl Roster {
    /// The certificate of a program that has proved itself: it joins, or comes again.
    ///
    /// Who was put out stays out, and a name that was given to somebody else is theirs.
    pub(crate) async fn enlist(&self, proven: Proven, point: &[u8]) -> Result<AgentCertificate, Refused> {
        let Proven { identity, by } = proven;
        let at = key(&identity.name);
        let entry = self.store.get(&at).await.map_err(|fault| unavailable(&fault))?;
        let before = entry.as_ref().map(store::Entry::read::<Member>).transpose();
        let before = before.map_err(|fault| unavailable(&fault))?;
        let certificates = match before {
            Some(member) if member.revoked.is_some() => return Err(member.put_out()),
            Some(member) if member.by != by => {
                let sentence =
                    format!("`{}` is enrolled already by somebody else: revoke it first", identity.name);
                return Err(Refused::new(Why::Token, sentence));
            }
            Some(member) => member.certificates,
            None => Vec::new(),
        };
        let issued = self.authority.agent(&identity, point).map_err(|fault| unavailable(&fault))?;
        let mut member = Member {
            name: identity.name,
            resources: identity.resources,
            by,
            joined: self.store.now().await.map_err(|fault| unavailable(&fault))?,
            certificates,
            revoked: None,
        };
        keep_newest(&mut member.certificates, held(&issued), self.clock.now());
        let expect = entry.map_or(Expect::Nothing, |entry| Expect::Version(entry.version));
        let put = Write::put(at, &member).map_err(|fault| unavailable(&fault))?;
        match self.store.commit(vec![put.expecting(expect)]).await.map_err(|fault| unavailable(&fault))? {
            Commit::Done(_) => Ok(issued),
            // Another start of the same program, most likely: it comes again.
            Commit::Conflict { .. } => Err(unavailable(&"two joined at once")),
        }
    }

    /// The digest of the authority's certificate, in hexadecimal: how programs know the gateway that they
    /// show a token of their own.
    pub fn authority(&self) -> String {
        let certificate: &CertificateDer<'_> = self.authority.certificate();
        fingerprint(certificate)
    }
}
