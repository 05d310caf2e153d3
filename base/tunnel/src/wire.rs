//! What is said before HTTP/2 begins, and before the bytes of a stretch: one message with its length in
//! front (four bytes, big-endian), in protobuf, derived by hand. A field that is not known is passed over,
//! so that later versions may say more.

use std::io;
use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The largest message, in bytes.
pub(crate) const LARGEST: usize = 16 << 10;
/// How long one may take to arrive or to leave.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What an agent says first on a tunnel.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hello {
    /// The oldest version of the tunnel it speaks.
    #[prost(uint32, tag = "1")]
    pub(crate) oldest: u32,
    /// The newest.
    #[prost(uint32, tag = "2")]
    pub(crate) newest: u32,
    /// What it can do besides.
    #[prost(string, repeated, tag = "3")]
    pub(crate) features: Vec<String>,
    /// Which program it is, for operators.
    #[prost(string, tag = "4")]
    pub(crate) software: String,
}

/// What a gateway answers. HTTP/2 begins after `accepted`, and the connection ends after `refused`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Welcome {
    #[prost(message, optional, tag = "1")]
    pub(crate) accepted: Option<Accepted>,
    #[prost(message, optional, tag = "2")]
    pub(crate) refused: Option<Refusal>,
}

/// What both will speak.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Accepted {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    /// What both can do.
    #[prost(string, repeated, tag = "2")]
    pub(crate) features: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) software: String,
}

/// A refusal, for programs and for people.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Refusal {
    #[prost(uint32, tag = "1")]
    pub(crate) why: u32,
    #[prost(string, tag = "2")]
    pub(crate) sentence: String,
}

/// What an agent says to become one, or to stay one: then its certificate speaks for it, and the token is
/// empty.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Join {
    #[prost(message, optional, tag = "1")]
    pub(crate) hello: Option<Hello>,
    /// The invitation.
    #[prost(string, tag = "2")]
    pub(crate) invitation: String,
    /// The secret that proves it.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) secret: Vec<u8>,
    /// The agent's new public key: an uncompressed point of P-256 (SEC 1, section 2.3.3).
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) key: Vec<u8>,
    /// The proof that it has the private one: a signature of this very connection.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) signature: Vec<u8>,
    /// In place of an invitation: a token of the program's own issuer.
    #[prost(string, tag = "6")]
    pub(crate) workload: String,
}

/// What a gateway answers to that.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Joined {
    #[prost(message, optional, tag = "1")]
    pub(crate) certificate: Option<Issued>,
    #[prost(message, optional, tag = "2")]
    pub(crate) refused: Option<Refusal>,
}

/// A certificate with what the agent must know of it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Issued {
    /// The agent's certificate, in DER.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) certificate: Vec<u8>,
    /// The authority's, in DER.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) authority: Vec<u8>,
    /// How long it lasts from now, in seconds.
    #[prost(uint64, tag = "3")]
    pub(crate) lasts: u64,
    /// After how many seconds to ask for the next.
    #[prost(uint64, tag = "4")]
    pub(crate) renew: u64,
}

/// Writes a message.
pub(crate) async fn say(stream: &mut (impl AsyncWrite + Unpin), message: &impl Message) -> io::Result<()> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if bytes.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
    }
    let all = [&length.to_be_bytes()[..], &bytes].concat();
    let written = async {
        stream.write_all(&all).await?;
        stream.flush().await
    };
    timeout(PATIENCE, written).await.map_err(|_| late())?
}

/// Reads a message.
pub(crate) async fn hear<M: Message + Default>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<M> {
    let read = async {
        let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(odd("a message is larger than any may be"));
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await?;
        M::decode(&bytes[..]).map_err(|_| odd("a message cannot be read"))
    };
    timeout(PATIENCE, read).await.map_err(|_| late())?
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the other side took too long")
}

fn odd(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(bytes: &[u8]) -> io::Result<Join> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(hear::<Join>(&mut &bytes[..]))
    }

    #[test]
    fn what_is_said_is_heard() {
        let join = Join { invitation: "i".to_owned(), secret: vec![1, 2], ..Join::default() };
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(say(&mut out, &join)).unwrap();
        assert_eq!(heard(&out).unwrap(), join);
        assert!(heard(&out[..out.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_heard_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = heard(&bytes);
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            let _ = heard(&[&length[..], &bytes].concat());
        }
    }
}
