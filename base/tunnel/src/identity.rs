//! Who an agent is, as its certificate says: its name and the resources it is pinned to.
//!
//! Both stand in the certificate as URIs (RFC 5280, section 4.2.1.6): `portcullis:agent:NAME` once and
//! `portcullis:resource:NAME` for each resource. They are read by the code that also checks the
//! certificate's chain, and no certificate without exactly one name is an agent's.

use std::collections::BTreeSet;

use model::{AgentName, ResourceName};
use rustls::pki_types::CertificateDer;

use crate::TunnelError;

const AGENT: &str = "portcullis:agent:";
const RESOURCE: &str = "portcullis:resource:";
/// The most resources one agent serves.
pub const MOST_RESOURCES: usize = 64;

/// Who an agent is, and what it may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentIdentity {
    /// Its name.
    pub name: AgentName,
    /// The resources it is enrolled for. Never empty, at most [`MOST_RESOURCES`].
    pub resources: BTreeSet<ResourceName>,
}

impl AgentIdentity {
    /// The URIs that a certificate says it by.
    pub(crate) fn uris(&self) -> Vec<String> {
        let resources = self.resources.iter().map(|resource| format!("{RESOURCE}{resource}"));
        std::iter::once(format!("{AGENT}{}", self.name)).chain(resources).collect()
    }

    /// Reads it from a certificate, whose chain somebody else has checked.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, TunnelError> {
        let odd = |why: &str| TunnelError::Certificate(format!("it is not an agent's: {why}"));
        let certificate =
            webpki::EndEntityCert::try_from(certificate).map_err(|fault| odd(&fault.to_string()))?;
        Self::read(certificate.valid_uri_names()).map_err(odd)
    }

    /// Reads it from URIs.
    fn read<'a>(uris: impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut name = None;
        let mut resources = BTreeSet::new();
        for uri in uris {
            if let Some(text) = uri.strip_prefix(AGENT) {
                let read = AgentName::new(text).map_err(|_| "its name is none")?;
                if name.replace(read).is_some() {
                    return Err("it has two names");
                }
            } else if let Some(text) = uri.strip_prefix(RESOURCE) {
                resources.insert(ResourceName::new(text).map_err(|_| "a resource's name is none")?);
            } else {
                return Err("it holds a URI that means something else");
            }
        }
        match name {
            None => Err("it has no name"),
            Some(_) if resources.is_empty() => Err("it names no resource"),
            Some(_) if resources.len() > MOST_RESOURCES => Err("it names too many resources"),
            Some(name) => Ok(Self { name, resources }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(uris: &[&str]) -> Result<AgentIdentity, &'static str> {
        AgentIdentity::read(uris.iter().copied())
    }

    #[test]
    fn what_is_not_exactly_an_agent_is_none() {
        let good = "portcullis:agent:beside";
        let llama = "portcullis:resource:llama";
        assert_eq!(read(&[llama, good]).unwrap().name.as_str(), "beside");
        for odd in [
            &[good][..],
            &[llama],
            &[good, good, llama],
            &[good, llama, "https://example.test/"],
            &["portcullis:agent:", llama],
            &["portcullis:agent:Beside", llama],
            &[good, "portcullis:resource:"],
            &[good, "portcullis:resource:a/b"],
        ] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z]([a-z0-9-]{0,20}[a-z0-9])?",
            resources in proptest::collection::btree_set("[a-z]([a-z0-9-]{0,20}[a-z0-9])?", 1..8),
        ) {
            let identity = AgentIdentity {
                name: AgentName::new(&name).unwrap(),
                resources: resources.iter().map(|name| ResourceName::new(name).unwrap()).collect(),
            };
            let uris = identity.uris();
            prop_assert_eq!(AgentIdentity::read(uris.iter().map(String::as_str)), Ok(identity));
        }

        #[test]
        fn any_uris_are_read_or_refused(uris in proptest::collection::vec("\\PC{0,40}", 0..5)) {
            let _ = AgentIdentity::read(uris.iter().map(String::as_str));
        }
    }
}
