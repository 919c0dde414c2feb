//! Payments: charging orders, giving back what canceled ones paid, and showing all that.

mod audit;
mod cancel;
mod charge;
mod faults;
mod get;
mod ledger;
mod list;
mod reconciliation;
mod refund;
mod refunds;
mod surplus;
mod webhook;
