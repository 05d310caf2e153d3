//! What a gateway asks of an agent itself, not of what stands behind it: a word in a header that no caller and
//! no upstream can write.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that holds it, in a request and in the answer.
const ORDER: HeaderName = HeaderName::from_static("portcullis-order");

/// What a gateway asks of an agent itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To replace the credential of a resource.
    Rotate,
    /// To look at the upstreams of a resource, and to tell how they do.
    Look,
}

impl Order {
    const ALL: [Self; 2] = [Self::Rotate, Self::Look];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rotate => "rotate",
            Self::Look => "look",
        }
    }

    /// Says it.
    pub fn write(self, headers: &mut HeaderMap) {
        headers.insert(ORDER, HeaderValue::from_static(self.as_str()));
    }

    /// What headers say of it.
    ///
    /// # Errors
    /// Nothing more, when it is one that is not known here: it must not be taken for a request.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, ()> {
        let mut all = headers.get_all(ORDER).iter();
        let Some(word) = all.next() else { return Ok(None) };
        let known = Self::ALL.into_iter().find(|order| order.as_str().as_bytes() == word.as_bytes());
        known.filter(|_| all.next().is_none()).map(Some).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_heard_as_it_was_said_and_an_unknown_one_is_no_request() {
        let mut headers = HeaderMap::new();
        assert_eq!(Order::of(&headers), Ok(None));
        for order in Order::ALL {
            order.write(&mut headers);
            assert_eq!(Order::of(&headers), Ok(Some(order)));
        }
        headers.append(ORDER, HeaderValue::from_static("rotate"));
        assert_eq!(Order::of(&headers), Err(()));
        headers.insert(ORDER, HeaderValue::from_static("of-tomorrow"));
        assert_eq!(Order::of(&headers), Err(()));
        crate::drop_ours(&mut headers);
        assert!(headers.is_empty());
    }
}
