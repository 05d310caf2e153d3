//! Signing in: the authorization code flow with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 9700).

use std::collections::BTreeMap;

use authenticate::{Expected, SignedIn};
use bytes::Bytes;
use config::{Issuer, SignIn};
use http::StatusCode;
use jiff::Timestamp;
use model::{Act, CallerKind, Code, Refusal};
use secrecy::ExposeSecret;

use crate::attempt::{Attempt, PATIENCE, ReturnTo};
use crate::provider::{Endpoints, with_query};
use crate::reply::{self, Answer};
use crate::secret::challenge;
use crate::serve::{Console, Scene, with_cookie};
use crate::sessions::Live;
use crate::{ConsoleError, cookies, guard, pages};

/// The longest code that is redeemed, in bytes.
const CODE: usize = 4096;

impl Console {
    /// The page with the sign-in buttons, or with `issuer` the way to that issuer.
    pub(crate) async fn sign_in(&self, scene: &Scene<'_>) -> Result<Answer, ConsoleError> {
        let query = guard::query(scene.head)?;
        let return_to = match query.get("return_to") {
            None => ReturnTo::home(),
            Some(path) => ReturnTo::parse(path).ok_or_else(|| {
                Refusal::new(Code::PathRefused).because("The page to come back to is none of this console.")
            })?,
        };
        match query.get("issuer") {
            Some(issuer) => self.begin(scene, issuer, return_to).await,
            None => {
                let ended = query.contains_key("ended");
                let issuers: Vec<&str> =
                    scene.config.sign_in.iter().map(|client| client.issuer.as_str()).collect();
                pages::sign_in(&issuers, &return_to, ended)
            }
        }
    }

    /// Sends the browser to the issuer, with a cookie that its answer must fit.
    pub(crate) async fn begin(
        &self,
        scene: &Scene<'_>,
        issuer: &str,
        return_to: ReturnTo,
    ) -> Result<Answer, ConsoleError> {
        let (issuer, client) = party(scene, issuer)?;
        let endpoints = self.providers.endpoints(issuer).await?;
        let attempt = Attempt::new(&issuer.name, return_to, self.ground.clock.now())?;
        let place = with_query(
            &endpoints.authorization,
            &[
                ("response_type", "code"),
                ("client_id", &client.client_id),
                ("redirect_uri", &redirect(scene, &issuer.name)),
                ("scope", &client.scopes.join(" ")),
                ("state", &attempt.state()),
                ("nonce", &attempt.nonce()),
                ("code_challenge", &challenge(&attempt.verifier())),
                ("code_challenge_method", "S256"),
                ("max_age", &scene.config.session.absolute.as_secs().to_string()),
            ],
        );
        let headers = reply::onward(&place).ok_or(ConsoleError::Machine)?;
        let mut answer = reply::answer(StatusCode::SEE_OTHER, headers, Bytes::new());
        with_cookie(&mut answer, cookies::set(cookies::ATTEMPT, &attempt.written(), PATIENCE));
        Ok(answer)
    }

    /// The issuer sent the browser back. Whatever comes of it, this sign-in is over.
    pub(crate) async fn called_back(&self, scene: &Scene<'_>, issuer: &str) -> Result<Answer, ConsoleError> {
        let finished = self.finish(scene, issuer).await;
        let mut answer = match finished {
            Ok(answer) => answer,
            Err(ConsoleError::Ledger(fault)) => return Err(fault.into()),
            Err(fault) => self.refused(scene, &fault.refusal(), None).await?,
        };
        with_cookie(&mut answer, cookies::clear(cookies::ATTEMPT));
        Ok(answer)
    }

    async fn finish(&self, scene: &Scene<'_>, issuer: &str) -> Result<Answer, ConsoleError> {
        let attempt = self.attempt(scene, issuer)?;
        let (issuer, client) = party(scene, issuer)?;
        let query = guard::query(scene.head)?;
        if !query.get("state").is_some_and(|state| attempt.is_answered_by(state)) {
            return Err(begin_again(
                "This sign-in was not begun by this browser, or another one was begun since.",
            )
            .into());
        }
        let endpoints = self.providers.endpoints(issuer).await?;
        let code = code(&query, issuer, &endpoints)?;
        let redirect = redirect(scene, &issuer.name);
        let room = self.providers.room()?;
        let tokens = endpoints.redeem(client, code, &attempt.verifier(), &redirect).await?;
        drop(room);
        let nonce = attempt.nonce();
        let expected = Expected {
            issuer: &issuer.name,
            client: &client.client_id,
            nonce: &nonce,
            access_token: tokens.access_token.as_ref().map(ExposeSecret::expose_secret),
            max_age: Some(scene.config.session.absolute),
            believe: scene.config.session.recheck,
        };
        let signed_in = scene.view.authenticator.sign_in(tokens.id_token.expose_secret(), &expected).await?;
        self.admit(scene, signed_in, attempt.return_to).await
    }

    /// The sign-in that this browser began and this answer is to.
    fn attempt(&self, scene: &Scene<'_>, issuer: &str) -> Result<Attempt, Refusal> {
        let cookie = cookies::read(&scene.head.headers, cookies::ATTEMPT);
        let attempt = cookie.and_then(Attempt::parse);
        let now: Timestamp = self.ground.clock.now();
        match attempt {
            None => Err(begin_again("No sign-in is under way in this browser.")),
            Some(attempt) if !attempt.holds(now) => Err(begin_again("This sign-in took too long.")),
            Some(attempt) if attempt.issuer != issuer => {
                Err(begin_again("Another issuer answered than the one you went to."))
            }
            Some(attempt) => Ok(attempt),
        }
    }

    /// Begins the session. Its cookie leaves once the sign-in is recorded, or the session ends again.
    async fn admit(
        &self,
        scene: &Scene<'_>,
        signed_in: SignedIn,
        return_to: ReturnTo,
    ) -> Result<Answer, ConsoleError> {
        let identity = std::sync::Arc::clone(&signed_in.identity);
        if identity.kind != CallerKind::Human {
            let refusal = Refusal::new(Code::TokenInvalid)
                .because("By your issuer's configuration you are a program, and this console is for people.");
            return Ok(self.refused(scene, &refusal, Some(&identity)).await?);
        }
        let headers = reply::onward(return_to.as_str()).ok_or(ConsoleError::Machine)?;
        let onward = reply::answer(StatusCode::SEE_OTHER, headers, Bytes::new());
        let ends = &scene.config.session;
        let before = self.before(scene).await?;
        let live = self.sessions.begin(signed_in, before.as_ref(), ends).await?;
        let deed = self.own_deed(&identity, Act::View, "console.sign-in");
        let recorded = self.recorded(scene, &deed, onward).await;
        if recorded.is_err() {
            self.sessions.end(&live).await?;
        }
        let mut answer = recorded?;
        with_cookie(&mut answer, cookies::set(cookies::SESSION, &live.name.text(), ends.absolute));
        metrics::counter!("portcullis_console_sign_ins_total", "issuer" => identity.issuer_name.clone())
            .increment(1);
        Ok(answer)
    }

    /// The session that the browser has already: it is replaced.
    async fn before(&self, scene: &Scene<'_>) -> Result<Option<Live>, ConsoleError> {
        match cookies::read(&scene.head.headers, cookies::SESSION) {
            Some(cookie) => self.sessions.find(cookie, &scene.config.session).await,
            None => Ok(None),
        }
    }
}

impl Endpoints {
    /// Where a person ends the issuer's own session (OpenID Connect RP-Initiated Logout 1.0). No ID token
    /// is kept that could be shown there as a hint, so the issuer asks the person.
    pub(crate) fn sign_out(&self, client: &SignIn, then: &str) -> Option<String> {
        let end = self.end_session.as_deref()?;
        Some(with_query(end, &[("client_id", &client.client_id), ("post_logout_redirect_uri", then)]))
    }
}

/// The code in an answer, once the answer is known to be of this issuer (RFC 9207).
fn code<'q>(
    query: &'q BTreeMap<String, String>,
    issuer: &Issuer,
    endpoints: &Endpoints,
) -> Result<&'q str, ConsoleError> {
    match query.get("iss") {
        Some(said) if *said != issuer.issuer => {
            return Err(begin_again("Another issuer answered than the one you went to.").into());
        }
        None if endpoints.says_issuer => {
            return Err(begin_again("The answer does not say which issuer it is of.").into());
        }
        _ => {}
    }
    if let Some(error) = query.get("error") {
        let said: String = error.escape_debug().take(80).collect();
        let why = match error.as_str() {
            "access_denied" => "You, or your issuer, declined the sign-in.".to_owned(),
            "login_required" | "interaction_required" => {
                "Your issuer wants you to sign in there first.".to_owned()
            }
            _ => format!("Your issuer answered with an error: {said}."),
        };
        let described = query.get("error_description").map_or("", String::as_str);
        let described: String = described.escape_debug().take(400).collect();
        return Err(begin_again(&why).detail(format_args!("{said}: {described}")).into());
    }
    let code = query.get("code").filter(|code| (1..=CODE).contains(&code.len()));
    Ok(code.ok_or_else(|| begin_again("The answer holds no code."))?)
}

/// The issuer of this name and the console's client there.
fn party<'s>(scene: &'s Scene<'_>, name: &str) -> Result<(&'s Issuer, &'s SignIn), Refusal> {
    let issuer = scene.view.config.issuers.iter().find(|issuer| issuer.name == name);
    let client = scene.config.sign_in.iter().find(|client| client.issuer == name);
    issuer.zip(client).ok_or_else(|| {
        Refusal::new(Code::NotFound).because("Nobody signs in at an issuer of this name here.")
    })
}

/// Where the issuer sends the browser back: each issuer has a place of its own, so that no issuer can give
/// its answer for another's (RFC 9700, section 4.4).
fn redirect(scene: &Scene<'_>, issuer: &str) -> String {
    scene.address(&format!("/sign-in/callback/{issuer}"))
}

fn begin_again(why: &str) -> Refusal {
    Refusal::new(Code::SignInRefused).because(why)
}
