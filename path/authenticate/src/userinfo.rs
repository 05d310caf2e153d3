//! Groups that no token holds, from the issuer's userinfo (OpenID Connect Core 1.0, section 5.3).
//!
//! Only what people are in and are called is taken from there, and only where the token itself says
//! nothing of it: a token's own word always counts.

use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde_json::{Map, Value};

use crate::ask::{MAX_ANSWER_BYTES, Question, Said, claims};
use crate::digest::Digest;
use crate::error::quote;
use crate::inspect::Reading;
use crate::issuer::Issuer;
use crate::{AuthenticateError, Check};

/// Completes the claims of a token about `subject`, where its issuer is configured to be asked and the
/// token has none of the claims that hold groups. True when the issuer was asked.
///
/// # Errors
/// [`AuthenticateError::Userinfo`] when it refuses the token or speaks of somebody else,
/// [`AuthenticateError::Unanswered`] when it does not answer.
pub(crate) async fn complete(
    issuer: &Issuer,
    token: &str,
    digest: &Digest,
    subject: &str,
    members: &mut Map<String, Value>,
    reading: &mut Reading,
) -> Result<bool, AuthenticateError> {
    let Some(settings) = &issuer.userinfo else { return Ok(false) };
    let whole = Value::Object(std::mem::take(members));
    let there = issuer.mapping.has_groups(&whole);
    if let Value::Object(back) = whole {
        *members = back;
    }
    if there {
        return Ok(false);
    }
    let said =
        issuer.asker.ask(Question::Userinfo, digest, || ask(issuer, settings.url.as_deref(), token)).await?;
    let told: Arc<Map<String, Value>> = match said {
        Said::Claims(told) => told,
        Said::No(why) | Said::Nothing(why) => return Err(AuthenticateError::Userinfo(why)),
    };
    match told.get("sub") {
        Some(Value::String(said)) if said == subject => {}
        said => {
            let said = said.map_or_else(|| "nobody".to_owned(), |said| quote(&said.to_string()));
            return Err(AuthenticateError::Userinfo(format!(
                "userinfo speaks of {said}, the token of {}",
                quote(subject)
            )));
        }
    }
    take(members, &told, issuer.mapping.group_members());
    reading.claims = Some(Value::Object(members.clone()));
    reading.pass(Check::Userinfo);
    Ok(true)
}

async fn ask(issuer: &Issuer, configured: Option<&str>, token: &str) -> Said {
    let place: Result<Uri, String> = match configured {
        Some(url) => url.parse().map_err(|error| format!("`{url}` is no URL: {error}")),
        None => issuer.provider.discover().await.and_then(|discovered| {
            let place = discovered.userinfo.clone();
            place.ok_or_else(|| "its discovery document has no usable `userinfo_endpoint`".to_owned())
        }),
    };
    let place = match place {
        Ok(place) => place,
        Err(why) => return Said::Nothing(why),
    };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    match HeaderValue::from_str(&format!("Bearer {token}")) {
        Ok(mut value) => {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Err(_) => return Said::No("no header can carry this token".to_owned()),
    }
    let answer = issuer.provider.fetcher().get(&place, &headers, MAX_ANSWER_BYTES).await;
    match &answer {
        Ok(fetched) if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&fetched.status) => {
            Said::No(format!("the issuer's userinfo refuses the token with {}", fetched.status))
        }
        _ => claims(answer),
    }
}

/// Takes over what the token does not say: the members that hold groups, the name, and the e-mail
/// address together with whether it is vouched for.
fn take<'g>(
    members: &mut Map<String, Value>,
    told: &Map<String, Value>,
    groups: impl Iterator<Item = String> + 'g,
) {
    for name in groups.chain(["name", "preferred_username"].map(str::to_owned)) {
        if let Some(value) = told.get(&name)
            && members.get(&name).is_none_or(Value::is_null)
            && !is_registered(&name)
        {
            members.insert(name, value.clone());
        }
    }
    let email = ["email", "email_verified"];
    if email.iter().all(|name| !members.contains_key(*name)) {
        for name in email {
            if let Some(value) = told.get(name) {
                members.insert(name.to_owned(), value.clone());
            }
        }
    }
}

/// Members that say what a token is: never from elsewhere, whatever a configuration calls groups.
fn is_registered(name: &str) -> bool {
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "acr", "amr", "azp", "client_id", "scope", "cnf"]
        .contains(&name)
        || ["email", "email_verified", "auth_time", "active", "token_type"].contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    #[test]
    fn a_token_has_the_last_word() {
        let told = map(json!({
            "sub": "alice", "groups": ["admins"], "roles": ["root"], "email": "a@example.test", "email_verified": true,
            "name": "Alice", "acr": "high", "exp": 1, "sid": "x",
        }));
        let names = || ["groups", "roles", "acr", "email"].map(str::to_owned).into_iter();
        let mut bare = map(json!({ "sub": "alice" }));
        take(&mut bare, &told, names());
        let expected = json!({
            "sub": "alice", "groups": ["admins"], "roles": ["root"], "email": "a@example.test",
            "email_verified": true, "name": "Alice",
        });
        assert_eq!(Value::Object(bare), expected);
        let own = json!({ "groups": "", "roles": [], "email_verified": false, "name": "A" });
        let mut full = map(own.clone());
        take(&mut full, &told, names());
        assert_eq!(Value::Object(full), own);
    }
}
