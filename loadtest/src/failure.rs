//! Why something could not be measured.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use causeway_stun::{Method, attributes::ChannelNumber};

/// Why something could not be measured; never that it was measured and is too slow.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Flags that contradict each other.
    #[error("{0}")]
    Usage(&'static str),
    /// A program that is not there.
    #[error("{program} is not installed: {remedy}")]
    NotInstalled {
        /// What was looked for.
        program: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// A server that ended or did not answer.
    #[error("{server} did not answer within {} s; its last words are in {}", .patience.as_secs(), .log.display())]
    NotUp {
        /// Its name.
        server: &'static str,
        /// How long it was given.
        patience: Duration,
        /// Where its output is.
        log: PathBuf,
    },
    /// A request without an answer.
    #[error("{server} does not answer {method:?}")]
    Unanswered {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        method: Method,
    },
    /// A request that was refused.
    #[error("{server} refuses {method:?} with {code}")]
    Refused {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        method: Method,
        /// The error code; 0 if it named none.
        code: u16,
    },
    /// An answer that makes no sense.
    #[error("{server} answers {method:?} without {lacks}")]
    Senseless {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        method: Method,
        /// What the answer lacks.
        lacks: &'static str,
    },
    /// A request that cannot be written.
    #[error("cannot write a message: {0}")]
    Encode(#[from] causeway_stun::EncodeError),
    /// A value that cannot be written.
    #[error("cannot write an attribute: {0}")]
    Attribute(#[from] causeway_stun::AttributeError),
    /// More peers than there are channels.
    #[error("no channel is left after {:#x}", .0.number())]
    NoChannel(ChannelNumber),
    /// An HTTP request that was refused, or answered with something else.
    #[error("{server} answers {path} with {status}: {answer}")]
    RefusedHttp {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        path: String,
        /// The status code.
        status: u16,
        /// The body.
        answer: String,
    },
    /// A WebSocket that cannot be asked for.
    #[error("cannot open a WebSocket: {0}")]
    WebSocket(#[from] Box<tungstenite::Error>),
    /// Members that did not get in.
    #[error("{inside} of {wanted} members are inside: {trouble}")]
    NotGathered {
        /// Who is.
        inside: usize,
        /// Who wanted to be.
        wanted: usize,
        /// What happened.
        trouble: String,
    },
    /// Nothing arrived at all.
    #[error("nothing of what was sent through {0} arrived")]
    NothingDelivered(&'static str),
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// Names what was tried.
pub(crate) trait Doing<T> {
    /// # Errors
    /// The same, with what was tried.
    fn doing(self, what: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: &'static str) -> Result<T, Failure> {
        self.map_err(|source| Failure::System { what, source: source.into() })
    }
}
