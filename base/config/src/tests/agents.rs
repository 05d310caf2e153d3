//! Agents: the gateway's section, a resource's choice, and the agent's own file.

use std::time::Duration;

use super::Folder;
use crate::reference::AGENT;
use crate::*;

/// The gateway's file with a resource and more.
fn text(resource: &str, more: &str) -> String {
    format!(
        "listeners: 127.0.0.1:8080\nissuers:\n  corp: {{issuer: https://a.test, audiences: p}}\nresources:\n  \
         llama: {resource}\n{more}\n"
    )
}

#[test]
fn an_agent_stands_in_the_place_of_upstreams() {
    let folder = Folder::new();
    let read = |agent: &str| {
        let text = text(&format!("{{server: vllm, agent: {agent}}}"), "agents: 127.0.0.1:8444");
        folder.parse(&text).unwrap()
    };
    let config = read("any");
    assert_eq!(config.resources[0].agent, Some(Vec::new()));
    assert!(config.resources[0].upstreams.is_empty());
    let agents = config.agents.unwrap();
    assert_eq!((agents.address.port(), agents.dir), (8444, folder.path("agents-ca")));
    let names = read("[beside, other]").resources[0].agent.clone().unwrap();
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["beside", "other"]);
}

#[test]
fn what_belongs_to_the_agent_does_not_stand_at_the_gateway() {
    let folder = Folder::new();
    for (resource, more, said) in [
        ("{server: vllm}", "", "stands nowhere"),
        ("{server: vllm, agent: any}", "", "none can come in"),
        (
            "{server: vllm, agent: any, upstreams: https://a.test}",
            "agents: 127.0.0.1:1",
            "`upstreams` is the agent's",
        ),
        (
            "{server: vllm, agent: any, credential: env:A}",
            "agents: 127.0.0.1:1",
            "`credential` is the agent's",
        ),
        ("{server: vllm, agent: [any, one]}", "agents: 127.0.0.1:1", "beside names"),
        ("{server: vllm, agent: One}", "agents: 127.0.0.1:1", "cannot name an agent"),
        ("{server: vllm, agent: any}", "agents: 127.0.0.1:8080", "taken already"),
    ] {
        let told = folder.faults(&text(resource, more));
        assert!(told.contains(said), "{resource}: {told}");
    }
}

#[test]
fn a_workload_is_known_by_its_issuer_and_stands_once() {
    let folder = Folder::new();
    let read = |workloads: &str| {
        text(
            "{server: vllm, agent: any}",
            &format!("agents: {{address: 127.0.0.1:1, workloads: {workloads}}}"),
        )
    };
    let good = "{beside: {issuer: corp, subject: sa, resources: llama}}";
    let agents = folder.parse(&read(good)).unwrap().agents.unwrap();
    let workload = &agents.workloads[0];
    assert_eq!((workload.agent.as_str(), workload.subject.as_str()), ("beside", "sa"));
    for (workloads, said) in [
        ("{beside: {issuer: other, subject: sa, resources: llama}}", "no issuer is called so"),
        ("{beside: {issuer: corp, subject: sa, resources: other}}", "no resource is called so"),
        (
            "{a: {issuer: corp, subject: sa, resources: llama}, b: {issuer: corp, subject: sa, resources: llama}}",
            "the same subject as",
        ),
        ("{any: {issuer: corp, subject: sa, resources: llama}}", "names no agent"),
        ("{beside: {issuer: corp, resources: llama}}", "`subject` is missing"),
    ] {
        let told = folder.faults(&read(workloads));
        assert!(told.contains(said), "{workloads}: {told}");
    }
}

#[test]
fn a_workloads_own_file_names_the_authority() {
    let text = format!(
        "gateways: a.test:1\njoin: {{workload: file:t, authority: {}}}\nresources: {{a: {{upstreams: https://a.test}}}}",
        "0a".repeat(32)
    );
    let agent = parse_agent(&text, &Folder::new().path("agent.yaml")).unwrap();
    assert!(matches!(&agent.join, Some(Join::Workload { authority, .. }) if *authority == [10; 32]));
}

#[test]
fn an_agents_file_is_read_whole() {
    let folder = Folder::new();
    let agent = parse_agent(AGENT, &folder.path("agent.yaml")).unwrap();
    assert_eq!(agent.gateways, ["gateway.example.test:8444", "[2001:db8::7]:8444"]);
    assert!(
        matches!(&agent.join, Some(Join::Token(SecretRef::File(path))) if *path == folder.path("join-token"))
    );
    assert_eq!(agent.resources.len(), 1);
    assert_eq!(agent.resources[0].max_request_bytes, 16 << 20);
    assert!(agent.resources[0].credential.is_some() && agent.resources[0].agent.is_none());
    assert_eq!((agent.requests_in_flight, agent.drain), (1024, Duration::from_secs(30)));
}

#[test]
fn every_fault_of_an_agents_file_is_told() {
    let folder = Folder::new();
    for (text, said) in [
        ("gateways: a.test\nresources: {a: {upstreams: https://a.test}}", "is no host with a port"),
        ("gateways: a.test:0\nresources: {a: {upstreams: https://a.test}}", "is no host with a port"),
        ("gateways: a.test:1\nresources: {}", "nothing to serve"),
        ("gateways: a.test:1\nresources: {a: {}}", "`upstreams` is missing"),
        (
            "gateways: a.test:1\nresources: {a: {upstreams: http://b.test, credential: env:A}}",
            "over plain HTTP",
        ),
        (
            "gateways: a.test:1\nresources: {a: {upstreams: https://a.test, agent: any}}",
            "`agent` is no key here",
        ),
        (
            "gateways: a.test:1\njoin: pcj1.abc\nresources: {a: {upstreams: https://a.test}}",
            "may not stand in this file",
        ),
        (
            "gateways: a.test:1\njoin: {workload: file:t}\nresources: {a: {upstreams: https://a.test}}",
            "do not belong together",
        ),
        (
            "gateways: a.test:1\njoin: {workload: file:t, authority: abc}\nresources: {a: {upstreams: https://a.test}}",
            "is no SHA-256",
        ),
    ] {
        let told = parse_agent(text, &folder.path("agent.yaml")).unwrap_err().to_string();
        assert!(told.contains(said), "{text}: {told}");
        assert!(!told.contains("pcj1"), "{told}");
    }
}
