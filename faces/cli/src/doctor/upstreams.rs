//! Upstreams: whether they answer, take the credential, and ask for it at all.

use std::sync::Arc;

use config::Resource;
use forward::{Examined, Saw, Upstreams};
use http::{StatusCode, Uri};
use model::SystemClock;

use crate::doctor::finding::Finding;

/// Looks at a resource's upstreams from here.
pub(crate) async fn examine(resource: &Resource) -> Vec<Finding> {
    let name = &resource.name;
    let upstreams = match Upstreams::build(resource, Arc::new(SystemClock::default())) {
        Ok(upstreams) => upstreams,
        Err(fault) => return vec![Finding::bad("upstream", name, fault)],
    };
    let mut found = vec![match upstreams.credential_read().await {
        Ok(true) => Finding::good("credential", name, "can be read"),
        Ok(false) => Finding::caution("credential", name, "none is configured")
            .advice("Give the model server a key of its own, and name it under `credential`."),
        Err(why) => Finding::bad("credential", name, why).advice("Mend what the line above names."),
    }];
    for seen in upstreams.examine().await {
        found.push(answers(name, &seen));
        found.extend(bypass(name, &seen));
    }
    found
}

fn answers(name: &model::ResourceName, seen: &Examined) -> Finding {
    let subject = format!("{name} at {}", seen.upstream);
    let took = format!("{:.1} ms", seen.took.as_secs_f64() * 1000.0);
    let Some(fault) = seen.fault() else {
        return Finding::good("upstream", subject, format!("answers {} in {took}", seen.with));
    };
    let bad = Finding::bad("upstream", subject, fault);
    match &seen.with {
        with if with.is_refusal() => bad.advice("Compare the key with the one the server was started with."),
        Saw::Status(_) => bad,
        Saw::Nothing(_) => bad.advice("Look whether the server runs, and whether this machine may reach it."),
    }
}

/// What it means that a server answers without its credential: whoever reaches it needs no Portcullis.
fn bypass(name: &model::ResourceName, seen: &Examined) -> Option<Finding> {
    let subject = format!("{name} at {}", seen.upstream);
    match seen.without.as_ref().unwrap_or(&seen.with) {
        saw if saw.is_refusal() => {
            Some(Finding::good("bypass", subject, format!("without the credential it answers {saw}")))
        }
        Saw::Status(StatusCode::NOT_FOUND) => Some(Finding::caution(
            "bypass",
            subject,
            format!("it has no `{}`, so nobody can tell whether it asks for a credential", seen.path),
        )),
        Saw::Status(status) => {
            let what = format!(
                "it answers {status} to `{}` without any credential: whoever reaches it goes around Portcullis",
                seen.path
            );
            Some(Finding::bad("bypass", subject, what).advice(shut(&seen.upstream)))
        }
        // What does not answer at all is told by the other finding, or ends the connection as servers do that
        // miss a client certificate.
        Saw::Nothing(_) if seen.without.is_some() => {
            Some(Finding::good("bypass", subject, "without the credential it gives no answer"))
        }
        Saw::Nothing(_) => None,
    }
}

/// How to let only the gateway reach a server.
pub(crate) fn shut(upstream: &str) -> String {
    let url: Option<Uri> = upstream.parse().ok();
    let url = url.unwrap_or_default();
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let own = "Start the server with a key of its own (`--api-key` of vLLM and llama.cpp), and name it under `credential`.";
    if dial::is_loopback(&url) {
        let user = "portcullis";
        return format!(
            "{own}\nUntil then let only the user that runs Portcullis reach it from this machine:\n  \
             nft add rule inet filter output ip daddr 127.0.0.0/8 tcp dport {port} meta skuid != \\\"{user}\\\" reject"
        );
    }
    format!(
        "{own}\nAnd on the server's machine let only the gateway, or its agent, reach the port:\n  \
         nft add rule inet filter input tcp dport {port} ip saddr != GATEWAY drop\n\
         In Kubernetes: a NetworkPolicy for the server's pods that admits port {port} from the gateway's pods alone."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    fn seen(with: Saw, without: Option<Saw>) -> Examined {
        let upstream = "http://10.1.2.3:8081/".to_owned();
        Examined { upstream, path: "/v1/models".to_owned(), with, took: std::time::Duration::ZERO, without }
    }

    #[test]
    fn an_answer_without_the_credential_is_bad_and_names_the_rule() {
        let name = model::ResourceName::new("llama").unwrap();
        let status = |code| Saw::Status(StatusCode::from_u16(code).unwrap());
        let open = bypass(&name, &seen(status(200), Some(status(200)))).unwrap();
        assert_eq!(open.state, State::Bad);
        assert!(open.advice.unwrap().contains("tcp dport 8081 ip saddr != GATEWAY drop"));
        for (without, state) in
            [(status(401), State::Good), (status(404), State::Caution), (status(500), State::Bad)]
        {
            assert_eq!(bypass(&name, &seen(status(200), Some(without))).unwrap().state, state);
        }
        // Where none is configured, what it answers it answers to everybody.
        assert_eq!(bypass(&name, &seen(status(200), None)).unwrap().state, State::Bad);
        assert!(bypass(&name, &seen(Saw::Nothing("no".to_owned()), None)).is_none());
    }

    #[test]
    fn a_server_on_this_machine_is_shut_to_its_other_users() {
        assert!(shut("http://127.0.0.1:8081/").contains("dport 8081 meta skuid"));
        assert!(shut("https://model.example.test/").contains("dport 443 ip saddr"));
    }
}
