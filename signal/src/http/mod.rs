//! The HTTP side: routes, and how requests are refused.

mod api;
mod app;
mod body;
mod create;
mod deadline;
mod origin;
mod refusal;
mod routes;
pub(crate) mod server;
mod upgraded;
mod websocket;

pub(crate) use refusal::Refusal;
pub(crate) use routes::routes;
