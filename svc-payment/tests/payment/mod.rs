//! Payments: charging orders, giving back what canceled ones paid, and showing all that.

mod cancel;
mod charge;
mod ledger;
mod list;
mod refund;
