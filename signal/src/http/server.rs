//! The HTTP server: actix-http's, put together as `actix_web::HttpServer` does it, with one difference: a connection that is
//! upgraded leaves the HTTP dispatcher, whose two buffers of 8 KiB would make up most of what an idle WebSocket costs.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::Framed;
use actix_http::body::{BoxBody, MessageBody};
use actix_http::{HttpService, Request, Response, h1};
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::dev::AppConfig;
use futures_util::future::LocalBoxFuture;
use tokio::net::TcpStream;

use super::upgraded;
use crate::socket;
use crate::state::Signal;

/// How long a request's head may take. Browsers send it in one packet.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept for the next request.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Serves the application that `app` makes on a listening socket, and counts connections for `signal`.
///
/// # Errors
/// The socket cannot be used.
pub(crate) fn serve<F, I, S, B>(
    listener: TcpListener,
    threads: usize,
    signal: Arc<Signal>,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Error = actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    B: MessageBody + 'static,
{
    let server = Server::build();
    let stopping = server.graceful_shutdown_signal();
    let server = server.workers(threads).disable_signals().shutdown_timeout(1);
    let server = server.listen("signaling", listener, move || {
        let (stopping, signal) = (stopping.clone(), Arc::clone(&signal));
        // Requests that ask for an upgrade have an instance of the application to themselves.
        let [requests, upgrades] = [app(), app()].map(|app| map_config(app, |()| AppConfig::default()));
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(REQUEST_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .on_connect_ext(move |stream: &TcpStream, data: &mut _| socket::on_connect(stream, data, &signal))
            .upgrade(Upgrades { app: upgrades, body: PhantomData })
            .h1(requests)
            .tcp()
    })?;
    Ok(server.run())
}

/// A connection whose request asks for an upgrade.
type Connection = (Request, Framed<TcpStream, h1::Codec>);

/// Makes [`Upgrade`]s.
struct Upgrades<S, B> {
    app: S,
    body: PhantomData<B>,
}

impl<S, B> ServiceFactory<Connection> for Upgrades<S, B>
where
    S: ServiceFactory<Request, Config = ()>,
    S::Service: 'static,
    S::Future: 'static,
    S::Response: Into<Response<B>>,
    S::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    type Response = ();
    type Error = actix_http::Error;
    type Config = ();
    type Service = Upgrade<S::Service, B>;
    type InitError = S::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, S::InitError>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let app = self.app.new_service(());
        Box::pin(async move { Ok(Upgrade { app: Rc::new(app.await?), body: PhantomData }) })
    }
}

/// Lets the application answer, and serves the connection from there on.
struct Upgrade<S, B> {
    app: Rc<S>,
    body: PhantomData<B>,
}

impl<S, B> Service<Connection> for Upgrade<S, B>
where
    S: Service<Request> + 'static,
    S::Response: Into<Response<B>>,
    S::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    type Response = ();
    type Error = actix_http::Error;
    type Future = LocalBoxFuture<'static, Result<(), actix_http::Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The application is always ready; what it refuses, it refuses by an answer.
        self.app.poll_ready(context).map(|_ready| Ok(()))
    }

    fn call(&self, (request, framed): Connection) -> Self::Future {
        let app = Rc::clone(&self.app);
        Box::pin(async move {
            let (request, upgraded) = upgraded::begin(request, framed);
            let response =
                app.call(request).await.map_or_else(Into::into, |answer| answer.into().map_into_boxed_body());
            // On its own, so that what led here can be forgotten.
            actix_web::rt::spawn(upgraded.serve(response));
            Ok(())
        })
    }
}
