//! What is said of bad files.

use super::Folder;
use crate::reference::SMALL;

#[test]
fn ten_mistakes_are_told_at_once() {
    let text = "\
listeners: [127.0.0.1:8080, 0.0.0.0:8443]
issuer:
  corp: {}
issuers:
  corp:
    issuer: http://login.example.test
    audiences: []
    algorithms: [RS256, HS256]
    skew: 10 parsecs
resources:
  llama:
    server: lama-cpp
    upstreams: http://127.0.0.1:8081
    upstreams: http://127.0.0.1:8082
    max_request_bytes: 2TiB
  Orders: {kind: http, upstreams: [orders.test]}
policies: no-such-folder
";
    insta::assert_snapshot!(Folder::new().faults(text), @r#"
    portcullis.yaml:1:29 listeners[1]: plain HTTP on 0.0.0.0:8443 would show callers' tokens to the network; expected `tls: local`, `tls` with a certificate and its key, or `plain: allowed`
      1 | listeners: [127.0.0.1:8080, 0.0.0.0:8443]
        |                             ^^^^^^^^^^^^
    portcullis.yaml:2:1 issuer: `issuer` is no key here; did you mean `issuers`?; expected one of listeners, public_url, observe, admin, agents, issuers, resources, policies, ledger, state, limits, approvals, people, deny_lists, masking, console
      2 | issuer:
        | ^^^^^^
    portcullis.yaml:6:13 issuers.corp.issuer: this URL is plain HTTP: who controls the network could put in keys of their own; use `https`; expected a URL, as `https://login.example.test`
      6 |     issuer: http://login.example.test
        |             ^^^^^^^^^^^^^^^^^^^^^^^^^
    portcullis.yaml:7:5 issuers.corp.audiences: the list is empty; expected a list of at least 1, each: text
      7 |     audiences: []
        |     ^^^^^^^^^
    portcullis.yaml:8:25 issuers.corp.algorithms[1]: `HS256` signs with a shared secret: whoever can verify a token could also make one; expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA
      8 |     algorithms: [RS256, HS256]
        |                         ^^^^^
    portcullis.yaml:9:11 issuers.corp.skew: `10 parsecs` is no length of time; expected a length of time from 0s to 5m, as `30s`, `5m`, `1h`
      9 |     skew: 10 parsecs
        |           ^^^^^^^^^^
    portcullis.yaml:12:13 resources.llama.server: `lama-cpp` is not known here; did you mean `llama-cpp`?; expected `openai` or `vllm` or `llama-cpp` or `ollama` or `tgi` or `sglang` or `kserve` or `triton`
      12 |     server: lama-cpp
         |             ^^^^^^^^
    portcullis.yaml:14:5 resources.llama.upstreams: `upstreams` is written twice, first on line 13; expected each key once
      14 |     upstreams: …
         |     ^^^^^^^^^
    portcullis.yaml:15:24 resources.llama.max_request_bytes: `2TiB` is out of bounds; expected a number of bytes from 1KiB to 1GiB, as `16MiB`
      15 |     max_request_bytes: 2TiB
         |                        ^^^^
    portcullis.yaml:16:3 resources.Orders: `Orders` is no name; expected 1 to 63 of a-z, 0-9 and `-`, which is neither first nor last
      16 |   Orders: {kind: http, upstreams: [orders.test]}
         |   ^^^^^^
    portcullis.yaml:16:3 resources.Orders: no `routes` are here, so nothing could be asked; expected for `kind: http` a list of `{match: "GET /orders/{id}", class: read, name: orders.get}`
      16 |   Orders: {kind: http, upstreams: [orders.test]}
         |   ^^^^^^
    portcullis.yaml:16:36 resources.Orders.upstreams[0]: `orders.test` is not a URL that can be used: it does not begin with `http://` or `https://`; expected a URL, as `https://login.example.test`
      16 |   Orders: {kind: http, upstreams: [orders.test]}
         |                                    ^^^^^^^^^^^
    portcullis.yaml:17:11 policies: no folder `no-such-folder` is there; expected a folder that is there
      17 | policies: no-such-folder
         |           ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_reference_to_what_is_not_there_is_a_fault() {
    let more = "\
ledger: tls/key.pem
limits: {connections: many, drain: 5, header_bytes: 1KiB, queue: 1}
";
    insta::assert_snapshot!(Folder::new().faults_with(more), @r#"
    portcullis.yaml:6:9 ledger: `tls/key.pem` is there, and is no folder; expected a folder
      6 | ledger: tls/key.pem
        |         ^^^^^^^^^^^
    portcullis.yaml:7:23 limits.connections: `many` is no whole number; expected a whole number from 1 to 1000000
      7 | limits: {connections: many, drain: 5, header_bytes: 1KiB, queue: …}
        |                       ^^^^
    portcullis.yaml:7:36 limits.drain: `5` is no length of time; expected a length of time from 0s to 1h, as `30s`, `5m`, `1h`
      7 | limits: {connections: many, drain: 5, header_bytes: 1KiB, queue: …}
        |                                    ^
    portcullis.yaml:7:53 limits.header_bytes: `1KiB` is out of bounds; expected a number of bytes from 8KiB to 1MiB, as `16MiB`
      7 | limits: {connections: many, drain: 5, header_bytes: 1KiB, queue: …}
        |                                                     ^^^^
    portcullis.yaml:7:59 limits.queue: `queue` is no key here; expected one of connections, requests_in_flight, body_bytes_in_flight, header_bytes, header_timeout, body_timeout, streams_per_connection, drain, token_cache
      7 | limits: {connections: many, drain: 5, header_bytes: 1KiB, queue: …}
        |                                                           ^^^^^
    "#);
    let text = "\
listeners: [{address: 127.0.0.1:1, tls: {certificate: tls/none.pem}}]
issuers:
  corp: {issuer: https://login.example.test, audiences: a, ca_file: tls}
resources:
  llama: {server: vllm, upstreams: https://a.test, upstream_tls: {client_key: tls/client-key.pem}}
";
    insta::assert_snapshot!(Folder::new().faults(text), @r#"
    portcullis.yaml:1:36 listeners[0].tls: `certificate` and `key` go together; expected both, or neither
      1 | listeners: [{address: 127.0.0.1:1, tls: {certificate: tls/none.pem}}]
        |                                    ^^^
    portcullis.yaml:1:55 listeners[0].tls.certificate: no file `tls/none.pem` is there; expected a file that can be read
      1 | listeners: [{address: 127.0.0.1:1, tls: {certificate: tls/none.pem}}]
        |                                                       ^^^^^^^^^^^^
    portcullis.yaml:3:69 issuers.corp.ca_file: no file `tls` is there; expected a file that can be read
      3 |   corp: {issuer: https://login.example.test, audiences: a, ca_file: tls}
        |                                                                     ^^^
    portcullis.yaml:5:52 resources.llama.upstream_tls: `client_certificate` and `client_key` go together; expected both, or neither
      5 |   llama: {server: vllm, upstreams: https://a.test, upstream_tls: {client_key: tls/client-key.pem}}
        |                                                    ^^^^^^^^^^^^
    "#);
}

#[test]
fn each_kind_of_value_says_what_it_wants() {
    let text = "\
listeners: 127.0.0.1
observe: 192.0.2.1:9090
issuers:
  corp:
    issuer: https://user:pass@login.example.test
    audiences: {a: b}
    jwks: ftp://login.example.test
    kind: machine
    groups: groups
    mfa: [mfa]
    carry: {dept: /a~2}
    max_token_age:
resources:
  llama:
    server: vllm
    upstreams: ['https://a.test/?q=1', 'https://a.test:99999', 'https://']
    hosts: [a.test:80]
    forward_headers: [authorization, x_y, Host]
    record_bodies: yes
    timeouts: 5s
policies: {timezone: Europe/Atlantis}
deny_lists: {a: {patterns: ['(', 'x*'], words: [' y']}, b: {}}
";
    insta::assert_snapshot!(Folder::new().faults(text), @r#"
    portcullis.yaml:1:12 listeners: `127.0.0.1` has no port; expected an address with its port, as `127.0.0.1:8080` or `[::1]:8080`
      1 | listeners: 127.0.0.1
        |            ^^^^^^^^^
    portcullis.yaml:2:10 observe: 192.0.2.1:9090 would show health and metrics to the network; expected a loopback address, or `plain: allowed`
      2 | observe: 192.0.2.1:9090
        |          ^^^^^^^^^^^^^^
    portcullis.yaml:5:13 issuers.corp.issuer: a URL here has no user, query or fragment; a secret goes under `credential`; expected a URL, as `https://login.example.test`
      5 |     issuer: …
        |             ^
    portcullis.yaml:6:5 issuers.corp.audiences: a mapping stands here; expected a list of at least 1, each: text
      6 |     audiences: {a: b}
        |     ^^^^^^^^^
    portcullis.yaml:7:11 issuers.corp.jwks: `ftp://login.example.test` is not a URL that can be used: it does not begin with `http://` or `https://`; expected a URL, as `https://login.example.test`
      7 |     jwks: ftp://login.example.test
        |           ^^^^^^^^^^^^^^^^^^^^^^^^
    portcullis.yaml:8:11 issuers.corp.kind: `machine` is not known here; expected `human` or `workload`, or a mapping of workload_when, human_when
      8 |     kind: machine
        |           ^^^^^^^
    portcullis.yaml:9:13 issuers.corp.groups: `groups` is no JSON pointer; did you mean `/groups`?; expected a JSON pointer, as `/groups` or `/realm_access/roles`
      9 |     groups: groups
        |             ^^^^^^
    portcullis.yaml:10:5 issuers.corp.mfa: a list stands here; expected a mapping of amr, acr
      10 |     mfa: [mfa]
         |     ^^^
    portcullis.yaml:11:19 issuers.corp.carry.dept: `/a~2` is no JSON pointer: `~` is written `~0`; expected a JSON pointer, as `/groups` or `/realm_access/roles`
      11 |     carry: {dept: /a~2}
         |                   ^^^^
    portcullis.yaml:12:5 issuers.corp.max_token_age: nothing stands here; expected a length of time from 1m to 30d, as `30s`, `5m`, `1h`
      12 |     max_token_age:
         |     ^^^^^^^^^^^^^
    portcullis.yaml:16:17 resources.llama.upstreams[0]: a URL here has no user, query or fragment; a secret goes under `credential`; expected a URL, as `https://login.example.test`
      16 |     upstreams: […, 'https://a.test:99999', 'https://']
         |                 ^
    portcullis.yaml:16:40 resources.llama.upstreams[1]: `https://a.test:99999` is not a URL that can be used: its port is not between 1 and 65535; expected a URL, as `https://login.example.test`
      16 |     upstreams: […, 'https://a.test:99999', 'https://']
         |                    ^^^^^^^^^^^^^^^^^^^^^^
    portcullis.yaml:16:64 resources.llama.upstreams[2]: `https://` is not a URL that can be used: it cannot be read; expected a URL, as `https://login.example.test`
      16 |     upstreams: […, 'https://a.test:99999', 'https://']
         |                                            ^^^^^^^^^^
    portcullis.yaml:17:13 resources.llama.hosts[0]: `a.test:80` is no host name; expected a host name without port, as `llama.example.test`
      17 |     hosts: [a.test:80]
         |             ^^^^^^^^^
    portcullis.yaml:18:23 resources.llama.forward_headers[0]: `authorization` carries callers' tokens; expected another header
      18 |     forward_headers: [authorization, x_y, Host]
         |                       ^^^^^^^^^^^^^
    portcullis.yaml:18:38 resources.llama.forward_headers[1]: `x_y` has an underscore, which servers read as `-`; expected a header's name, as `x-trace-id`
      18 |     forward_headers: [authorization, x_y, Host]
         |                                      ^^^
    portcullis.yaml:18:43 resources.llama.forward_headers[2]: the gateway governs `host` itself; expected a header's name, as `x-trace-id`
      18 |     forward_headers: [authorization, x_y, Host]
         |                                           ^^^^
    portcullis.yaml:19:20 resources.llama.record_bodies: `yes` is neither `true` nor `false`; expected `true` or `false`
      19 |     record_bodies: yes
         |                    ^^^
    portcullis.yaml:20:15 resources.llama.timeouts: a single value stands here; expected a mapping of connect, first_byte, idle, exchange
      20 |     timeouts: 5s
         |               ^^
    portcullis.yaml:21:22 policies.timezone: `Europe/Atlantis` is not in the system's time zone database; expected an IANA time zone, as `Europe/Berlin`
      21 | policies: {timezone: Europe/Atlantis}
         |                      ^^^^^^^^^^^^^^^
    portcullis.yaml:22:29 deny_lists.a.patterns[0]: the expression does not compile: unclosed group; expected a regular expression
      22 | deny_lists: {a: {patterns: ['(', 'x*'], words: [' y']}, b: {}}
         |                             ^^^
    portcullis.yaml:22:34 deny_lists.a.patterns[1]: the expression matches empty text, so it would match every request; expected a regular expression
      22 | deny_lists: {a: {patterns: ['(', 'x*'], words: [' y']}, b: {}}
         |                                  ^^^^
    portcullis.yaml:22:49 deny_lists.a.words[0]: a word has no blanks around it and at most 200 bytes; expected text
      22 | deny_lists: {a: {patterns: ['(', 'x*'], words: [' y']}, b: {}}
         |                                                 ^^^^
    portcullis.yaml:22:57 deny_lists.b: the list is empty: it would match nothing; expected `patterns`, `words`, or both
      22 | deny_lists: {a: {patterns: ['(', 'x*'], words: [' y']}, b: {}}
         |                                                         ^
    "#);
}

#[test]
fn rules_between_values_are_told() {
    let text = "\
listeners: [127.0.0.1:8080, {address: 127.0.0.1:8080, tls: local, plain: allowed}]
observe: 127.0.0.1:8080
issuers:
  a: {issuer: https://login.example.test, audiences: x, kind: {workload_when: {claim: /a}}}
  b: {issuer: https://login.example.test, audiences: y, groups: {from: [{claim: /b, equals: c, domain: d.test, groups: e}]}}
resources:
  llama: {server: vllm, upstreams: http://10.0.0.1:80, credential: env:KEY, hosts: h.test, routes: []}
  orders:
    kind: http
    upstreams: https://a.test
    hosts: H.test
    server: vllm
    credential: {value: env:KEY, header: x-key}
    forward_headers: x-key
    routes:
      - {match: \"GET /a/{x}\", class: read, name: one}
      - {match: \"GET /a/{y}\", class: red, name: two}
      - {match: \"GET /a/{z}\", class: read, name: three}
      - {match: \"FETCH /a\", class: read, name: four}
      - {match: \"GET /a/../b\", class: read, name: five}
  empty: {kind: http, upstreams: https://b.test}
";
    insta::assert_snapshot!(Folder::new().faults(text), @r#"
    portcullis.yaml:1:29 listeners[1]: 127.0.0.1:8080 takes this port already; expected each address and port once
      1 | listeners: [127.0.0.1:8080, {address: 127.0.0.1:8080, tls: local, plain: allowed}]
        |                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    portcullis.yaml:1:29 listeners[1]: `plain` and `tls` exclude each other; expected one of the two
      1 | listeners: [127.0.0.1:8080, {address: 127.0.0.1:8080, tls: local, plain: allowed}]
        |                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    portcullis.yaml:2:10 observe: 127.0.0.1:8080 takes this port already; expected each address and port once
      2 | observe: 127.0.0.1:8080
        |          ^^^^^^^^^^^^^^
    portcullis.yaml:4:64 issuers.a.kind.workload_when: no test is here; expected one of `equals`, `starts_with`, `ends_with`, `domain`, `present: true`
      4 |   a: {issuer: https://login.example.test, audiences: x, kind: {workload_when: {claim: /a}}}
        |                                                                ^^^^^^^^^^^^^
    portcullis.yaml:5:3 issuers.b: `a` has this issuer already; expected each issuer once, with all its audiences
      5 |   b: {issuer: https://login.example.test, audiences: y, groups: {from: [{claim: /b, equals: c, domain: d.test, groups: e…
        |   ^
    portcullis.yaml:5:73 issuers.b.groups.from[0]: several tests are here; expected one of `equals`, `starts_with`, `ends_with`, `domain`, `present: true`
      5 |   b: {issuer: https://login.example.test, audiences: y, groups: {from: [{claim: /b, equals: c, domain: d.test, groups: e…
        |                                                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    portcullis.yaml:7:3 resources.llama: `routes` are for `kind: http`; a model's operations follow from `server`; expected no `routes`
      7 |   llama: {server: vllm, upstreams: http://10.0.0.1:80, credential: env:KEY, hosts: h.test, routes: []}
        |   ^^^^^
    portcullis.yaml:7:36 resources.llama.upstreams: the credential would travel over plain HTTP to another machine; expected an `https` URL, or `upstream_plain: allowed`
      7 |   llama: {server: vllm, upstreams: http://10.0.0.1:80, credential: env:KEY, hosts: h.test, routes: []}
        |                                    ^^^^^^^^^^^^^^^^^^
    portcullis.yaml:8:3 resources.orders: `h.test` addresses `llama` already; expected each host once
      8 |   orders:
        |   ^^^^^^
    portcullis.yaml:12:13 resources.orders.server: `server` is for models; expected `kind: model`, or no `server`
      12 |     server: vllm
         |             ^^^^
    portcullis.yaml:14:22 resources.orders.forward_headers: `x-key` carries the credential; expected another header
      14 |     forward_headers: x-key
         |                      ^^^^^
    portcullis.yaml:17:38 resources.orders.routes[1].class: `red` is not known here; did you mean `read`?; expected `infer` or `embed` or `batch` or `tokenize` or `inspect` or `read` or `write` or `manage` or `train` or `export` or `administer` or `unknown`
      17 |       - {match: "GET /a/{y}", class: red, name: two}
         |                                      ^^^
    portcullis.yaml:18:9 resources.orders.routes[2]: `one` stands before it and matches the same; expected each route once
      18 |       - {match: "GET /a/{z}", class: read, name: three}
         |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    portcullis.yaml:19:17 resources.orders.routes[3].match: `FETCH` is no method that can be routed; expected a method and a path, as `GET /orders/{id}`
      19 |       - {match: "FETCH /a", class: read, name: four}
         |                 ^^^^^^^^^^
    portcullis.yaml:20:17 resources.orders.routes[4].match: the path `/a/../b` holds `//`, `.` or `..`; expected a method and a path, as `GET /orders/{id}`
      20 |       - {match: "GET /a/../b", class: read, name: five}
         |                 ^^^^^^^^^^^^^
    portcullis.yaml:21:3 resources.empty: no `routes` are here, so nothing could be asked; expected for `kind: http` a list of `{match: "GET /orders/{id}", class: read, name: orders.get}`
      21 |   empty: {kind: http, upstreams: https://b.test}
         |   ^^^^^
    "#);
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    let folder = Folder::new();
    let texts = [
        "a: [1, 2",
        "a: b: c",
        "\ta: 1",
        "a: 1\n---\nb: 2",
        "%YAML 1.2\n---\na: 1",
        "a: !!str b",
        "- a",
        "",
        "a: *b",
    ];
    let faults: Vec<String> = texts.into_iter().map(|text| folder.faults(text)).collect();
    insta::assert_snapshot!(faults.join("\n"), @r#"
    portcullis.yaml:1:4: this is not YAML: unclosed bracket '['
      1 | a: …
        |    ^

    portcullis.yaml:1:5: this is not YAML: mapping values are not allowed in this context
      1 | a: …
        |     ^

    portcullis.yaml:1:1 issuers: `issuers` is missing; expected names, each with: a mapping with issuer, audiences
    portcullis.yaml:1:1 listeners: `listeners` is missing; expected a list of at least 1, each: an address with its port, as `127.0.0.1:8080` or `[::1]:8080`, or a mapping with address
    portcullis.yaml:1:1 resources: `resources` is missing; expected names, each with: a mapping of kind, server, upstreams, agent, hosts, credential, upstream_plain, upstream_tls, routes, forward_headers, return_headers, timeouts, max_request_bytes, max_held_answer_bytes, on_token_expiry, unknown_streams, fields, disclose, hold, record_bodies, retention
    portcullis.yaml:1:2 a: `a` is no key here; expected one of listeners, public_url, observe, admin, agents, issuers, resources, policies, ledger, state, limits, approvals, people, deny_lists, masking, console
      1 |  a: …
        |  ^

    portcullis.yaml:2:1: a second document begins here; expected one document
      2 | ---
        | ^^^

    portcullis.yaml:1:1: this is not YAML: YAML directives are disallowed
      1 | …
        | ^

    portcullis.yaml:1:1 a: `a` is no key here; expected one of listeners, public_url, observe, admin, agents, issuers, resources, policies, ledger, state, limits, approvals, people, deny_lists, masking, console
      1 | a: …
        | ^
    portcullis.yaml:1:1 issuers: `issuers` is missing; expected names, each with: a mapping with issuer, audiences
    portcullis.yaml:1:1 listeners: `listeners` is missing; expected a list of at least 1, each: an address with its port, as `127.0.0.1:8080` or `[::1]:8080`, or a mapping with address
    portcullis.yaml:1:1 resources: `resources` is missing; expected names, each with: a mapping of kind, server, upstreams, agent, hosts, credential, upstream_plain, upstream_tls, routes, forward_headers, return_headers, timeouts, max_request_bytes, max_held_answer_bytes, on_token_expiry, unknown_streams, fields, disclose, hold, record_bodies, retention
    portcullis.yaml:1:4 a: tags as `!!str` mean nothing here; expected the value without its tag, or in quotes
      1 | a: …
        |    ^

    portcullis.yaml:1:1: a list stands here; expected a mapping with listeners, issuers, resources

    portcullis.yaml:1:1 issuers: `issuers` is missing; expected names, each with: a mapping with issuer, audiences
    portcullis.yaml:1:1 listeners: `listeners` is missing; expected a list of at least 1, each: an address with its port, as `127.0.0.1:8080` or `[::1]:8080`, or a mapping with address
    portcullis.yaml:1:1 resources: `resources` is missing; expected names, each with: a mapping of kind, server, upstreams, agent, hosts, credential, upstream_plain, upstream_tls, routes, forward_headers, return_headers, timeouts, max_request_bytes, max_held_answer_bytes, on_token_expiry, unknown_streams, fields, disclose, hold, record_bodies, retention

    portcullis.yaml:1:1 a: `a` is no key here; expected one of listeners, public_url, observe, admin, agents, issuers, resources, policies, ledger, state, limits, approvals, people, deny_lists, masking, console
      1 | a: …
        | ^
    portcullis.yaml:1:1 issuers: `issuers` is missing; expected names, each with: a mapping with issuer, audiences
    portcullis.yaml:1:1 listeners: `listeners` is missing; expected a list of at least 1, each: an address with its port, as `127.0.0.1:8080` or `[::1]:8080`, or a mapping with address
    portcullis.yaml:1:1 resources: `resources` is missing; expected names, each with: a mapping of kind, server, upstreams, agent, hosts, credential, upstream_plain, upstream_tls, routes, forward_headers, return_headers, timeouts, max_request_bytes, max_held_answer_bytes, on_token_expiry, unknown_streams, fields, disclose, hold, record_bodies, retention
    portcullis.yaml:1:4 a: this alias has no anchor before it; expected quotes around a value that begins with `*`
      1 | a: …
        |    ^
    "#);
}

#[test]
fn a_limit_that_no_request_could_keep_is_a_fault() {
    let folder = Folder::new();
    let told = folder.faults_with("limits: {body_bytes_in_flight: 8MiB}\n");
    assert!(told.contains("`max_request_bytes` of `llama` is more than `body_bytes_in_flight`"), "{told}");
    assert!(folder.parse(&format!("{SMALL}limits: {{body_bytes_in_flight: 16MiB}}\n")).is_ok());
}

/// Made up where it is used, so that no text in the tree looks like a secret.
fn sample() -> String {
    ["sk", "live", &"q7".repeat(12)].join("-")
}

#[test]
fn a_literal_secret_is_refused_and_never_shown() {
    let folder = Folder::new();
    let secret = sample();
    let resource = |credential: &str| {
        format!("{}  b: {{server: oops, credential: {credential}, upstreams: https://b.test}}\n", SMALL)
    };
    let bad = [
        resource(&secret),
        resource(&format!("env:{secret}")),
        resource(&format!("{{value: {secret}, scheme: Bearer}}")),
        resource(&format!("{{valu: {secret}}}")),
        resource(&format!("[{secret}]")),
        resource(&format!("{{value: {{x: {secret}}}}}")),
        resource(&format!("{{value: env:KEY, value: {secret}}}")),
        resource(&format!("{{value: env:KEY, scheme: '{secret} {secret}'}}")),
        format!("{SMALL}  b: {{server: vllm, api_key: {secret}, upstreams: https://b.test}}\n"),
        format!("{SMALL}  b: {{server: vllm, upstreams: 'https://x:{secret}@b.test'}}\n"),
        format!("{SMALL}  b: {{server: vllm, upstreams: 'https://b.test/?key={secret}'}}\n"),
        format!("{SMALL}  b: {{server: oops, upstreams: https://b.test}} # was {secret}\n"),
        format!(
            "{SMALL}  b:\n    server: vllm\n    upstreams: https://b.test\n    credential: |\n      {secret}\n"
        ),
        format!("{SMALL}  b:\n    credential: {secret}: x\n"),
        format!("{SMALL}  b: {{credential: {secret}\n"),
        format!("{SMALL}  b:\n    credential: \"{secret}\n"),
        format!("{SMALL}  b:\n    credential: *{secret}\n"),
        format!("{SMALL}  b:\n    credential: !{secret} x\n"),
    ];
    for text in bad {
        let faults = folder.parse(&text).unwrap_err();
        let told = format!("{}{}{faults}{faults:?}", faults.render(true), faults.to_json());
        assert!(!told.contains(secret.trim_start_matches("sk-")), "{text}\n{told}");
    }
    let told = folder.faults(&resource(&secret));
    assert!(told.contains("`env:NAME` or `file:PATH`"), "{told}");
}

#[test]
fn a_secret_by_reference_is_taken() {
    let folder = Folder::new();
    for reference in
        ["env:LLAMA_KEY", "file:/run/secrets/llama", "file:keys/llama", "{value: env:A, header: X-Key}"]
    {
        let text =
            format!("{SMALL}  b: {{server: vllm, credential: {reference}, upstreams: https://b.test}}\n");
        assert!(folder.parse(&text).is_ok(), "{reference}");
    }
}

#[test]
fn faults_are_told_to_programs_and_in_colour() {
    let folder = Folder::new();
    let faults = folder.parse(&format!("{SMALL}ledgr: x\n")).unwrap_err();
    assert_eq!(faults.count(), 1);
    let fault = faults.iter().next().unwrap();
    assert_eq!((fault.line, fault.column, fault.key.as_str()), (6, 1, "ledgr"));
    let told = faults.to_json();
    assert_eq!(told["faults"][0]["message"], "`ledgr` is no key here; did you mean `ledger`?");
    assert_eq!(told["faults"][0]["line"], 6);
    assert_eq!(told["count"], 1);
    assert!(faults.render(true).contains("\u{1b}[1;31m"));
    assert!(!faults.render(false).contains('\u{1b}'));
}

#[test]
fn control_characters_never_reach_a_terminal() {
    let folder = Folder::new();
    let told = folder.faults("\"\\e[31mred\\u202e\": 1\nlisteners: \"\\e]0;x\\a\"\n");
    assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{told:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault() {
    let folder = Folder::new();
    let missing = crate::load(&folder.path("none.yaml")).unwrap_err();
    assert!(missing.to_string().contains("none.yaml: the file cannot be read"));
    let file = folder.path("portcullis.yaml");
    std::fs::write(&file, b"a: 1\nb: \xff\n").unwrap();
    assert!(
        crate::load(&file).unwrap_err().to_string().ends_with("line 2 is not UTF-8; expected UTF-8 text")
    );
    std::fs::write(&file, "# é".repeat(400_000)).unwrap();
    assert!(crate::load(&file).unwrap_err().to_string().contains("larger than 1048576 bytes"));
}
