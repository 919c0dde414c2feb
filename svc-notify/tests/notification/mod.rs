//! Notifications: writing them, sending them, showing them.

mod account;
mod audit;
mod company_invitation;
mod forget;
mod given;
mod invoice;
mod list;
mod order;
mod preference;
mod realtime;
mod retry;
mod send;
mod welcome;
