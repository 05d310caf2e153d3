//! What a file becomes: every default, and every key.

use std::time::Duration;

use model::{Class, ResourceName};

use super::Folder;
use crate::reference::{SMALL, WHOLE};
use crate::*;

#[test]
fn a_small_file_is_the_default_of_every_struct() {
    let folder = Folder::new();
    let config = folder.parse(SMALL).unwrap();
    let upstream = "http://127.0.0.1:8081".parse().unwrap();
    let expected = Config {
        listeners: vec![Listener { address: "127.0.0.1:8080".parse().unwrap(), tls: Tls::Plain }],
        public_url: None,
        observe: None,
        admin: None,
        agents: None,
        issuers: vec![Issuer::new("corp", "https://login.example.test", "portcullis")],
        resources: vec![Resource::model(ResourceName::new("llama").unwrap(), ServerKind::LlamaCpp, upstream)],
        policies: Policies { dir: folder.path("policies"), timezone: "UTC".to_owned() },
        ledger: Ledger::at(folder.path("ledger")),
        state: State::beside(&folder.path("ledger")),
        limits: Limits::default(),
        approvals: Approvals::default(),
        people: model::People::new(
            Default::default(),
            Default::default(),
            ["https://login.example.test".to_owned()],
        ),
        deny_lists: Vec::new(),
        masking: Masking::default(),
        console: None,
        base_dir: folder.file().to_owned(),
    };
    assert_eq!(config, expected);
}

#[test]
fn defaults_are_what_the_gateway_was_measured_with() {
    let limits = Limits::default();
    assert_eq!((limits.connections, limits.requests_in_flight, limits.token_cache), (10_000, 4096, 10_000));
    assert_eq!((limits.body_bytes_in_flight, limits.header_bytes), (1 << 30, 32 << 10));
    assert_eq!(limits.streams_per_connection, 100);
    assert_eq!(limits.header_timeout, Duration::from_secs(10));
    assert_eq!(limits.body_timeout, Duration::from_secs(60));
    assert_eq!(limits.drain, Duration::from_secs(30));
    let timeouts = Timeouts::default();
    let seconds = [timeouts.connect, timeouts.first_byte, timeouts.idle, timeouts.exchange];
    assert_eq!(seconds.map(|d| d.as_secs()), [5, 600, 120, 3600]);
    let ledger = Ledger::at("x");
    assert_eq!((ledger.segment_bytes, ledger.queue, ledger.reserve_bytes), (256 << 20, 4096, 16 << 20));
    assert_eq!((ledger.durability, ledger.write_timeout), (Durability::Process, Duration::from_secs(5)));
    let issuer = Issuer::new("a", "b", "c");
    assert_eq!(issuer.algorithms, ["RS256", "ES256", "PS256", "EdDSA"]);
    assert_eq!(issuer.token_types, ["JWT", "at+jwt"]);
    assert_eq!((issuer.skew.as_secs(), issuer.stale_keys.as_secs()), (30, 86_400));
}

#[test]
fn every_key_arrives_where_it_is_used() {
    let folder = Folder::new();
    let config = folder.parse(WHOLE).unwrap();
    let tls: Vec<&Tls> = config.listeners.iter().map(|listener| &listener.tls).collect();
    let local = |names: &[&str]| Tls::Local {
        dir: folder.path("tls"),
        names: names.iter().map(|&name| name.to_owned()).collect(),
    };
    let files = Tls::Files { certificate: folder.path("tls/cert.pem"), key: folder.path("tls/key.pem") };
    let named = local(&["portcullis.example.test", "192.0.2.7"]);
    assert_eq!(tls, [&Tls::Plain, &local(&["localhost"]), &named, &files, &Tls::Plain]);
    assert_eq!(config.observe, Some("192.0.2.7:9090".parse().unwrap()));
    let admin = config.admin.as_ref().unwrap();
    assert_eq!(admin.listener.as_ref().unwrap().address, "192.0.2.7:9443".parse().unwrap());
    assert_eq!(admin.listener.as_ref().unwrap().tls, local(&["portcullis.example.test"]));
    assert_eq!((admin.socket.clone(), admin.socket_mode), (Some(folder.path("admin.sock")), 0o660));
    assert_eq!(config.ledger.durability, Durability::Disk);
    assert_eq!(config.state.dir, folder.path("state"));
    let list = &config.deny_lists[0];
    assert_eq!((list.name.as_str(), list.words.len(), list.patterns.len()), ("project-names", 2, 1));
}

#[test]
fn issuers_arrive_whole() {
    let folder = Folder::new();
    let config = folder.parse(WHOLE).unwrap();
    let [corp, ci] = config.issuers.as_slice() else { panic!("two issuers") };
    let rule = |claim: &str, test| ClaimRule { claim: claim.to_owned(), test };
    assert_eq!(corp.audiences, ["portcullis", "llm"]);
    assert_eq!(corp.algorithms, ["RS256", "EdDSA"]);
    assert!(corp.discovery.as_ref().unwrap().ends_with("/openid-configuration"));
    assert_eq!(corp.kind, IssuerKind::WorkloadWhen(rule("/idtyp", ClaimTest::Equals("app".to_owned()))));
    assert_eq!(corp.max_token_age, Some(Duration::from_secs(12 * 3600)));
    assert_eq!(corp.ca_file, Some(folder.path("tls/corp-ca.pem")));
    let login = corp.login.clone().unwrap();
    assert_eq!(login.client_id, "portcullis-cli");
    assert_eq!(
        (login.resource.as_deref(), login.audience.as_deref()),
        (Some("urn:portcullis"), Some("portcullis"))
    );
    assert_eq!((login.prompt.as_deref(), login.id_token), (Some("consent"), false));
    assert_eq!(config.public_url.as_deref(), Some("https://portcullis.example.test"));
    assert!(!corp.allow_http);
    let asked = corp.introspection.as_ref().unwrap();
    assert!(asked.url.as_ref().unwrap().ends_with("/introspect"));
    assert_eq!((asked.client_id.as_str(), asked.client_auth), ("portcullis", ClientAuth::Basic));
    assert_eq!(asked.client_secret, SecretRef::Env("INTROSPECTION_SECRET".to_owned()));
    assert_eq!(
        (asked.prefix.as_deref(), asked.clients.as_slice()),
        (Some("corp_at_"), &["coding-agent".to_owned()][..])
    );
    assert_eq!(asked.cache, Duration::from_secs(30));
    assert!(corp.userinfo.as_ref().unwrap().url.as_ref().unwrap().ends_with("/userinfo"));
    let logout = corp.backchannel_logout.as_ref().unwrap();
    assert_eq!(
        (logout.audiences.as_slice(), logout.token_types.as_slice()),
        (&["portcullis-cli".to_owned()][..], &["logout+jwt".to_owned()][..])
    );
    assert_eq!(corp.mfa, Mfa { amr: vec!["mfa".to_owned(), "hwk".to_owned()], acr: vec!["phr".to_owned()] });
    assert_eq!(corp.carry["department"], "/department");
    let groups = &corp.groups;
    assert_eq!(groups.claims, ["/groups", "/realm_access/roles"]);
    assert!(groups.required);
    assert_eq!(groups.aliases["6f1c2a9e-0000-4000-8000-000000000001"], "research");
    assert_eq!(groups.prefix.as_deref(), Some("corp:"));
    let tests: Vec<&ClaimTest> = groups.from.iter().map(|rule| &rule.when.test).collect();
    let domain = ClaimTest::Domain("example.test".to_owned());
    let starts = ClaimTest::StartsWith("contractor-".to_owned());
    let ends = ClaimTest::EndsWith("+test@example.test".to_owned());
    assert_eq!(tests, [&domain, &starts, &ends, &ClaimTest::Present]);
    assert_eq!(groups.from[0].groups, ["staff"]);
    assert_eq!(ci.kind, IssuerKind::HumanWhen(rule("/preferred_username", ClaimTest::Present)));
    assert_eq!(ci.jwks.as_deref(), Some("http://127.0.0.1:8085/keys"));
    assert!(ci.allow_http);
}

#[test]
fn resources_arrive_whole() {
    let folder = Folder::new();
    let config = folder.parse(WHOLE).unwrap();
    let [llama, orders, ..] = config.resources.as_slice() else { panic!("these and more") };
    let beside = config.resources.iter().find_map(|resource| resource.agent.as_ref());
    assert_eq!(beside.map(Vec::len), Some(2));
    assert_eq!(llama.upstreams.len(), 2);
    assert_eq!(llama.hosts, ["llama.example.test"]);
    assert_eq!(llama.credential, Some(Credential::bearer(SecretRef::Env("LLAMA_KEY".to_owned()))));
    assert_eq!(llama.upstream_tls.client_key, Some(folder.path("tls/client-key.pem")));
    assert_eq!((orders.kind, orders.server), (ResourceKind::Http, ServerKind::Plain));
    let credential = orders.credential.as_ref().unwrap();
    let place = SecretSource::Place(SecretRef::File(folder.path("secrets/orders")));
    let scheme = CredentialScheme::Header { name: "x-orders-key".parse().unwrap(), word: None };
    assert_eq!(*credential, Credential::of(place, scheme));
    assert_eq!(orders.forward_headers[0].as_str(), "x-trace-id");
    assert_eq!(orders.return_headers[0].as_str(), "x-total-count");
    assert_eq!(orders.on_token_expiry, OnTokenExpiry::Cut);
    assert_eq!(orders.unknown_streams, UnknownStreams::Refuse);
    assert!(!orders.record_bodies);
    let routes: Vec<(usize, &str, Class, &str)> = orders
        .routes
        .iter()
        .map(|route| (route.methods.len(), route.path.as_str(), route.class, route.name.as_str()))
        .collect();
    let expected = [
        (2, "/orders/{id}", Class::Read, "orders.get"),
        (1, "/orders", Class::Write, "orders.create"),
        (1, "/files/{path...}", Class::Export, "files.get"),
    ];
    assert_eq!(routes, expected);
}

#[test]
fn paths_are_taken_from_the_files_folder() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("etc/policies")).unwrap();
    std::fs::create_dir_all(folder.path("srv/policies")).unwrap();
    let file = folder.path("etc/portcullis.yaml");
    std::fs::write(&file, format!("{SMALL}ledger: ../var/ledger\n")).unwrap();
    let config = load(&file).unwrap();
    assert_eq!(config.base_dir, folder.path("etc"));
    assert_eq!(config.policies.dir, folder.path("etc/policies"));
    assert_eq!(config.ledger.dir, folder.path("etc/../var/ledger"));
    let elsewhere = format!("{SMALL}policies: {}\n", folder.path("srv/policies").display());
    std::fs::write(&file, elsewhere).unwrap();
    assert_eq!(load(&file).unwrap().policies.dir, folder.path("srv/policies"));
}

#[test]
fn anchors_aliases_and_merges_are_read() {
    let folder = Folder::new();
    let text = "
listeners: [127.0.0.1:8080]
issuers:
  corp: {issuer: https://login.example.test, audiences: portcullis}
resources:
  a: &a
    server: vllm
    upstreams: http://127.0.0.1:1
    timeouts: &slow {idle: 10m}
  b: {<<: *a, upstreams: http://127.0.0.1:2}
  c: {server: ollama, upstreams: http://127.0.0.1:3, timeouts: *slow}
";
    let config = folder.parse(text).unwrap();
    let [a, b, c] = config.resources.as_slice() else { panic!("three resources") };
    assert_eq!(b.server, a.server);
    assert_eq!(b.upstreams[0].to_string(), "http://127.0.0.1:2/");
    for resource in [a, b, c] {
        assert_eq!(resource.timeouts.idle, Duration::from_secs(600));
    }
}
