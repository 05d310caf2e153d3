//! Which resource a request is addressed to.

use std::collections::HashMap;

use model::ResourceName;

use crate::NormalPath;

/// Resources by host and by first path segment.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<(ResourceName, T)>,
    by_host: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
}

/// Why a table could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Two resources have one name.
    #[error("two resources are called `{0}`: give each its own name")]
    NameTwice(ResourceName),
    /// Two resources claim one host.
    #[error("the host `{host}` is claimed by `{first}` and by `{second}`: leave it to one of them")]
    HostTwice {
        /// The host, in lower case.
        host: String,
        /// Who claimed it first.
        first: ResourceName,
        /// And who again.
        second: ResourceName,
    },
    /// A host is not one.
    #[error("`{host}` of resource `{resource}` is no host: write a name or an address, without port or path")]
    BadHost {
        /// As configured.
        host: String,
        /// Whose it is.
        resource: ResourceName,
    },
}

/// A resource found, and the path below it.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved<'a, T> {
    /// The resource's name.
    pub name: &'a ResourceName,
    /// What the table holds for it.
    pub target: &'a T,
    /// The path below the resource, with its leading slash.
    pub rest: String,
}

impl<T> Table<T> {
    /// Builds a table of resources, each with the hosts it answers to.
    ///
    /// # Errors
    /// [`ResolveError`] when a name or a host would mean two resources, or a host is not one.
    pub fn build(
        resources: impl Iterator<Item = (ResourceName, Vec<String>, T)>,
    ) -> Result<Self, ResolveError> {
        let mut table = Self { entries: Vec::new(), by_host: HashMap::new(), by_name: HashMap::new() };
        for (name, hosts, target) in resources {
            let place = table.entries.len();
            if table.by_name.insert(name.as_str().to_owned(), place).is_some() {
                return Err(ResolveError::NameTwice(name));
            }
            for host in hosts {
                let Some(key) = host_name(&host).filter(|key| key.len() == host.len()) else {
                    return Err(ResolveError::BadHost { host, resource: name });
                };
                match table.by_host.get(&key) {
                    Some(&first) if first != place => {
                        let first = table.entries.get(first).map_or_else(|| name.clone(), |(n, _)| n.clone());
                        return Err(ResolveError::HostTwice { host: key, first, second: name });
                    }
                    _ => table.by_host.insert(key, place),
                };
            }
            table.entries.push((name, target));
        }
        Ok(table)
    }

    /// The resource that a request to `host` (as in `Host` or `:authority`, with or without port)
    /// and `path` is addressed to. A host that belongs to a resource decides alone: its paths begin
    /// at the root, and no other resource can be reached through it.
    pub fn find(&self, host: Option<&str>, path: &NormalPath) -> Option<Resolved<'_, T>> {
        let by_host = host.and_then(host_name).and_then(|host| self.by_host.get(&host));
        let (place, rest) = match by_host {
            Some(place) => (*place, path.as_str()),
            None => {
                let (first, rest) = path.split_first();
                (*self.by_name.get(first)?, rest)
            }
        };
        let (name, target) = self.entries.get(place)?;
        Some(Resolved { name, target, rest: rest.to_owned() })
    }

    /// Every resource, in the order it was given.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, &T)> {
        self.entries.iter().map(|(name, target)| (name, target))
    }
}

/// The host of an authority without its port, in lower case; nothing if it is none.
fn host_name(authority: &str) -> Option<String> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?;
        authority.split_at_checked(end + 1)?
    } else {
        authority.find(':').and_then(|at| authority.split_at_checked(at)).unwrap_or((authority, ""))
    };
    let plain_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
    let plain_host = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']'));
    (plain_port && plain_host).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> ResourceName {
        ResourceName::new(name).unwrap()
    }

    fn table() -> Table<u8> {
        let rows = [
            (name("llama"), vec!["Llama.example".to_owned(), "[::1]".to_owned()], 1),
            (name("orders"), Vec::new(), 2),
        ];
        Table::build(rows.into_iter()).unwrap()
    }

    fn find(host: Option<&str>, path: &str) -> Option<(u8, String)> {
        table().find(host, &NormalPath::parse(path).unwrap()).map(|found| (*found.target, found.rest))
    }

    #[test]
    fn a_host_is_found_in_any_case_and_with_any_port() {
        for host in ["llama.example", "LLAMA.example:8443", "llama.example:443", "[::1]:80", "[::1]"] {
            assert_eq!(find(Some(host), "/v1/models"), Some((1, "/v1/models".to_owned())), "{host}");
        }
    }

    #[test]
    fn a_host_of_a_resource_reaches_no_other_one() {
        assert_eq!(find(Some("llama.example"), "/orders/7"), Some((1, "/orders/7".to_owned())));
    }

    #[test]
    fn else_the_first_segment_names_the_resource() {
        assert_eq!(find(None, "/llama/v1/models"), Some((1, "/v1/models".to_owned())));
        assert_eq!(find(Some("gateway.example"), "/orders"), Some((2, "/".to_owned())));
        assert_eq!(find(Some("gateway.example"), "/orders/"), Some((2, "/".to_owned())));
        assert_eq!(find(None, "/Orders/7"), None);
        assert_eq!(find(None, "/ordersx"), None);
        assert_eq!(find(None, "/"), None);
    }

    #[test]
    fn a_host_that_only_looks_alike_is_another() {
        for host in [
            "llama.example.",
            "xllama.example",
            "llama.example:99999",
            "llama.example:",
            "",
            "llama.example@x",
        ] {
            assert_eq!(find(Some(host), "/v1/models"), None, "{host:?}");
        }
    }

    #[test]
    fn nothing_may_mean_two_resources() {
        let twice = [(name("a"), vec![], 1), (name("a"), vec![], 2)];
        assert_eq!(Table::build(twice.into_iter()).unwrap_err(), ResolveError::NameTwice(name("a")));
        let claimed = [(name("a"), vec!["H".to_owned()], 1), (name("b"), vec!["h".to_owned()], 2)];
        assert_eq!(
            Table::build(claimed.into_iter()).unwrap_err(),
            ResolveError::HostTwice { host: "h".to_owned(), first: name("a"), second: name("b") }
        );
        let port = [(name("a"), vec!["h:80".to_owned()], 1)];
        assert!(matches!(Table::build(port.into_iter()).unwrap_err(), ResolveError::BadHost { .. }));
    }

    proptest! {
        #[test]
        fn no_host_panics(host in any::<String>()) {
            let _ = find(Some(&host), "/llama");
        }
    }
}
