//! The pages, filled. Templates are compiled with the program and escape all they are given.

use askama::Template;
use bytes::Bytes;
use http::StatusCode;
use model::Refusal;

use crate::approvals::{ApprovalView, InboxView, REASON};
use crate::attempt::ReturnTo;
use crate::guard::FORM_TOKEN;
use crate::overview::{Overview, Recent};
use crate::reply::{self, Answer};
use crate::{ConsoleError, look};

/// What every page's frame needs.
pub(crate) struct Frame {
    pub(crate) style: String,
    pub(crate) mark: String,
}

impl Frame {
    fn new() -> Self {
        Self { style: look::style(), mark: look::mark() }
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    frame: Frame,
    field: &'static str,
    of: &'a Overview,
}

#[derive(Template)]
#[template(path = "approvals.html")]
struct InboxPage<'a> {
    frame: Frame,
    field: &'static str,
    of: &'a InboxView,
}

#[derive(Template)]
#[template(path = "approval.html")]
struct ApprovalPage<'a> {
    frame: Frame,
    field: &'static str,
    longest: usize,
    of: &'a ApprovalView,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    ended: bool,
    ways: Vec<Way>,
}

/// One issuer's button.
struct Way {
    name: String,
    place: String,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'a> {
    frame: Frame,
    issuer: Option<&'a str>,
    further: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    frame: Frame,
    title: &'static str,
    reason: &'a str,
    advice: &'static str,
    code: &'static str,
    request: &'a str,
    again: bool,
}

/// The one page.
pub(crate) fn overview(of: &Overview) -> Result<Answer, ConsoleError> {
    page(StatusCode::OK, &OverviewPage { frame: Frame::new(), field: FORM_TOKEN, of })
}

/// What waits for consent.
pub(crate) fn inbox(of: &InboxView) -> Result<Answer, ConsoleError> {
    page(StatusCode::OK, &InboxPage { frame: Frame::new(), field: FORM_TOKEN, of })
}

/// One approval.
pub(crate) fn approval(status: StatusCode, of: &ApprovalView) -> Result<Answer, ConsoleError> {
    page(status, &ApprovalPage { frame: Frame::new(), field: FORM_TOKEN, longest: REASON, of })
}

/// The page with a button for each issuer.
pub(crate) fn sign_in(issuers: &[&str], return_to: &ReturnTo, ended: bool) -> Result<Answer, ConsoleError> {
    let way = |issuer: &&str| {
        let pairs = [("issuer", *issuer), ("return_to", return_to.as_str())];
        Way { name: (*issuer).to_owned(), place: crate::provider::with_query("/sign-in", &pairs) }
    };
    let ways = issuers.iter().map(way).collect();
    page(StatusCode::OK, &SignInPage { frame: Frame::new(), ended, ways })
}

/// The page after signing out, with the way to end the issuer's own session.
pub(crate) fn signed_out(issuer: Option<&str>, further: Option<&str>) -> Result<Answer, ConsoleError> {
    page(StatusCode::OK, &SignedOutPage { frame: Frame::new(), issuer, further })
}

/// The page that says no.
pub(crate) fn refused(refusal: &Refusal, request: &str) -> Result<Answer, ConsoleError> {
    let status = refusal.code.status();
    let title = match status.as_u16() {
        401 => "You are not signed in",
        403 => "Not permitted",
        404 => "Nothing is here",
        409 => "That is settled already",
        500.. => "That did not work",
        _ => "This cannot be done",
    };
    let of = RefusedPage {
        frame: Frame::new(),
        title,
        reason: &refusal.reason,
        advice: refusal.code.advice(),
        code: refusal.code.name(),
        request,
        again: status != StatusCode::NOT_FOUND,
    };
    page(status, &of)
}

fn page(status: StatusCode, template: &impl Template) -> Result<Answer, ConsoleError> {
    let text = template.render()?;
    Ok(reply::answer(status, reply::headers(), Bytes::from(text)))
}
