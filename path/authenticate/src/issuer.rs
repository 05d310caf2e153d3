//! One configured issuer, its settings checked and compiled.

use std::sync::Arc;
use std::time::Duration;

use model::Clock;

use crate::AuthenticateError;
use crate::ask::Asker;
use crate::keys::Algorithm;
use crate::mapping::Mapping;
use crate::provider::Provider;

/// What tokens of one issuer must be, and how they are read.
pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    /// Lower case, without `application/`.
    token_types: Vec<String>,
    pub(crate) skew: Duration,
    pub(crate) max_token_age: Option<Duration>,
    pub(crate) mapping: Mapping,
    pub(crate) provider: Arc<Provider>,
    /// How it is asked about opaque tokens, if they are accepted.
    pub(crate) introspection: Option<config::Introspection>,
    /// Where it is asked for groups a token lacks, if it is.
    pub(crate) userinfo: Option<config::Userinfo>,
    /// Which of its logout tokens are heard, if any.
    pub(crate) logout: Option<config::BackchannelLogout>,
    pub(crate) asker: Asker,
}

impl Issuer {
    pub(crate) fn build(settings: &config::Issuer, clock: Arc<dyn Clock>) -> Result<Self, AuthenticateError> {
        let wrong = |why: String| AuthenticateError::Settings { issuer: settings.name.clone(), why };
        let url = &settings.issuer;
        if url.is_empty() || url.contains('#') || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong(format!("`{url}` is no issuer: write the URL its tokens carry in `iss`")));
        }
        if settings.audiences.is_empty() || settings.audiences.iter().any(String::is_empty) {
            return Err(wrong("`audiences` must name at least one audience, none of them empty".to_owned()));
        }
        let algorithm = |name: &String| {
            Algorithm::from_name(name).ok_or_else(|| {
                wrong(format!("`{name}` is no algorithm that is verified here: RS256, PS256, ES256, EdDSA and their kin are"))
            })
        };
        let algorithms = settings.algorithms.iter().map(algorithm).collect::<Result<Vec<_>, _>>()?;
        if algorithms.is_empty() {
            return Err(wrong("`algorithms` must name at least one algorithm".to_owned()));
        }
        Ok(Self {
            name: settings.name.clone(),
            url: url.clone(),
            audiences: settings.audiences.clone(),
            algorithms,
            token_types: settings.token_types.iter().map(|kind| media_type(kind)).collect(),
            skew: settings.skew,
            max_token_age: settings.max_token_age,
            mapping: Mapping::compile(settings).map_err(wrong)?,
            introspection: settings.introspection.clone(),
            userinfo: settings.userinfo.clone(),
            logout: settings.backchannel_logout.clone(),
            asker: Asker::new(&settings.name, Arc::clone(&clock)),
            provider: Arc::new(Provider::build(settings, clock)?),
        })
    }

    /// Whether a token of this `typ` is read. None counts as `JWT`.
    pub(crate) fn accepts_type(&self, kind: Option<&str>) -> bool {
        self.token_types.contains(&media_type(kind.unwrap_or("JWT")))
    }

    /// Whether one of `audiences` is an audience of this issuer's tokens.
    pub(crate) fn is_audience(&self, audiences: &[&str]) -> bool {
        audiences.iter().any(|audience| self.audiences.iter().any(|accepted| accepted == audience))
    }
}

/// A `typ` as it is compared: media types know no case, and `application/` may be left out
/// (RFC 7515, section 4.1.9).
pub(crate) fn media_type(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind)
}
