//! What an agent says when it is not the upstream that answers: a word in a header that no upstream can
//! write, since an agent drops every header of that kind from what it passes on.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Empty;

/// What all headers between gateway and agent begin with. None of them comes from, or reaches, anybody else.
const OURS: &str = "portcullis-";
/// Which exchange a request belongs to.
pub(crate) const EXCHANGE: HeaderName = HeaderName::from_static("portcullis-exchange");
/// What kept the agent from an answer.
const FAULT: HeaderName = HeaderName::from_static("portcullis-fault");
/// The same for operators.
const DETAIL: HeaderName = HeaderName::from_static("portcullis-fault-detail");
/// The longest detail, in bytes.
const LONGEST: usize = 500;

/// What kept an agent from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The agent does not serve this resource.
    NotServed,
    /// The agent has no room for another request.
    Busy,
    /// The request is larger than the agent takes, or cannot be read.
    Unfit,
    /// The upstream cannot be reached.
    Unreachable,
    /// The upstream did not take the connection in time.
    ConnectTimeout,
    /// The credential cannot be had.
    Credential,
    /// The upstream did not begin to answer in time.
    FirstByteTimeout,
    /// The exchange took longer than any may.
    ExchangeTimeout,
    /// The upstream broke off.
    Lost,
    /// The upstream answered what cannot be read.
    Unreadable,
    /// Something else, of which it is not known what it did.
    Other,
}

impl Fault {
    const ALL: [(Self, &'static str); 11] = [
        (Self::NotServed, "not-served"),
        (Self::Busy, "busy"),
        (Self::Unfit, "unfit"),
        (Self::Unreachable, "unreachable"),
        (Self::ConnectTimeout, "connect-timeout"),
        (Self::Credential, "credential"),
        (Self::FirstByteTimeout, "first-byte-timeout"),
        (Self::ExchangeTimeout, "exchange-timeout"),
        (Self::Lost, "lost"),
        (Self::Unreadable, "unreadable"),
        (Self::Other, "other"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(fault, _)| *fault == self).map_or("other", |(_, word)| word)
    }

    /// Whether the upstream may have got the request. If not, another agent may be asked.
    pub fn may_have_run(self) -> bool {
        !matches!(
            self,
            Self::NotServed
                | Self::Busy
                | Self::Unfit
                | Self::Unreachable
                | Self::ConnectTimeout
                | Self::Credential
        )
    }

    /// The answer that says it. `detail` is for operators, and holds no part of a credential or a request.
    pub fn answer(self, detail: &str) -> Response<Empty<Bytes>> {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response.headers_mut().insert(FAULT, HeaderValue::from_static(self.as_str()));
        let plain = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
        let detail: String = detail.chars().take(LONGEST).map(plain).collect();
        if let Ok(detail) = HeaderValue::try_from(detail) {
            response.headers_mut().insert(DETAIL, detail);
        }
        response
    }

    /// What an answer's headers say of it. None: the upstream answered.
    pub fn of(headers: &HeaderMap) -> Option<(Self, String)> {
        let word = headers.get(FAULT)?.as_bytes();
        let known = Self::ALL.iter().find(|(_, known)| known.as_bytes() == word);
        let detail = headers.get(DETAIL).and_then(|detail| detail.to_str().ok()).unwrap_or_default();
        Some((known.map_or(Self::Other, |(fault, _)| *fault), detail.to_owned()))
    }
}

/// Drops what only gateway and agent may say to each other.
pub fn drop_ours(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_heard_as_it_was_said() {
        for (fault, _) in Fault::ALL {
            let answer = fault.answer("no\nsuch \u{e4} host");
            assert_eq!(Fault::of(answer.headers()), Some((fault, "no?such ? host".to_owned())));
        }
        assert_eq!(Fault::of(&HeaderMap::new()), None);
    }

    #[test]
    fn what_an_upstream_says_in_our_name_is_dropped_and_what_is_new_may_have_run() {
        let mut answer = Fault::Busy.answer("");
        answer.headers_mut().insert("x-other", HeaderValue::from_static("1"));
        drop_ours(answer.headers_mut());
        assert_eq!(Fault::of(answer.headers()), None);
        assert!(answer.headers().contains_key("x-other"));
        answer.headers_mut().insert(FAULT, HeaderValue::from_static("of-tomorrow"));
        assert!(Fault::of(answer.headers()).unwrap().0.may_have_run());
    }
}
