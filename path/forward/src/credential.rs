//! The credential, read anew for each request, so that one replaced counts from the next request.

use std::time::Duration;

use config::{Credential, SecretRef};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::ForwardError;

/// How long reading a file may take, so that a hanging file system refuses requests instead of holding
/// them.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the credential and makes the header value that carries it, marked sensitive so that nothing
/// prints it and HTTP/2 keeps it out of its tables (RFC 7541, section 7.1.3).
pub(crate) async fn read(credential: &Credential) -> Result<HeaderValue, ForwardError> {
    let secret = match &credential.value {
        here @ SecretRef::Env(_) => here.read(),
        file @ SecretRef::File(_) => {
            let (file, name) = (file.clone(), file.to_string());
            let unread = |why: &str| ForwardError::Credential(format!("reading {name} {why}"));
            timeout(READ_TIMEOUT, spawn_blocking(move || file.read()))
                .await
                .map_err(|_| unread("took too long"))?
                .map_err(|_| unread("was broken off"))?
        }
    };
    let secret = secret.map_err(|cause| ForwardError::Credential(cause.to_string()))?;
    value(credential.scheme.as_deref(), &secret)
        .ok_or_else(|| ForwardError::Credential(format!("{} does not fit a header", credential.value)))
}

fn value(scheme: Option<&str>, secret: &SecretString) -> Option<HeaderValue> {
    let secret = secret.expose_secret();
    let text = Zeroizing::new(match scheme {
        Some(scheme) => format!("{scheme} {secret}"),
        None => secret.to_owned(),
    });
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
