//! Rooms over HTTP and WebSocket: Actix actors around the pure room.
