//! Payments: charging orders, and showing what was charged.

mod charge;
mod ledger;
mod list;
