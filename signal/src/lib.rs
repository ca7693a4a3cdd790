//! Rooms over HTTP and WebSocket: thin Actix actors around the pure room of `causeway-signal-core`.
//!
//! [`start`] binds, serves `/api/v1`, the WebSocket and the embedded web demo, and hands back a
//! [`RunningSignal`]. It has to be called inside an `actix_web::rt::System`.

#![forbid(unsafe_code)]

mod access;
mod api_keys;
mod app_rooms;
mod attach;
mod client;
mod connection;
mod doors;
mod farewell;
mod frame_gate;
mod frames;
mod http;
mod ice;
mod kept;
mod leaving;
mod limits;
mod mail;
mod metrics;
mod name;
mod nodes;
mod outbox;
mod password;
mod registry;
mod room;
mod rooms;
mod session;
mod settings;
mod shared_rates;
mod site;
mod slots;
mod socket;
mod start;
mod state;
mod stranger;
mod text;
mod whereabouts;

pub use api_keys::{ApiKeySettings, ApiKeys};
pub use doors::{RelayDoors, RelayTransport};
pub use settings::{LimitSettings, SettingProblem, SignalSettings, TimingSettings};
pub use start::{ExtraRoutes, RunningSignal, SignalParts, StartError, start};
