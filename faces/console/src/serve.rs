//! The console as the admin listener sees it: what it stands on, and which path is what.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use accept::Peer;
use authenticate::{AuthenticateError, Authenticator, Caller};
use authorize::Authorizer;
use bytes::Bytes;
use config::Config;
use desk::Desk;
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use model::{Act, Area, Clock, Code, Decision, Identity, Outcome, Refusal, Ruling};
use record::{Ledger, LedgerError};
use store::Store;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::approvals::Place;
use crate::attempt::ReturnTo;
use crate::provider::{Providers, with_query};
use crate::reply::{self, Answer};
use crate::sessions::{Live, Sessions};
use crate::visit::{Deed, Said, Visit};
use crate::{ConsoleError, cookies, guard, look, pages};

/// The most pages being made at once: each reads the record and asks many policies.
const AT_ONCE: usize = 8;
/// The largest form, in bytes.
const FORM: usize = 4 << 10;
/// How long a form may take to arrive.
const FORM_TIME: Duration = Duration::from_secs(10);

/// What the console stands on for as long as the process lives.
pub struct Ground {
    /// Where visits are recorded.
    pub ledger: Ledger,
    /// The ledger's folder, to read people's own exchanges from.
    pub ledger_dir: PathBuf,
    /// Says what people may do.
    pub authorizer: Arc<Authorizer>,
    /// What waits for consent.
    pub desk: Arc<Desk>,
    /// Where sessions are kept.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What a reload replaces.
#[derive(Clone)]
pub struct View {
    /// The configuration of the moment.
    pub config: Arc<Config>,
    /// Its issuers.
    pub authenticator: Arc<Authenticator>,
    /// Its masking rules.
    pub rules: Arc<mask::Rules>,
}

/// The pages for people.
pub struct Console {
    pub(crate) ground: Ground,
    view: Box<dyn Fn() -> View + Send + Sync>,
    pub(crate) sessions: Sessions,
    pub(crate) providers: Providers,
    room: Semaphore,
}

/// What one request is answered with: the configuration of its moment, and its own name in the record.
pub(crate) struct Scene<'a> {
    pub(crate) view: &'a View,
    pub(crate) config: &'a config::Console,
    pub(crate) visit: &'a Visit,
    pub(crate) head: &'a Parts,
}

impl Scene<'_> {
    /// An address of the console as browsers know it.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.config.origin)
    }
}

impl Console {
    /// A console on `ground`, which asks `view` for the configuration of the moment at each request.
    pub fn build(ground: Ground, view: impl Fn() -> View + Send + Sync + 'static) -> Arc<Self> {
        let sessions = Sessions::new(Arc::clone(&ground.store), Arc::clone(&ground.clock));
        let providers = Providers::new(Arc::clone(&ground.clock));
        let room = Semaphore::new(AT_ONCE);
        Arc::new(Self { ground, view: Box::new(view), sessions, providers, room })
    }

    /// Answers one request. What it says of anybody is in the ledger before it leaves.
    pub async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let (head, body) = request.into_parts();
        let visit = Visit::new(&head, &peer, &*self.ground.clock);
        let view = (self.view)();
        let Some(config) = view.config.console.as_ref() else {
            return reply::bare(StatusCode::NOT_FOUND);
        };
        let scene = Scene { view: &view, config, visit: &visit, head: &head };
        let answered = Box::pin(self.route(&scene, body)).await;
        let answered = match answered {
            Ok(answer) => Ok(answer),
            Err(ConsoleError::Ledger(fault)) => Err(fault),
            Err(fault) => self.refused(&scene, &fault.refusal(), None).await,
        };
        metrics::histogram!("portcullis_console_seconds")
            .record(visit.took(&*self.ground.clock).as_secs_f64());
        answered.unwrap_or_else(|fault| visit.unrecorded(&self.ground.ledger, &fault))
    }

    async fn route(&self, scene: &Scene<'_>, body: Incoming) -> Result<Answer, ConsoleError> {
        guard::arrival(scene.head, &scene.config.origin)?;
        let reads = matches!(scene.head.method, Method::GET | Method::HEAD);
        match scene.head.uri.path() {
            look::STYLE if reads => Ok(reply::file("text/css; charset=utf-8", look::STYLE_TEXT)),
            look::MARK if reads => Ok(reply::file("image/svg+xml", look::MARK_TEXT)),
            "/" if reads => self.home(scene).await,
            "/sign-in" if reads => self.sign_in(scene).await,
            "/sign-out" if scene.head.method == Method::POST => self.sign_out(scene, body).await,
            "/signed-out" if reads => pages::signed_out(None, None),
            path if let Some(place) = Place::of(path) => Box::pin(self.approvals(scene, place, body)).await,
            path if reads => match path.strip_prefix("/sign-in/callback/") {
                Some(issuer) => self.called_back(scene, issuer).await,
                None => Err(missing().into()),
            },
            _ => Err(missing().into()),
        }
    }

    /// The first page: who you are, what you may use, what you asked.
    async fn home(&self, scene: &Scene<'_>) -> Result<Answer, ConsoleError> {
        let (live, caller) = match self.known(scene).await? {
            Ok(known) => known,
            Err(answer) => return Ok(answer),
        };
        let _room = self.take_room()?;
        self.sessions.used(&live, &scene.config.session).await?;
        self.overview(scene, &live, caller).await
    }

    /// The person of a request, proven for it; or the way to the sign-in or to the issuer, and back here.
    pub(crate) async fn known(
        &self,
        scene: &Scene<'_>,
    ) -> Result<Result<(Live, Caller), Answer>, ConsoleError> {
        let live = match self.session(scene).await? {
            Ok(live) => live,
            Err(answer) => return Ok(Err(answer)),
        };
        let caller = match self.caller(scene, &live) {
            Err(ConsoleError::Identity(fault)) => {
                return Ok(Err(self.shut_out(scene, &live, &fault).await?));
            }
            caller => caller?,
        };
        if let Some(caller) = caller {
            return Ok(Ok((live, caller)));
        }
        // The ID token has had its time: the issuer is asked again, unseen while it knows the browser.
        let here = scene.head.uri.path_and_query().map_or("/", |here| here.as_str());
        let here = ReturnTo::parse(here).unwrap_or_else(ReturnTo::home);
        let issuer = &live.kept.signed_in.identity.issuer_name;
        Ok(Err(self.begin(scene, issuer, here).await?))
    }

    /// A share of what pages take to be made.
    pub(crate) fn take_room(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.room.try_acquire().map_err(|_| Refusal::new(Code::Overloaded).retry_after(1))
    }

    /// The desk.
    pub(crate) fn desk(&self) -> &Desk {
        &self.ground.desk
    }

    /// The session of a request. Without one the person is led to the sign-in, and a cookie that names none
    /// is taken back.
    pub(crate) async fn session(&self, scene: &Scene<'_>) -> Result<Result<Live, Answer>, ConsoleError> {
        let cookie = cookies::read(&scene.head.headers, cookies::SESSION);
        let Some(cookie) = cookie.filter(|cookie| !cookie.is_empty()) else {
            return Ok(Err(self.to_sign_in(scene, None).await?));
        };
        let found = self.sessions.find(cookie, &scene.config.session).await?;
        // Where nobody may sign in any more, nobody stays.
        let open = |live: &Live| {
            let issuer = &live.kept.signed_in.identity.issuer_name;
            scene.config.sign_in.iter().any(|client| client.issuer == *issuer)
        };
        match found.filter(open) {
            Some(live) => Ok(Ok(live)),
            None => {
                let refusal = Refusal::new(Code::TokenExpired)
                    .because("Your session has ended.")
                    .detail("the cookie names no session that lives");
                Ok(Err(self.to_sign_in(scene, Some(&refusal)).await?))
            }
        }
    }

    /// Who a session stands for, proven for this exchange. None when its ID token has had its time.
    fn caller(&self, scene: &Scene<'_>, live: &Live) -> Result<Option<Caller>, ConsoleError> {
        let signed_in = &live.kept.signed_in;
        if self.ground.clock.now() >= signed_in.believed_until {
            return Ok(None);
        }
        Ok(Some(scene.view.authenticator.resume(scene.visit.exchange, signed_in)?))
    }

    /// The person is blocked, or has logged out elsewhere: the session is over too.
    async fn shut_out(
        &self,
        scene: &Scene<'_>,
        live: &Live,
        fault: &AuthenticateError,
    ) -> Result<Answer, ConsoleError> {
        let refusal = fault.refusal();
        if !matches!(refusal.code, Code::IdentityUnavailable | Code::StateUnavailable) {
            self.sessions.end(live).await?;
        }
        let identity = &live.kept.signed_in.identity;
        let mut answer = self.refused(scene, &refusal, Some(identity)).await?;
        with_cookie(&mut answer, cookies::clear(cookies::SESSION));
        Ok(answer)
    }

    /// Leads to the sign-in, and back here after it.
    async fn to_sign_in(&self, scene: &Scene<'_>, ended: Option<&Refusal>) -> Result<Answer, ConsoleError> {
        let here = scene.head.uri.path_and_query().and_then(|here| ReturnTo::parse(here.as_str()));
        let here = here.filter(|here| *here != ReturnTo::home());
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(here.as_ref().map(|here| ("return_to", here.as_str())));
        query.extend(ended.map(|_| ("ended", "1")));
        let place = match query.is_empty() {
            true => "/sign-in".to_owned(),
            false => with_query("/sign-in", &query),
        };
        let headers = reply::onward(&place).ok_or(ConsoleError::Machine)?;
        let said = Said { status: StatusCode::SEE_OTHER, headers, body: Bytes::new() };
        let mut answer = match ended {
            Some(refusal) => scene.visit.refuse(&self.ground.ledger, None, refusal, said).await?,
            None => reply::answer(said.status, said.headers, said.body),
        };
        if ended.is_some() {
            with_cookie(&mut answer, cookies::clear(cookies::SESSION));
        }
        Ok(answer)
    }

    /// Signs out: the session ends here, and the person is told how to end the issuer's.
    async fn sign_out(&self, scene: &Scene<'_>, body: Incoming) -> Result<Answer, ConsoleError> {
        let live = match self.session(scene).await? {
            Ok(live) => live,
            Err(answer) => return Ok(answer),
        };
        let form = read_form(body).await?;
        guard::form(&form, &live.form_token())?;
        self.sessions.end(&live).await?;
        let identity = &live.kept.signed_in.identity;
        let issuer = scene.view.config.issuers.iter().find(|issuer| issuer.name == identity.issuer_name);
        let client = scene.config.sign_in.iter().find(|client| client.issuer == identity.issuer_name);
        let further = match (issuer, client) {
            (Some(issuer), Some(client)) => {
                let endpoints = self.providers.endpoints(issuer).await.ok();
                endpoints.and_then(|found| found.sign_out(client, &scene.address("/signed-out")))
            }
            _ => None,
        };
        let page = pages::signed_out(Some(&identity.issuer_name), further.as_deref())?;
        let deed = self.own_deed(identity, Act::Revoke, "console.sign-out");
        let mut answer = self.recorded(scene, &deed, page).await?;
        with_cookie(&mut answer, cookies::clear(cookies::SESSION));
        Ok(answer)
    }

    /// What a person does to their own session, which needs no policy.
    pub(crate) fn own_deed<'i>(&self, identity: &'i Identity, act: Act, name: &'static str) -> OwnDeed<'i> {
        let policy_set = self.ground.authorizer.current().hash();
        let decision = Decision { ruling: Ruling::Allowed, judgements: Vec::new(), policy_set };
        OwnDeed { identity, act, name, decision }
    }

    /// Gives `page` once it is recorded as `deed`.
    pub(crate) async fn recorded(
        &self,
        scene: &Scene<'_>,
        deed: &OwnDeed<'_>,
        page: Answer,
    ) -> Result<Answer, ConsoleError> {
        let deed = Deed {
            identity: deed.identity,
            act: deed.act,
            area: Area::Callers,
            name: deed.name,
            decision: &deed.decision,
            outcome: Outcome::Completed,
            refusal: None,
        };
        Ok(scene.visit.say(&self.ground.ledger, deed, taken_apart(page).await).await?)
    }

    /// Tells a person that something was refused.
    pub(crate) async fn refused(
        &self,
        scene: &Scene<'_>,
        refusal: &Refusal,
        caller: Option<&Identity>,
    ) -> Result<Answer, LedgerError> {
        let page = pages::refused(refusal, &scene.visit.exchange.to_string());
        let page = page.unwrap_or_else(|_| reply::bare(refusal.code.status()));
        scene.visit.refuse(&self.ground.ledger, caller, refusal, taken_apart(page).await).await
    }
}

/// See [`Console::own_deed`].
pub(crate) struct OwnDeed<'i> {
    identity: &'i Identity,
    act: Act,
    name: &'static str,
    decision: Decision,
}

/// Adds a cookie to an answer: after it was recorded, so that no record holds one.
pub(crate) fn with_cookie(answer: &mut Answer, cookie: Option<http::HeaderValue>) {
    if let Some(cookie) = cookie {
        answer.headers_mut().append(http::header::SET_COOKIE, cookie);
    }
}

fn missing() -> Refusal {
    Refusal::new(Code::NotFound).because("There is no such page.")
}

pub(crate) async fn taken_apart(answer: Answer) -> Said {
    let (parts, body) = answer.into_parts();
    // A body that is whole in memory cannot fail.
    let body = match Limited::new(body, usize::MAX).frame().await {
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    };
    Said { status: parts.status, headers: parts.headers, body }
}

#[expect(clippy::disallowed_methods, reason = "the body is limited on the same line")]
pub(crate) async fn read_form(body: Incoming) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(FORM_TIME, Limited::new(body, FORM).collect()).await;
    match read {
        Ok(Ok(form)) => Ok(form.to_bytes()),
        Ok(Err(_)) => {
            Err(Refusal::new(Code::RequestTooLarge).because("The form is too large, or broke off."))
        }
        Err(_) => Err(Refusal::new(Code::RequestTimeout)),
    }
}
