//! A connection that left the HTTP dispatcher: what it receives is handed on as it comes, what it sends is written as it comes,
//! and while nothing happens it holds no buffer.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_codec::{Encoder, Framed};
use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{
    BoxedPayloadStream, ConnectionType, HttpMessage, Payload, Request, Response, StatusCode, h1,
};
use actix_web::dev::Extensions;
use actix_web::web::{Bytes, BytesMut};
use futures_util::Stream;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::socket::Cut;

/// Taken from the socket at once. A guess: most messages are smaller.
const READ: usize = 8 * 1024;
/// Frames that wait are written together up to this. A guess: several session descriptions.
const WRITE: usize = 32 * 1024;

/// The sending half.
pub(super) struct Upgraded {
    stream: Rc<TcpStream>,
    codec: h1::Codec,
    /// Among them the connection's place, which it keeps.
    _data: Option<Rc<Extensions>>,
}

/// Takes the connection out of its frame. The request gets the receiving half as its payload, and a way to cut the connection
/// among its extensions.
pub(super) fn begin(request: Request, framed: Framed<TcpStream, h1::Codec>) -> (Request, Upgraded) {
    let parts = framed.into_parts();
    let stream = Rc::new(parts.io);
    let early =
        Some(parts.read_buf).filter(|early| !early.is_empty()).map(|early| Bytes::copy_from_slice(&early));
    let incoming: BoxedPayloadStream = Box::pin(Incoming { stream: Rc::clone(&stream), early });
    let (mut request, _none) = request.replace_payload(Payload::Stream { payload: incoming });
    request.extensions_mut().insert(Cut::new(&stream));
    let data = request.take_conn_data();
    (request, Upgraded { stream, codec: parts.codec, _data: data })
}

impl Upgraded {
    /// Sends an answer with all of its body.
    pub(super) async fn serve(self, response: Response<BoxBody>) {
        if let Err(error) = self.answer(response).await {
            tracing::debug!(%error, "connection lost");
        }
    }

    /// Sends the answer, and then its body as long as it lasts: a WebSocket's is all that the server says.
    async fn answer(mut self, response: Response<BoxBody>) -> io::Result<()> {
        let (mut head, body) = response.into_parts();
        let switching = head.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !switching {
            head.head_mut().set_connection_type(ConnectionType::Close);
        }
        let mut bytes = BytesMut::new();
        self.codec.encode(h1::Message::Item((head, body.size())), &mut bytes)?;
        self.write(&bytes).await?;
        let mut body = pin!(body);
        let mut more = true;
        while more {
            bytes = BytesMut::new();
            more = poll_fn(|context| gather(body.as_mut(), &mut bytes, context)).await;
            if switching {
                self.write(&bytes).await?;
            } else {
                let mut encoded = BytesMut::new();
                self.codec.encode(h1::Message::Chunk(Some(bytes.freeze())), &mut encoded)?;
                self.write(&encoded).await?;
                bytes = BytesMut::new();
            }
        }
        if !switching {
            self.codec.encode(h1::Message::Chunk(None), &mut bytes)?;
            self.write(&bytes).await?;
        }
        // The client reads what is under way, and the end. The socket itself ends with its receiving half.
        SockRef::from(&*self.stream).shutdown(Shutdown::Write)
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Takes what is ready of a body, and waits if nothing is. Says whether there can be more.
fn gather<B: MessageBody>(
    mut body: Pin<&mut B>,
    bytes: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<bool> {
    while bytes.len() < WRITE {
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

/// The receiving half.
struct Incoming {
    stream: Rc<TcpStream>,
    /// What came together with the request's head.
    early: Option<Bytes>,
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(early) = self.early.take() {
            return Poll::Ready(Some(Ok(early)));
        }
        loop {
            if let Err(error) = ready!(self.stream.poll_read_ready(context)) {
                return Poll::Ready(Some(Err(error.into())));
            }
            let mut buffer = [0; READ];
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Poll::Ready(None),
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    return Poll::Ready(Some(Ok(Bytes::copy_from_slice(bytes))));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}
