//! A leaf as the auditor reads it: the one kind that is large is glanced at, all others are read whole.

use prost::Message;

use crate::leaf::{Digest, Leaf, Span, What};
use crate::opened::Opened;

/// What a leaf says, as far as it is looked at here: most of an *opened* one is left unread, since what it tells
/// of caller and decision is proven by its hash and means nothing to the tree.
pub(super) fn said(payload: &[u8]) -> Result<Leaf, prost::DecodeError> {
    match Glance::decode(payload)? {
        Glance { time, bodies, what: Some(Seldom::Opened(OnlyOpened { exchange, request_body })) } => {
            let opened = Opened { exchange, request_body, ..Opened::default() };
            Ok(Leaf { time, bodies, what: Some(What::Opened(opened)) })
        }
        _ => Leaf::decode(payload),
    }
}

/// [`Leaf`], with what matters of an *opened* one.
#[derive(Clone, PartialEq, Message)]
struct Glance {
    #[prost(int64, tag = "1")]
    time: i64,
    #[prost(message, optional, tag = "2")]
    bodies: Option<Span>,
    #[prost(oneof = "Seldom", tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14")]
    what: Option<Seldom>,
}

/// [`What`]: all but one unread. The last one stands, as in the whole message.
#[derive(Clone, PartialEq, prost::Oneof)]
enum Seldom {
    #[prost(message, tag = "3")]
    Opened(OnlyOpened),
    #[prost(message, tag = "4")]
    Part(Unread),
    #[prost(message, tag = "5")]
    Sealed(Unread),
    #[prost(message, tag = "6")]
    Refused(Unread),
    #[prost(message, tag = "7")]
    Summary(Unread),
    #[prost(message, tag = "8")]
    PolicySet(Unread),
    #[prost(message, tag = "9")]
    Key(Unread),
    #[prost(message, tag = "10")]
    Dropped(Unread),
    #[prost(message, tag = "11")]
    Torn(Unread),
    #[prost(message, tag = "12")]
    Outage(Unread),
    #[prost(message, tag = "13")]
    Retention(Unread),
    #[prost(message, tag = "14")]
    Hold(Unread),
}

#[derive(Clone, PartialEq, Message)]
struct OnlyOpened {
    #[prost(bytes = "vec", tag = "1")]
    exchange: Vec<u8>,
    #[prost(message, optional, tag = "9")]
    request_body: Option<Digest>,
}

#[derive(Clone, PartialEq, Message)]
struct Unread {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::{Sealed, Torn};

    #[test]
    fn a_glance_sees_what_the_whole_leaf_says() {
        let digest = Some(Digest { frames: 3, bytes: 9, chain: vec![7; 32] });
        let opened = Opened {
            exchange: vec![1; 16],
            client: "192.0.2.7:4000".to_owned(),
            request_body: digest.clone(),
            ..Opened::default()
        };
        let span = Some(Span { class: "default".to_owned(), end_segment: 4, ..Span::default() });
        let leaf = Leaf { time: 5, bodies: span, what: Some(What::Opened(opened)) };
        let seen = said(&leaf.encode_to_vec()).unwrap();
        let only = Opened { exchange: vec![1; 16], request_body: digest, ..Opened::default() };
        assert_eq!(seen, Leaf { what: Some(What::Opened(only)), ..leaf.clone() });
        for what in [What::Sealed(Sealed { status: 200, ..Sealed::default() }), What::Torn(Torn::default())] {
            let other = Leaf { what: Some(what), ..leaf.clone() };
            assert_eq!(said(&other.encode_to_vec()).unwrap(), other);
            // Two in one: the last stands, for whoever reads it.
            let both = [leaf.encode_to_vec(), other.encode_to_vec()].concat();
            assert_eq!(said(&both).unwrap(), Leaf::decode(both.as_slice()).unwrap());
        }
        assert!(said(&[3 << 3 | 2, 200]).is_err());
    }
}
