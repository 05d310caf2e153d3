//! One sign-in under way, kept in the browser that began it and nowhere else.
//!
//! A cookie holds a secret; the `state`, the nonce and the PKCE verifier follow from it and from what the
//! sign-in is about. So an answer that comes to another browser, or was begun by somebody else, has a
//! `state` that does not follow from this browser's cookie (login CSRF, RFC 6819, section 5.3.5), and people
//! who knock cost no memory.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use model::same;

use crate::ConsoleError;
use crate::secret::Secret;

/// How long a person may take at their issuer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The longest path to come back to, in bytes.
const LONGEST: usize = 512;

/// A place in the console to come back to: a path with its query, never another site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnTo(String);

impl ReturnTo {
    /// Reads a path. None when a browser could take it for anything else than a path of this console, or
    /// when coming back there would begin or end a sign-in.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~?=&%".contains(&b);
        let path = text.split('?').next().unwrap_or_default();
        let fits = text.len() <= LONGEST
            && text.starts_with('/')
            && !text.contains("//")
            && text.bytes().all(plain)
            && !path.starts_with("/sign");
        fits.then(|| Self(text.to_owned()))
    }

    /// The first page.
    pub(crate) fn home() -> Self {
        Self("/".to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    secret: Secret,
    pub(crate) issuer: String,
    pub(crate) return_to: ReturnTo,
    begun: i64,
}

impl Attempt {
    /// Begins one at the issuer of this configured name.
    pub(crate) fn new(issuer: &str, return_to: ReturnTo, now: Timestamp) -> Result<Self, ConsoleError> {
        Ok(Self { secret: Secret::new()?, issuer: issuer.to_owned(), return_to, begun: now.as_second() })
    }

    /// What the cookie holds.
    pub(crate) fn written(&self) -> String {
        let packed = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let (issuer, path) = (packed(&self.issuer), packed(self.return_to.as_str()));
        format!("{}.{}.{issuer}.{path}", self.secret.text(), self.begun)
    }

    /// Reads what a cookie holds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let unpacked = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let mut parts = text.split('.');
        let mut part = || parts.next();
        let (secret, begun, issuer, path) = (part()?, part()?, part()?, part()?);
        if part().is_some() {
            return None;
        }
        Some(Self {
            secret: Secret::parse(secret)?,
            begun: begun.parse().ok()?,
            issuer: unpacked(issuer)?,
            return_to: ReturnTo::parse(&unpacked(path)?)?,
        })
    }

    /// Whether it may still be answered.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        let age = now.as_second().saturating_sub(self.begun);
        u64::try_from(age).is_ok_and(|age| age <= PATIENCE.as_secs())
    }

    /// What goes to the issuer and must come back.
    pub(crate) fn state(&self) -> String {
        self.secret.derive(&self.about("state"))
    }

    /// Whether `state` is what went out.
    pub(crate) fn is_answered_by(&self, state: &str) -> bool {
        same(&self.state(), state)
    }

    /// What the ID token must hold.
    pub(crate) fn nonce(&self) -> String {
        self.secret.derive(&self.about("nonce"))
    }

    /// What redeems the code (RFC 7636).
    pub(crate) fn verifier(&self) -> String {
        self.secret.derive(&self.about("verifier"))
    }

    /// The purpose with all that the sign-in is about; none of it holds a newline.
    fn about(&self, purpose: &str) -> String {
        format!("{purpose}\n{}\n{}\n{}", self.issuer, self.return_to.as_str(), self.begun)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn attempt() -> Attempt {
        Attempt::new("corp", ReturnTo::parse("/?before=1-a").unwrap(), now()).unwrap()
    }

    #[test]
    fn it_survives_the_browser_and_ends() {
        let begun = attempt();
        let back = Attempt::parse(&begun.written()).unwrap();
        assert_eq!(back, begun);
        assert!(back.is_answered_by(&begun.state()));
        assert!(back.holds(now()) && back.holds(now() + PATIENCE));
        assert!(!back.holds(now() + PATIENCE + Duration::from_secs(1)));
        assert!(!back.holds(now() - Duration::from_secs(1)), "from the future");
    }

    #[test]
    fn a_state_follows_from_everything_the_sign_in_is_about() {
        let begun = attempt();
        let mut others = [begun.clone(), begun.clone(), begun.clone(), attempt()];
        others[0].issuer = "other".to_owned();
        others[1].return_to = ReturnTo::home();
        others[2].begun += 1;
        for other in &others {
            assert!(!other.is_answered_by(&begun.state()));
            assert_ne!(other.nonce(), begun.nonce());
            assert_ne!(other.verifier(), begun.verifier());
        }
        let words = [begun.state(), begun.nonce(), begun.verifier()];
        assert!(words[0] != words[1] && words[1] != words[2] && words[0] != words[2]);
        assert!((43..=128).contains(&words[2].len()), "RFC 7636, section 4.1");
    }

    #[test]
    fn it_comes_back_to_this_console_only() {
        for good in ["/", "/?before=1763812800-0a", "/approvals/12?page=2", "/a%20b"] {
            assert!(ReturnTo::parse(good).is_some(), "{good}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        for bad in [
            "",
            "a",
            "//evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "https://evil.test",
            "/a//evil.test",
            "/\tx",
            "/x\r\nset-cookie: a=b",
            "javascript:alert(1)",
            "/@evil.test",
            "/x#y",
            "/ü",
            "/sign-in",
            "/sign-out",
            "/sign-in?return_to=/",
            "/signed-out",
            " /",
            long.as_str(),
            "/a:b",
        ] {
            assert_eq!(ReturnTo::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_a_path_of_one_host(text in ".{0,40}|[/\\\\?%.@:a-z]{0,12}") {
            if let Some(path) = ReturnTo::parse(&text) {
                let uri: http::Uri = format!("https://console.test{}", path.as_str()).parse().unwrap();
                prop_assert_eq!(uri.host(), Some("console.test"));
                prop_assert!(uri.port().is_none());
                prop_assert_eq!(uri.path_and_query().unwrap().as_str(), path.as_str());
            }
        }

        #[test]
        fn no_cookie_breaks_it(text in ".{0,200}|[A-Za-z0-9_.-]{0,120}") {
            if let Some(attempt) = Attempt::parse(&text) {
                prop_assert_eq!(Attempt::parse(&attempt.written()), Some(attempt));
            }
        }
    }
}
