//! The console with all it stands on, and somebody who visits it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use accept::Door;
use approve::Approvals;
use authenticate::{Authenticator, Standing};
use authorize::{Authorizer, PolicySet};
use bytes::Bytes;
use console::{Console, Ground, View};
use desk::Desk;
use e2e::client::{Answer, try_send};
use e2e::provider::Provider;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use model::{Clock, FixedClock, SystemClock};
use record::{Ledger, Settings};
use store::{SqliteStore, Store};
use tokio_util::sync::CancellationToken;

pub(crate) const SESSION: &str = "__Host-portcullis";
pub(crate) const ATTEMPT: &str = "__Host-portcullis-sign-in";

/// People may see their own record; engineers may ask the llama.
pub(crate) const POLICIES: &str = r#"
@id("own-record")
permit(principal, action == Action::"view", resource is Session)
when { resource has caller && resource.caller == principal };
@id("engineers")
permit(principal in Group::"ml-engineers", action == Action::"infer", resource in Resource::"llama");
@id("engineers-approve")
permit(principal in Group::"ml-engineers", action == Action::"approve", resource in Resource::"llama");
"#;

pub(crate) struct Stand {
    pub(crate) origin: String,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) provider: Provider,
    pub(crate) ledger: Ledger,
    pub(crate) approvals: Arc<Approvals>,
    dir: tempfile::TempDir,
    end: CancellationToken,
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with(POLICIES).await
    }

    pub(crate) async fn with(policies: &str) -> Self {
        let provider = Provider::start().await;
        // The provider's clock is the machine's; ours runs ahead of it.
        provider.id_tokens_live(7 * 24 * 3600).await;
        let clock = Arc::new(FixedClock::at(SystemClock::default().now()));
        let ticking: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let listener = config::Listener { address: "127.0.0.1:0".parse().unwrap(), tls: config::Tls::Plain };
        let door = Door::open(&listener, &config::Limits::default(), Arc::clone(&ticking)).unwrap();
        let origin = format!("http://localhost:{}", door.address().port());
        let secret = provider.console(&origin).await;
        let dir = tempfile::tempdir().unwrap();
        let config = configured(&dir.path().join("portcullis.yaml"), &provider, &origin, &secret);
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&dir.path().join("state"), Arc::clone(&ticking)).await.unwrap());
        let standing = Standing::open(Arc::clone(&store), Arc::clone(&ticking)).await.unwrap();
        let authenticator = Authenticator::build(
            &config.issuers,
            &config.limits,
            Arc::clone(&ticking),
            Arc::clone(&standing),
        );
        let policies = PolicySet::parse(vec![("console.cedar".to_owned(), policies.to_owned())]).unwrap();
        let settings = Settings::new(dir.path().join("ledger"), dir.path().join("digest-key"));
        let ledger = Ledger::open(settings, Arc::clone(&ticking)).unwrap();
        let authorizer = Authorizer::new(policies, "UTC", Arc::clone(&ticking)).unwrap();
        let approvals =
            Approvals::open(Arc::clone(&store), ledger.clone(), Default::default()).await.unwrap();
        let ledger_dir = dir.path().join("ledger");
        let desk = Desk::new(Arc::clone(&approvals), Arc::clone(&authorizer), ledger_dir.clone()).unwrap();
        let ground = Ground {
            ledger: ledger.clone(),
            ledger_dir,
            authorizer,
            desk: Arc::new(desk),
            store,
            clock: ticking,
        };
        let rules = mask::Rules::standard().unwrap();
        let view = View { config: Arc::new(config), authenticator: authenticator.unwrap(), rules };
        let console = Console::build(ground, move || view.clone());
        let end = CancellationToken::new();
        let handler = move |request, peer| {
            let console = Arc::clone(&console);
            async move { console.answer(request, peer).await }
        };
        tokio::spawn(door.serve(handler, end.clone()));
        Self { origin, clock, standing, provider, ledger, approvals, dir, end }
    }

    pub(crate) fn pass(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(minutes * 60));
    }

    /// Every byte that is kept: the ledger's and the store's.
    pub(crate) fn kept(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut folders: Vec<PathBuf> = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { bytes.extend(std::fs::read(path).unwrap()) }
            }
        }
        bytes
    }
}

fn configured(file: &std::path::Path, provider: &Provider, origin: &str, secret: &str) -> config::Config {
    let dir = file.parent().unwrap();
    std::fs::create_dir(dir.join("policies")).unwrap();
    std::fs::write(dir.join("client-secret"), secret).unwrap();
    let text = format!(
        "listeners: [127.0.0.1:1]
admin: 127.0.0.1:2
issuers:
  panva: {{issuer: \"{issuer}\", audiences: [portcullis], skew: 5m}}
  other: {{issuer: http://127.0.0.1:9, audiences: [portcullis]}}
resources:
  llama: {{server: llama-cpp, upstreams: http://127.0.0.1:9}}
  closed-book: {{server: llama-cpp, upstreams: http://127.0.0.1:9}}
console:
  url: {origin}
  sign_in:
    panva: {{client_id: console, client_secret: file:client-secret, scopes: [openid, profile, email, groups]}}
    other: {{client_id: console}}
",
        issuer = provider.issuer,
    );
    config::parse(&text, file).unwrap_or_else(|faults| panic!("{}", faults.render(false)))
}

/// Somebody with a browser: its cookies, by host.
#[derive(Clone, Default)]
pub(crate) struct Visitor {
    pub(crate) here: BTreeMap<String, String>,
    there: BTreeMap<String, String>,
}

/// One request, its cookies kept.
async fn send(jar: &mut BTreeMap<String, String>, mut request: Request<Full<Bytes>>) -> Answer {
    let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
    }
    let answer = try_send(request).await.unwrap();
    for line in answer.headers.get_all(header::SET_COOKIE) {
        let (name, value) = line.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
        if value.is_empty() {
            jar.remove(name)
        } else {
            jar.insert(name.to_owned(), value.to_owned())
        };
    }
    answer
}

pub(crate) fn location(answer: &Answer) -> &str {
    let place = answer.headers.get(header::LOCATION);
    place.unwrap_or_else(|| panic!("no way on: {} {}", answer.status, answer.text())).to_str().unwrap()
}

impl Visitor {
    pub(crate) async fn get(&mut self, stand: &Stand, path: &str) -> Answer {
        let request = Request::get(format!("{}{path}", stand.origin)).body(Full::default()).unwrap();
        send(&mut self.here, request).await
    }

    pub(crate) async fn post(&mut self, stand: &Stand, path: &str, form: &str) -> Answer {
        let request = Request::post(format!("{}{path}", stand.origin))
            .header(header::ORIGIN, &stand.origin)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        send(&mut self.here, request.body(Full::from(form.to_owned())).unwrap()).await
    }

    /// Goes to the provider as `user`, as far as the way back to the console: its path and query.
    pub(crate) async fn at_provider(&mut self, stand: &Stand, place: &str, user: &str) -> String {
        let mut next = place.to_owned();
        let mut form: Option<String> = None;
        for _ in 0..20 {
            let method = if form.is_some() { Method::POST } else { Method::GET };
            let request = Request::builder()
                .method(method)
                .uri(&next)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::from(form.take().unwrap_or_default()))
                .unwrap();
            let answer = send(&mut self.there, request).await;
            if answer.headers.contains_key(header::LOCATION) {
                let place = location(&answer).to_owned();
                if let Some(path) = place.strip_prefix(&stand.origin) {
                    return path.to_owned();
                }
                let own = format!("{}{place}", stand.provider.issuer);
                next = if place.starts_with('/') { own } else { place };
                continue;
            }
            let text = answer.text();
            let asks = text.split("name=\"prompt\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
            form = Some(match asks {
                Some("login") => format!("prompt=login&login={user}&password=any"),
                Some(asks) => format!("prompt={asks}"),
                None => panic!("neither a form nor a way on at {next}: {} {text}", answer.status),
            });
        }
        panic!("the login does not come to an end");
    }

    /// Signs in, as far as the page.
    pub(crate) async fn sign_in(&mut self, stand: &Stand, user: &str) {
        let onward = self.get(stand, "/sign-in?issuer=panva").await;
        let back = self.at_provider(stand, location(&onward), user).await;
        let arrived = self.get(stand, &back).await;
        assert_eq!((arrived.status, location(&arrived)), (StatusCode::SEE_OTHER, "/"), "{}", arrived.text());
        assert!(self.here.contains_key(SESSION) && !self.here.contains_key(ATTEMPT));
    }

    /// The page, which must be shown.
    pub(crate) async fn page(&mut self, stand: &Stand) -> String {
        let page = self.get(stand, "/").await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        page.text()
    }

    /// The token in the page's form.
    pub(crate) async fn form_token(&mut self, stand: &Stand) -> String {
        let page = self.page(stand).await;
        let found = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        found.unwrap_or_else(|| panic!("no form in {page}")).to_owned()
    }
}
