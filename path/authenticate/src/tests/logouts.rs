//! Logout tokens, signed and sent: what they end, and which are refused.

use config::BackchannelLogout;
use serde_json::{Value, json};
use store::{SqliteStore, Store};

use super::sampled::{Draft, KeyPair, Site};
use super::*;
use crate::{LogoutError, Standing};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

struct Hearing {
    world: World,
    key: KeyPair,
    _folder: tempfile::TempDir,
}

impl Hearing {
    async fn start() -> Self {
        let (key, folder) = (KeyPair::ed(), tempfile::tempdir().unwrap());
        let site = Site::start().await;
        site.publish(&[("k", &key)]);
        let mut settings = config::Issuer::new("site", &site.url, "gateway");
        settings.allow_http = true;
        settings.backchannel_logout = Some(BackchannelLogout {
            audiences: vec!["cli".to_owned()],
            token_types: vec!["logout+jwt".to_owned()],
        });
        let mut deaf = config::Issuer::new("deaf", &site.url, "elsewhere");
        deaf.allow_http = true;
        let clock = Arc::new(FixedClock::at(now()));
        let store = SqliteStore::open(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let standing =
            Standing::open(Arc::new(store) as Arc<dyn Store>, Arc::clone(&clock) as Arc<dyn Clock>);
        let world = World::judged(site, &[settings, deaf], clock, standing.await.unwrap());
        Self { world, key, _folder: folder }
    }

    fn draft(&self, id: &str) -> Draft {
        let draft = self.world.draft().header("typ", "logout+jwt").claim("aud", "cli").claim("jti", id);
        draft.claim("events", json!({ EVENT: {} }))
    }

    async fn send(&self, draft: &Draft) -> Result<crate::LoggedOut, LogoutError> {
        self.world.authenticator.log_out("site", &draft.sign("k", &self.key)).await
    }
}

#[tokio::test]
async fn a_logout_ends_what_it_names_once() {
    let hearing = Hearing::start().await;
    let token = hearing.world.draft().claim("sid", "s1").sign("k", &hearing.key);
    let other = hearing.world.draft().claim("sub", "bob").sign("k", &hearing.key);
    let caller = hearing.world.caller(&token).await.unwrap();
    let standing = hearing.world.authenticator.standing();
    let mut live = standing.live(&caller);
    assert!(live.ended().is_none());
    let draft = hearing.draft("1").without("sub").claim("sid", "s1");
    let ended = hearing.send(&draft).await.unwrap();
    assert_eq!((ended.subject, ended.session.as_deref()), (None, Some("s1")));
    assert_eq!(live.until_ended().await.refusal().code, model::Code::TokenRevoked);
    assert_eq!(hearing.world.check(&token).await, "standing");
    assert_eq!(hearing.world.check(&other).await, "accepted");
    assert!(matches!(hearing.send(&draft).await, Err(LogoutError::Replayed)));
    let all = hearing.draft("2").claim("sub", "bob");
    assert!(hearing.send(&all).await.is_ok());
    assert_eq!(hearing.world.check(&other).await, "standing");
}

#[tokio::test]
async fn nothing_but_a_logout_token_of_the_issuer_is_one() {
    let hearing = Hearing::start().await;
    let token = hearing.world.draft().sign("k", &hearing.key);
    let forger = KeyPair::ed();
    let good = |id: &str| hearing.draft(id);
    for (name, draft) in [
        ("an access token's type", good("a").header("typ", "at+jwt")),
        ("no type", good("b").header("typ", Value::Null)),
        ("another's audience", good("c").claim("aud", "gateway")),
        ("another issuer", good("d").claim("iss", "https://elsewhere.test")),
        ("a nonce", good("e").claim("nonce", "n")),
        ("no event", good("f").without("events")),
        ("crit", good("g").header("crit", json!(["x"]))),
        ("old", good("h").claim("iat", now().as_second() - 400)),
    ] {
        assert!(hearing.send(&draft).await.is_err(), "{name}");
    }
    let forged = good("i").sign("k", &forger);
    let refused = hearing.world.authenticator.log_out("site", &forged).await.unwrap_err();
    assert!(matches!(refused, LogoutError::Token(AuthenticateError::Signature(_))), "{refused}");
    for name in ["deaf", "unknown"] {
        let sent = hearing.world.authenticator.log_out(name, &good("j").sign("k", &hearing.key)).await;
        assert!(matches!(sent, Err(LogoutError::Unheard(_))), "{name}");
    }
    // A logout token opens nothing, and none of these ended anything.
    assert_eq!(hearing.world.check(&good("k").claim("aud", "gateway").sign("k", &hearing.key)).await, "type");
    assert_eq!(hearing.world.check(&token).await, "accepted");
    assert!(hearing.send(&good("a")).await.is_ok(), "the control passes");
}

#[tokio::test]
async fn a_logout_ends_what_a_person_signed_in_to() {
    let hearing = Hearing::start().await;
    let expected = crate::Expected {
        issuer: "site",
        client: "console",
        nonce: "n",
        access_token: None,
        max_age: None,
        believe: secs(600),
    };
    let sign_in = async |session: &str| {
        let draft = hearing.world.draft().claim("aud", "console").claim("nonce", "n").claim("sid", session);
        hearing.world.authenticator.sign_in(&draft.sign("k", &hearing.key), &expected).await
    };
    let (ended, other) = (sign_in("s1").await.unwrap(), sign_in("s2").await.unwrap());
    let exchange = ExchangeId::at(now());
    let resume = |signed_in| hearing.world.authenticator.resume(exchange, signed_in);
    assert!(resume(&ended).is_ok());
    hearing.send(&hearing.draft("1").without("sub").claim("sid", "s1")).await.unwrap();
    assert!(matches!(resume(&ended), Err(AuthenticateError::LoggedOut)));
    assert!(resume(&other).is_ok());
    assert!(matches!(sign_in("s1").await, Err(AuthenticateError::LoggedOut)), "an ID token of that session");
}
