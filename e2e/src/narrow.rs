//! A line with little room for what is on its way, and no great speed. What the system itself holds of a
//! connection grows to tens of megabytes where much comes quickly; over such a line it stays small, and what the
//! programs at its ends hold is seen.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

/// How much room there is at each end, each way, in bytes.
const ROOM: usize = 64 << 10;
/// The largest segment, in bytes, as it is between machines: a sender is given room for so many segments, and
/// those of loopback are as large as can be.
const SEGMENT: u32 = 1460;
/// What is carried at once.
const PIECE: usize = 16 << 10;
/// How long after a piece the next one may go.
const PAUSE: Duration = Duration::from_millis(1);

/// Stands between two and carries what comes. Dropped, it accepts nothing more.
#[derive(Debug)]
pub struct Narrow {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Narrow {
    /// Leads to `target`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn before(target: SocketAddr) -> Self {
        let door = socket().expect("a socket with little room");
        door.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let listener = door.listen(16).expect("a listener");
        let address = listener.local_addr().expect("a bound listener has an address");
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let far = socket()?.connect(target).await?;
                    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                    tokio::try_join!(carry(from_near, to_far), carry(from_far, to_near))
                });
            }
        });
        Self { address, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a listener accepts is like its own socket.
fn socket() -> io::Result<TcpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_send_buffer_size(ROOM)?;
    socket.set_recv_buffer_size(ROOM)?;
    socket.set_tcp_mss(SEGMENT)?;
    socket.set_nonblocking(true)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
        tokio::time::sleep(PAUSE).await;
    }
}
