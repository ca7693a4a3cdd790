//! A connection that left the HTTP dispatcher: its request is answered, and if it asked for a WebSocket, it is handed to a session.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use actix_codec::{Encoder, Framed};
use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{BoxedPayloadStream, ConnectionType, Payload, Request, Response, h1};
use actix_web::dev::Extensions;
use actix_web::web::{Bytes, BytesMut};
use futures_util::Stream;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::connection::Opening;
use crate::socket::{self, Place};

/// What an answer's body is gathered to. A guess.
const TOGETHER: usize = 32 * 1024;

/// The connection, and how it speaks.
pub(super) struct Upgraded {
    stream: Rc<TcpStream>,
    early: Early,
    codec: h1::Codec,
    /// Among them the connection's place, which it keeps.
    data: Option<Rc<Extensions>>,
}

/// What came together with the request's head, until somebody takes it.
type Early = Rc<RefCell<Bytes>>;

/// Takes the connection out of its frame. The request gets the receiving half as its payload.
pub(super) fn begin(request: Request, framed: Framed<TcpStream, h1::Codec>) -> (Request, Upgraded) {
    let parts = framed.into_parts();
    let stream = Rc::new(parts.io);
    let early = Rc::new(RefCell::new(Bytes::copy_from_slice(&parts.read_buf)));
    let incoming = Incoming { stream: Rc::downgrade(&stream), early: Rc::clone(&early) };
    let incoming: BoxedPayloadStream = Box::pin(incoming);
    let (mut request, _none) = request.replace_payload(Payload::Stream { payload: incoming });
    let data = request.take_conn_data();
    (request, Upgraded { stream, early, codec: parts.codec, data })
}

impl Upgraded {
    /// Sends an answer with all of its body; or that a WebSocket is open, and then it is one.
    pub(super) async fn serve(mut self, mut response: Response<BoxBody>) {
        let opening = response.extensions_mut().remove::<Opening>();
        let answered = match opening {
            Some(opening) => self.open(opening, response).await,
            None => self.answer(response).await,
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "connection lost");
        }
    }

    async fn open(mut self, opening: Opening, response: Response<BoxBody>) -> io::Result<()> {
        let (head, body) = response.into_parts();
        let mut bytes = BytesMut::new();
        self.codec.encode(h1::Message::Item((head, body.size())), &mut bytes)?;
        socket::write(&self.stream, &mut bytes).await?;
        let Self { stream, early, codec: _, data } = self;
        // The request's payload does not hold it.
        let Some(stream) = Rc::into_inner(stream) else { return Err(io::ErrorKind::ResourceBusy.into()) };
        let place = data.as_ref().and_then(|data| data.get::<Place>()).cloned().flatten();
        opening.begin(stream, &early.take(), place);
        Ok(())
    }

    async fn answer(&mut self, response: Response<BoxBody>) -> io::Result<()> {
        let (mut head, body) = response.into_parts();
        head.head_mut().set_connection_type(ConnectionType::Close);
        let mut bytes = BytesMut::new();
        self.codec.encode(h1::Message::Item((head, body.size())), &mut bytes)?;
        socket::write(&self.stream, &mut bytes).await?;
        let mut body = pin!(body);
        let mut more = true;
        while more {
            let mut chunk = BytesMut::new();
            more = poll_fn(|context| gather(body.as_mut(), &mut chunk, context)).await;
            self.codec.encode(h1::Message::Chunk(Some(chunk.freeze())), &mut bytes)?;
            socket::write(&self.stream, &mut bytes).await?;
        }
        self.codec.encode(h1::Message::Chunk(None), &mut bytes)?;
        socket::write(&self.stream, &mut bytes).await?;
        // The client reads what is under way, and the end.
        SockRef::from(&*self.stream).shutdown(Shutdown::Write)
    }
}

/// Takes what is ready of a body, and waits if nothing is. Says whether there can be more.
fn gather<B: MessageBody>(
    mut body: Pin<&mut B>,
    bytes: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<bool> {
    while bytes.len() < TOGETHER {
        match body.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(chunk))) => bytes.extend_from_slice(&chunk),
            // A body that breaks off is as good as one that ends: the connection ends with it.
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(false),
            Poll::Pending if bytes.is_empty() => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready(true)
}

/// The receiving half, as long as the connection is answered here.
struct Incoming {
    stream: Weak<TcpStream>,
    early: Early,
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let early = self.early.take();
        if !early.is_empty() {
            return Poll::Ready(Some(Ok(early)));
        }
        let Some(stream) = self.stream.upgrade() else { return Poll::Ready(None) };
        socket::poll_read(&stream, Bytes::copy_from_slice, context).map(|read| match read {
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => Some(Ok(bytes)),
            Err(error) => Some(Err(error.into())),
        })
    }
}
