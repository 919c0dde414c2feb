//! Notifications: writing them, sending them, showing them.

mod account;
mod audit;
mod forget;
mod given;
mod invoice;
mod list;
mod order;
mod retry;
mod send;
mod welcome;
