//! The network between one node and Redis, which can be cut, or swallow what Redis says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const OPEN: u8 = 0;
const CUT: u8 = 1;

/// A way to Redis. It ends with the test's runtime.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<AtomicU8>,
    /// Changes when all connections are to end.
    cuts: watch::Sender<u64>,
    /// Connections older than this number bring nothing back.
    deaf_below: watch::Sender<u64>,
    opened: watch::Receiver<u64>,
}

impl Proxy {
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(AtomicU8::new(OPEN));
        let (cuts, cut) = watch::channel(0);
        let (deaf_below, deaf) = watch::channel(0);
        let (opens, opened) = watch::channel(0);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.load(Ordering::Acquire) == CUT {
                    continue;
                }
                let Ok(server) = TcpStream::connect(to).await else { continue };
                opens.send_modify(|opened| *opened += 1);
                let number = *opens.borrow();
                let mut cut = cut.clone();
                cut.mark_unchanged();
                let deaf = deaf.clone();
                tokio::spawn(async move {
                    let (client_reads, client_writes) = client.into_split();
                    let (server_reads, server_writes) = server.into_split();
                    tokio::select! {
                        () = carry(client_reads, server_writes, || true) => {}
                        () = carry(server_reads, client_writes, || number > *deaf.borrow()) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, state, cuts, deaf_below, opened }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Ends all connections, and takes no new ones.
    pub fn cut(&self) {
        self.state.store(CUT, Ordering::Release);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub fn heal(&self) {
        self.state.store(OPEN, Ordering::Release);
    }

    /// From now on nothing comes back on the connections that there are: they look well and are dead.
    pub fn deafen(&self) {
        self.deaf_below.send_replace(*self.opened.borrow());
    }

    /// How many connections were made.
    pub fn opened(&self) -> watch::Receiver<u64> {
        self.opened.clone()
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, passes: impl Fn() -> bool) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if passes() && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
