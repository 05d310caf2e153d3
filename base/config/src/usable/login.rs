//! Logins: how an issuer's people get their token.

/// Where the gateway tells how to log in (RFC 9728, section 3). The path and what is below it are the
/// gateway's own on every host: no resource is ever asked for it.
pub const LOGIN_METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// How people get an issuer's token. Nothing in it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerLogin {
    /// The program's registration with the issuer: a public client.
    pub client_id: String,
    /// The scopes to ask for. Never empty.
    pub scopes: Vec<String>,
    /// The resource to name (RFC 8707).
    pub resource: Option<String>,
    /// The audience to name, for issuers that know it by this name.
    pub audience: Option<String>,
    /// Whether the ID token is sent to the gateway, and not the access token.
    pub id_token: bool,
    /// What the issuer shall ask each time (OpenID Connect Core 1.0, section 3.1.2.1).
    pub prompt: Option<String>,
    /// Where the browser comes back to: `http` on loopback.
    pub redirect_uri: String,
}
