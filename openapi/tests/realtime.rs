//! Streams of messages, as server-sent events and over WebSocket.

mod client;
mod ends;
mod given;
mod slow;
mod socket;
mod stream;
mod ticket;
