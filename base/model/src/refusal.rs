//! What the gateway says when it says no: a stable code, a reason, and what to do.

use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Whose fault a refusal is: who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The request itself.
    Caller,
    /// A policy, working as written.
    Policy,
    /// The server behind the gateway.
    Upstream,
    /// The gateway's configuration or machine.
    Operator,
}

/// One row of the table of codes.
struct Row {
    name: &'static str,
    status: u16,
    fault: Fault,
    meaning: &'static str,
    advice: &'static str,
}

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $fault:ident $meaning:literal $advice:literal;)*) => {
        /// A stable code for one kind of refusal. Clients may match on its name; names never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Code { $(#[doc = $meaning] $variant,)* }

        impl Code {
            /// Every code, in the order of the published table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn row(self) -> Row {
                match self { $(Self::$variant => Row {
                    name: $name, status: $status, fault: Fault::$fault,
                    meaning: $meaning, advice: $advice,
                },)* }
            }
        }
    };
}

codes! {
    TokenMissing "token_missing" 401 Caller
        "The request carries no token."
        "Send your OIDC token as `Authorization: Bearer`, `x-api-key` or `api-key`.";
    TokenInvalid "token_invalid" 401 Caller
        "The token is not one this gateway accepts."
        "Get a fresh token from your issuer; an operator sees the failing check with `portcullis token inspect`.";
    TokenExpired "token_expired" 401 Caller
        "The token has expired."
        "Get a fresh token from your issuer.";
    SignInRefused "sign_in_refused" 401 Caller
        "The sign-in by browser did not come to its end."
        "Begin it anew from the sign-in page.";
    TokenRevoked "token_revoked" 401 Caller
        "The token was revoked, or its session was logged out."
        "Log in again and use the new token.";
    GrantOver "grant_over" 403 Policy
        "A membership for a while that this began with is over."
        "Send it again: what your own groups allow goes on. For the group, ask again with `portcullis access request`.";
    CallerBlocked "caller_blocked" 403 Policy
        "Access is blocked for this caller."
        "Ask the operator, giving the request id.";
    PolicyDenied "policy_denied" 403 Policy
        "Policy does not allow this operation."
        "Ask the operator, giving the request id; `portcullis why REQUEST-ID` tells them what would have to change.";
    DisclosureRefused "disclosure_refused" 403 Policy
        "The request holds a value of a class that policy does not let you send to this resource."
        "Leave the value out. The reason names its class.";
    ApprovalRequired "approval_required" 403 Policy
        "Policy allows this only with approval, and a look at a page does not ask for it."
        "Ask the operator, giving the request id.";
    ApprovalPending "approval_pending" 409 Policy
        "Policy allows this operation only with approval, and it is not given yet."
        "Send the same request again: it waits for the same approval. Approvers find it at the address that the answer names.";
    ApprovalDenied "approval_denied" 403 Policy
        "An approver denied this request."
        "Read the approver's reason. The same request can be asked for again when this approval would have expired.";
    ApprovalExpired "approval_expired" 403 Policy
        "Nobody gave the approval in time."
        "Send the request again to ask anew.";
    ApprovalVoid "approval_void" 409 Policy
        "What was approved is not what would be sent now: the rules of masking or the resource changed meanwhile."
        "Send the request again: it needs an approval of its own.";
    ApprovalConflict "approval_conflict" 409 Caller
        "The approval is not as you saw it: it is given, denied, used or expired already, or it is your own."
        "Look at it again.";
    ResourceUnknown "resource_unknown" 404 Caller
        "No resource has this name."
        "Check the first path segment of the base URL.";
    NotFound "not_found" 404 Caller
        "Nothing here has this name."
        "Check the path; `/api/v1/openapi.json` lists them all.";
    RecordingSealed "recording_sealed" 409 Operator
        "What was said in this exchange is sealed to its auditors: the gateway can't read it, nor mask it for you."
        "Ask an auditor; they read it where the ledger lies, with `portcullis sessions replay ID --identity KEY`.";
    MethodRefused "method_refused" 405 Caller
        "This path does not take this method."
        "Use a method that the header `allow` names.";
    ReloadRefused "reload_refused" 409 Operator
        "The configuration or the policies have faults, so everything stays as it was."
        "Mend the faults that the reason names, then reload again.";
    RotationFailed "rotation_failed" 409 Operator
        "The credential was not replaced, so the old one is used on."
        "Mend what the reason names, then rotate again.";
    RequestMalformed "request_malformed" 400 Caller
        "The request cannot be read in exactly one way."
        "Send strict JSON in UTF-8: no duplicate keys, nothing after the end.";
    PathRefused "path_refused" 400 Caller
        "The path can be read in more than one way."
        "Send a plain path without `..`, `//`, encoded slashes or control characters.";
    HeaderRefused "header_refused" 400 Caller
        "A header makes the request ambiguous."
        "Leave out the header the reason names.";
    ModelMissing "model_missing" 400 Caller
        "The request names no model."
        "Name the model: policy decides by it.";
    RequestTimeout "request_timeout" 408 Caller
        "The request body did not arrive in time."
        "Send the body without long pauses.";
    RequestTooLarge "request_too_large" 413 Caller
        "The request body is larger than the resource allows."
        "Send less in one request, or ask the operator to raise `max_request_bytes`.";
    EncodingUnsupported "encoding_unsupported" 415 Caller
        "The request body has an encoding, charset or type that is not read here."
        "Send the body as identity-encoded UTF-8 JSON.";
    TooManyRequests "too_many_requests" 429 Caller
        "Too many requests at once."
        "Wait, then try again.";
    Internal "internal" 500 Operator
        "Something failed inside the gateway; the request was not allowed."
        "Tell the operator the request id.";
    NotSupported "not_supported" 501 Caller
        "This protocol is not supported yet."
        "Use plain HTTP requests, server-sent events or NDJSON.";
    UpstreamFailed "upstream_failed" 502 Upstream
        "The server behind the gateway broke off or answered what cannot be read."
        "Try again if the operation may be repeated; tell the operator if it persists.";
    LedgerUnavailable "ledger_unavailable" 503 Operator
        "The record cannot be written, so nothing may pass."
        "Try again later; the operator sees the cause at `/readyz`.";
    IdentityUnavailable "identity_unavailable" 503 Operator
        "The issuer's keys cannot be had, so tokens cannot be verified."
        "Try again later; the operator sees the cause at `/readyz`.";
    StateUnavailable "state_unavailable" 503 Operator
        "The gateway's state cannot be read, so it is not known who is blocked."
        "Try again later; the operator sees the cause at `/readyz`.";
    UpstreamUnavailable "upstream_unavailable" 503 Upstream
        "No server behind the gateway can be reached."
        "Try again later; the operator sees the cause at `/readyz`.";
    CredentialUnavailable "credential_unavailable" 503 Operator
        "The credential for this resource cannot be had."
        "Tell the operator: where it comes from gives none; the log says why.";
    Draining "draining" 503 Operator
        "The gateway is shutting down."
        "Try again; another instance will answer.";
    Overloaded "overloaded" 503 Operator
        "The gateway is at its limits."
        "Wait, then try again.";
    UpstreamTimeout "upstream_timeout" 504 Upstream
        "The server behind the gateway did not answer in time."
        "Try again, or ask the operator to raise the resource's timeouts.";
}

impl Code {
    /// The stable name, such as `policy_denied`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The HTTP status it is sent with.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Who can mend it.
    pub fn fault(self) -> Fault {
        self.row().fault
    }

    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What to do, in one sentence.
    pub fn advice(self) -> &'static str {
        self.row().advice
    }

    /// The published table of codes, as Markdown.
    pub fn reference() -> String {
        let head = "# Refusals\n\nEvery refusal names one of these codes. They never change; a client may match on \
            them.\nThe error body has the shape of the SDK in use, with the code, the reason, the policies that refused, \
            the\nrequest id and what to do.\n\n| code | status | who can mend it | meaning | what to do |\n|---|---|---|---|---|\n";
        Self::ALL.iter().fold(head.to_owned(), |table, code| {
            let row = code.row();
            let fault = format!("{:?}", row.fault).to_lowercase();
            table
                + &format!(
                    "| `{}` | {} | {fault} | {} | {} |\n",
                    row.name, row.status, row.meaning, row.advice
                )
        })
    }

    /// The code that `name` spells.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A no, as a caller may read it. What only an operator may know goes to the log and the record, in
/// `detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub code: Code,
    /// Why, for the caller: names no secret, no other caller, no address behind the gateway.
    pub reason: String,
    /// The policies that refused, if any did.
    pub policies: Vec<String>,
    /// Seconds after which a new try makes sense, if one does.
    pub retry_after: Option<u32>,
    /// Why, for the operator: the failing check, the place, the cause.
    pub detail: Option<String>,
    /// The approval that would let it pass, or that did not.
    pub approval: Option<Box<Awaited>>,
}

/// An approval as its requester is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Its id.
    pub id: String,
    /// Where approvers find it, if the configuration says so.
    pub url: Option<String>,
}

impl Refusal {
    /// A refusal that says what its code means.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            reason: code.meaning().to_owned(),
            policies: Vec::new(),
            retry_after: None,
            detail: None,
            approval: None,
        }
    }

    /// The same with a reason of its own.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The same with a cause for the operator alone.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// The same with the policies that refused.
    #[must_use]
    pub fn by_policies(mut self, policies: Vec<String>) -> Self {
        self.policies = policies;
        self
    }

    /// The same with the approval it is about.
    #[must_use]
    pub fn about(mut self, approval: Awaited) -> Self {
        self.approval = Some(Box::new(approval));
        self
    }

    /// The same with a time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_table_is_current() {
        let published = include_str!("../../../docs/errors.md");
        assert!(
            published == Code::reference(),
            "docs/errors.md is not what the codes say; run: cargo run -p model --example write-errors"
        );
    }

    #[test]
    fn every_code_is_found_by_its_name_and_no_two_share_one() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(*code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }
}
