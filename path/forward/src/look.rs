//! What an agent sees of the upstreams beside it, told to its gateway.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::health::UpstreamHealth;
use crate::upstreams::Upstreams;

/// One upstream, as its agent saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    /// Its URL, as the agent has it.
    pub(crate) url: String,
    /// How long its answer took.
    pub(crate) took: Duration,
    /// What is wrong, in a sentence for operators; nothing when it answers and takes the credential.
    pub(crate) fault: Option<String>,
}

impl Upstreams {
    /// Looks at every upstream that is reached from here, and says what an agent tells its gateway of them.
    pub async fn looked(&self) -> Bytes {
        self.probe_all().await;
        told(&self.health())
    }
}

fn told(health: &[UpstreamHealth]) -> Bytes {
    let one = |upstream: &UpstreamHealth| {
        let probed = upstream.probed.as_ref()?;
        Some(json!({ "url": upstream.url, "seconds": probed.took.as_secs_f64(), "fault": probed.fault }))
    };
    let seen: Vec<Value> = health.iter().filter_map(one).collect();
    Bytes::from(json!({ "seen": seen }).to_string())
}

/// What a gateway hears of it. None: it is no such answer.
pub(crate) fn heard(bytes: &[u8]) -> Option<Vec<Seen>> {
    let told: Value = serde_json::from_slice(bytes).ok()?;
    let one = |one: &Value| {
        let took = Duration::try_from_secs_f64(one.get("seconds")?.as_f64()?).ok()?;
        let fault = match one.get("fault")? {
            Value::Null => None,
            fault => Some(fault.as_str()?.to_owned()),
        };
        Some(Seen { url: one.get("url")?.as_str()?.to_owned(), took, fault })
    };
    told.get("seen")?.as_array()?.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::health::Probed;

    #[test]
    fn what_an_agent_saw_is_heard() {
        let health = |fault: Option<&str>| {
            let probed = Probed {
                at: Timestamp::UNIX_EPOCH,
                took: Duration::from_millis(7),
                fault: fault.map(str::to_owned),
            };
            UpstreamHealth {
                url: "http://m/".to_owned(),
                usable: true,
                in_flight: 0,
                failures: 0,
                last_failure: None,
                probed: Some(probed),
            }
        };
        let all = [health(None), health(Some("it is out"))];
        let seen = heard(&told(&all)).unwrap();
        let faults: Vec<_> = seen.iter().map(|one| one.fault.as_deref()).collect();
        assert_eq!(faults, [None, Some("it is out")]);
        assert_eq!((seen[0].url.as_str(), seen[0].took), ("http://m/", Duration::from_millis(7)));
    }

    proptest! {
        #[test]
        fn anything_else_is_no_answer(text in ".{0,100}") {
            prop_assert_eq!(heard(text.as_bytes()), None);
        }
    }
}
