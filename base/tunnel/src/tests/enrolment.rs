//! Who may be an agent.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret;

use super::*;
use crate::agree::hello;
use crate::identity::AgentIdentity;
use crate::secure;
use crate::wire::{self, Hello, Welcome};
use crate::{TunnelError, Why};

fn why(refused: Result<Enrolled, TunnelError>) -> Why {
    match refused {
        Err(TunnelError::Refused(refused)) => refused.why,
        other => panic!("it should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_token_opens_once_and_what_is_asked_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let token = gateway.token("beside").await;
    let enrolled = Enrolled::join(&gateway.dials(), &token, &gateway.dyn_clock()).await.unwrap();
    assert_eq!(enrolled.identity().name.as_str(), "beside");
    assert_eq!(enrolled.identity().resources, only_llama());
    assert_eq!(why(Enrolled::join(&gateway.dials(), &token, &gateway.dyn_clock()).await), Why::Token);

    // What is kept is what was got, for its owner alone.
    let home = dir.path().join("agent");
    enrolled.keep(&home).unwrap();
    let kept = Enrolled::kept(&home).unwrap().unwrap();
    assert_eq!(kept.identity(), enrolled.identity());
    assert_eq!((kept.renew(), kept.expires()), (enrolled.renew(), enrolled.expires()));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(home.join("agent.json")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    assert!(Enrolled::kept(&dir.path().join("nowhere")).unwrap().is_none());

    let agent = Agent::begin(kept, vec![gateway.dials()], &home, gateway.dyn_clock(), echo);
    gateway.connected("beside").await;
    assert_eq!(gateway.ask("/v1/x?y=1").await.unwrap(), "/v1/x asked");
    agent.drained().await;
    gateway.close().await;
}

#[tokio::test]
async fn of_two_who_come_with_one_token_one_joins() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let (token, clock, at) = (gateway.token("beside").await, gateway.dyn_clock(), gateway.dials());
    let all = (0..6).map(|_| Enrolled::join(&at, &token, &clock));
    let mut joined = 0;
    for one in futures(all).await {
        match one {
            Ok(_) => joined += 1,
            refused => assert_eq!(why(refused), Why::Token),
        }
    }
    assert_eq!(joined, 1);
}

async fn futures<T: Send + 'static>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    soon(std::future::poll_fn(|context| {
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
    .await;
    done
}

#[tokio::test]
async fn a_token_that_is_too_old_or_was_changed_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let token = gateway.token("beside").await;
    gateway.clock.advance(Duration::from_secs(61));
    assert_eq!(why(Enrolled::join(&gateway.dials(), &token, &gateway.dyn_clock()).await), Why::Token);

    // The secret of one invitation with the name of another.
    let (one, other) = (gateway.token("one").await.text(), gateway.token("other").await.text());
    let (one, other): (Vec<&str>, Vec<&str>) =
        (one.expose_secret().split('.').collect(), other.expose_secret().split('.').collect());
    let crossed = JoinToken::read(&format!("pcj1.{}.{}.{}", one[1], other[2], one[3]).into()).unwrap();
    assert_eq!(why(Enrolled::join(&gateway.dials(), &crossed, &gateway.dyn_clock()).await), Why::Token);
    // And that invitation is still good.
    let good = JoinToken::read(&one.join(".").into()).unwrap();
    assert!(Enrolled::join(&gateway.dials(), &good, &gateway.dyn_clock()).await.is_ok());
}

#[tokio::test]
async fn a_token_is_shown_to_no_other_gateway() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (gateway, other) = (Gateway::open(dir.path()).await, Gateway::open(elsewhere.path()).await);
    let token = gateway.token("beside").await;
    let refused = Enrolled::join(&other.dials(), &token, &gateway.dyn_clock()).await;
    assert!(
        matches!(&refused, Err(TunnelError::Unreachable { why, .. }) if why.contains("not the gateway")),
        "{refused:?}"
    );
    // An agent of one is none of the other: TLS itself refuses its certificate.
    let enrolled = gateway.join("beside").await;
    assert!(enrolled.again(&other.dials(), &gateway.dyn_clock()).await.is_err());
}

#[tokio::test]
async fn names_are_taken_until_they_are_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let roster = gateway.agents.roster();
    let early = gateway.token("beside").await;
    gateway.join("beside").await;
    let lasts = Duration::from_secs(60);
    assert!(matches!(
        roster.invite(name("beside"), only_llama(), lasts, "ana").await,
        Err(TunnelError::Unfit(why)) if why.contains("enrolled already")
    ));
    // A token that was given out before does not replace who is there.
    assert_eq!(why(Enrolled::join(&gateway.dials(), &early, &gateway.dyn_clock()).await), Why::Token);
    let revoked = roster.revoke(&name("beside").unwrap(), Some("left"), "ana").await.unwrap().unwrap();
    assert_eq!(revoked.revoked.unwrap().reason.as_deref(), Some("left"));
    assert_eq!(roster.waiting().await.unwrap(), []);
    assert_eq!(roster.revoke(&name("nobody").unwrap(), None, "ana").await.unwrap(), None);
    gateway.join("beside").await;
    assert_eq!(roster.members().await.unwrap().len(), 1);
    for resources in [[].into(), (0..65).map(|n| ResourceName::new(&format!("r{n}")).unwrap()).collect()] {
        assert!(matches!(roster.invite(None, resources, lasts, "ana").await, Err(TunnelError::Unfit(_))));
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_with_a_new_key_and_ends_after_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let first = gateway.join("beside").await;
    let began = gateway.clock.now();
    assert_eq!(first.renew().duration_since(began).as_hours(), 16);
    assert_eq!(first.expires().duration_since(began).as_hours(), 24);
    // Its own clock stands still, so it does not renew by itself.
    let agent =
        Agent::begin(gateway_copy(&first, dir.path()), vec![gateway.dials()], dir.path(), clock(), echo);
    gateway.connected("beside").await;

    gateway.clock.advance(Duration::from_secs(23 * 3600));
    let next = first.again(&gateway.dials(), &gateway.dyn_clock()).await.unwrap();
    assert_eq!(next.expires().duration_since(began).as_hours(), 47);
    // Both are good until the first ends; then its tunnels end too.
    first.again(&gateway.dials(), &gateway.dyn_clock()).await.unwrap();
    gateway.clock.advance(Duration::from_secs(2 * 3600));
    until(|| gateway.connections("beside") == 0).await;
    assert!(first.again(&gateway.dials(), &gateway.dyn_clock()).await.is_err());
    next.again(&gateway.dials(), &gateway.dyn_clock()).await.unwrap();
    agent.drained().await;
}

/// The same membership once more, through its file.
fn gateway_copy(enrolled: &Enrolled, dir: &Path) -> Enrolled {
    enrolled.keep(dir).unwrap();
    Enrolled::kept(dir).unwrap().unwrap()
}

#[tokio::test]
async fn a_certificate_of_the_authority_that_the_roster_does_not_have_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let enrolled = gateway.join("beside").await;
    let roster = gateway.agents.roster();
    let key = rcgen::KeyPair::generate().unwrap();
    let forged = roster.authority.agent(enrolled.identity(), key.public_key_raw()).unwrap();
    assert_eq!(roster.admit(&forged.certificate).await.unwrap_err().why, Why::Unknown);
    assert_eq!(roster.admit(&CertificateDer::from(vec![1, 2, 3])).await.unwrap_err().why, Why::Unknown);
}

#[tokio::test]
async fn nothing_in_common_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let enrolled = gateway.join("beside").await;
    for (said, expected) in [
        (Hello { oldest: 7, newest: 9, ..hello() }, Why::Version),
        (Hello { features: Vec::new(), ..hello() }, Why::Feature),
    ] {
        let tls = enrolled.tunnel_tls(&gateway.dyn_clock()).unwrap();
        let mut stream = secure::connect(&gateway.dials(), tls).await.unwrap();
        wire::say(&mut stream, &said).await.unwrap();
        let welcome: Welcome = wire::hear(&mut stream).await.unwrap();
        let refused = crate::agree::welcomed(&welcome).unwrap_err();
        assert!(refused.why == expected && refused.sentence.contains("update the"), "{refused}");
    }
    // Nor does a tunnel open without a certificate.
    let tls = secure::joining(gateway.agents.roster().authority.fingerprint(), gateway.dyn_clock()).unwrap();
    let mut tls = (*tls).clone();
    tls.alpn_protocols = vec![secure::TUNNEL.to_vec()];
    let mut stream = secure::connect(&gateway.dials(), Arc::new(tls)).await.unwrap();
    wire::say(&mut stream, &hello()).await.unwrap();
    let welcome: Welcome = wire::hear(&mut stream).await.unwrap();
    assert_eq!(crate::agree::welcomed(&welcome).unwrap_err().why, Why::Unknown);
}

#[tokio::test]
async fn a_key_is_proved_in_the_connection_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let token = gateway.token("beside").await;
    let tls = || secure::joining(token.authority, gateway.dyn_clock()).unwrap();
    // Signed for one connection, said in another.
    let key = rcgen::KeyPair::generate().unwrap();
    let said = crate::enrol::tests_join(&token, &key, &[0; 32]);
    let mut stream = secure::connect(&gateway.dials(), tls()).await.unwrap();
    wire::say(&mut stream, &said).await.unwrap();
    let joined: wire::Joined = wire::hear(&mut stream).await.unwrap();
    assert_eq!(crate::Refused::heard(&joined.refused.unwrap()).why, Why::Malformed);
    // The token was not used up by it.
    assert!(Enrolled::join(&gateway.dials(), &token, &gateway.dyn_clock()).await.is_ok());
}

/// Believes one token, which says that its bearer is `beside`.
struct Believes(&'static str);

impl crate::Workloads for Believes {
    fn prove<'a>(&'a self, token: &'a str, _: std::net::SocketAddr) -> crate::Proving<'a> {
        let identity = AgentIdentity { name: name("beside").unwrap(), resources: only_llama() };
        let proven = crate::Proven { identity, by: "https://a.test#beside".to_owned() };
        let believed = if token == self.0 { Ok(proven) } else { Err(crate::Refused::workload()) };
        Box::pin(std::future::ready(believed))
    }
}

#[tokio::test]
async fn a_workloads_own_token_opens_as_often_as_it_is_good_and_not_once_it_is_put_out() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let authority: [u8; 32] = model::from_hex(&gateway.agents.roster().authority()).unwrap();
    let (at, clock) = (gateway.dials(), gateway.dyn_clock());
    let join = async |authority, token: &str| {
        Enrolled::join_as_workload(&at, authority, &token.to_owned().into(), &clock).await
    };
    // Nobody is let in so until somebody knows workloads.
    assert_eq!(why(join(authority, "good").await), Why::Token);
    gateway.agents.let_in(Arc::new(Believes("good")));
    assert_eq!(why(join(authority, "bad").await), Why::Token);
    // To another authority's gateway the token is not even shown.
    assert!(matches!(join([7; 32], "good").await, Err(TunnelError::Unreachable { .. })));

    let first = join(authority, "good\n").await.unwrap();
    assert_eq!((first.identity().name.as_str(), &first.identity().resources), ("beside", &only_llama()));
    let agent = Agent::begin(first, vec![gateway.dials()], dir.path(), gateway.dyn_clock(), echo);
    gateway.connected("beside").await;
    // It comes again, as after a restart that lost its folder, and the first is not cut by it.
    let second = join(authority, "good").await.unwrap();
    assert_eq!(gateway.ask("/v1/x").await.unwrap(), "/v1/x asked");

    let roster = gateway.agents.roster();
    roster.revoke(&second.identity().name, None, "ana").await.unwrap().unwrap();
    until(|| gateway.connections("beside") == 0).await;
    assert_eq!(why(join(authority, "good").await), Why::Revoked);
    agent.drained().await;
    // Somebody invites another under that name: it is theirs.
    gateway.join("beside").await;
    assert_eq!(why(join(authority, "good").await), Why::Token);
    gateway.close().await;
}
