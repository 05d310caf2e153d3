//! What a login may say, and what would lead nobody in.

use super::Folder;
use crate::LOGIN_METADATA_PATH;
use crate::reference::SMALL;

fn with_login(login: &str) -> String {
    let with = SMALL.replacen("portcullis}", &format!("portcullis, login: {login}}}"), 1);
    assert_ne!(with, SMALL);
    with
}

#[test]
fn a_login_needs_only_its_client() {
    let config = Folder::new().parse(&with_login("{client_id: cli}")).unwrap();
    let login = config.issuers[0].login.clone().unwrap();
    assert_eq!(login.scopes, ["openid", "profile", "email", "offline_access"]);
    assert_eq!(login.redirect_uri, "http://127.0.0.1/callback");
    assert!(!login.id_token && login.resource.is_none() && login.audience.is_none());
    // An ID token's audience is the client.
    let config = Folder::new().parse(&with_login("{client_id: portcullis, token: id}")).unwrap();
    assert!(config.issuers[0].login.as_ref().unwrap().id_token);
}

#[test]
fn a_login_that_leads_nowhere_is_told() {
    for (login, words) in [
        ("{}", "`client_id` is missing"),
        ("{client_id: cli, token: id}", "the audience of an ID token is `cli`"),
        ("{client_id: cli, scopes: [openid profile]}", "is no scope"),
        (
            "{client_id: cli, redirect_uri: 'https://gateway.example.test/cb'}",
            "not on the person's own machine",
        ),
        ("{client_id: cli, redirect_uri: 'http://evil.example.test/cb'}", "not on the person's own machine"),
        ("{client_id: cli, client_secret: x}", "`client_secret` is no key here"),
    ] {
        let faults = Folder::new().faults(&with_login(login));
        assert!(faults.contains(words), "{login}: {faults}");
    }
}

#[test]
fn the_public_url_is_a_host_alone() {
    let parse = |url: &str| Folder::new().parse(&format!("{SMALL}public_url: {url}\n"));
    assert_eq!(parse("https://gw.example.test/").unwrap().public_url.unwrap(), "https://gw.example.test");
    for bad in ["https://gw.example.test/x", "http://gw.example.test", "gw.example.test", "https://a@b"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn no_route_hides_behind_the_gateways_own_path() {
    let resource = |hosts: &str, path: &str| {
        format!(
            "{SMALL}  orders:\n    kind: http\n    upstreams: http://orders.internal.test\n{hosts}    routes:\n      \
             - {{match: \"GET {path}\", class: read, name: one}}\n"
        )
    };
    let parse = |hosts: &str, path: &str| Folder::new().parse(&resource(hosts, path));
    let hosts = "    hosts: [orders.example.test]\n";
    for path in [LOGIN_METADATA_PATH.to_owned(), format!("{LOGIN_METADATA_PATH}/x")] {
        assert!(parse("", &path).is_ok(), "below the resource's name it is another path");
        assert!(Folder::new().faults(&resource(hosts, &path)).contains("would never be asked"), "{path}");
    }
    assert!(parse(hosts, &format!("{LOGIN_METADATA_PATH}s")).is_ok());
}
