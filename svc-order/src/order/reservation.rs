//! The stock that is held for an order which is being placed.
//!
//! Until [`Reservation::keep`] is said, dropping it gives the stock back: on a refusal further down, on an error, and when
//! the request is cut off in the middle.
//!
//! The trap: once the order may have been written, giving back its stock would oversell it. Whoever cannot tell says
//! `keep`; the reservation of an order that was not written after all expires by itself (`RESERVATION_TTL` of
//! svc-catalog).

use nats::{
    contracts::catalog::{ReleaseStock, ReserveRefusal, ReserveStock, ReservedLine, StockLine},
    invoke::{CallError, Caller},
    problem::{Code, Problem},
    telemetry::Trace,
    types::{Currency, Invalid, OrderId, Sku},
};

/// A line as it goes to the stock: each SKU once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What and how much.
    pub(crate) line: StockLine,
    /// Where the SKU stands first in the request.
    pub(crate) at: usize,
}

impl Wanted {
    /// Lines of the same SKU become one, in the place of the first.
    ///
    /// # Errors
    /// `invalid_request` when they come to more than a line can have.
    pub(crate) fn merge(lines: impl IntoIterator<Item = StockLine>) -> Result<Vec<Self>, Problem> {
        let mut all: Vec<Self> = Vec::new();
        for (at, line) in lines.into_iter().enumerate() {
            match all.iter_mut().find(|known| known.line.sku == line.sku) {
                Some(Self { line: known, .. }) => {
                    let sum = known.quantity.checked_add(line.quantity);
                    let too_many = |error: Invalid| Problem::invalid(format!("/lines/{at}/quantity"), error.as_str());
                    known.quantity = sum.map_err(too_many)?;
                }
                None => all.push(Self { line, at }),
            }
        }
        Ok(all)
    }
}

/// Stock that is held.
pub(crate) struct Reservation {
    /// What is held, in the order of what was wanted.
    pub(crate) lines: Vec<ReservedLine>,
    calls: Caller,
    order_id: OrderId,
    kept: bool,
}

impl Reservation {
    /// Reserves all that is wanted, or nothing.
    ///
    /// # Errors
    /// `invalid_request` for an unknown SKU, `out_of_stock` with what there is, or why the catalogue did not answer.
    pub(crate) async fn take(
        calls: &Caller,
        order_id: OrderId,
        currency: Currency,
        wanted: &[Wanted],
    ) -> Result<Self, Problem> {
        let mut held = Self { lines: Vec::new(), calls: calls.clone(), order_id, kept: false };
        let lines = wanted.iter().map(|wanted| wanted.line.clone()).collect();
        match calls.call(&ReserveStock { order_id, currency, lines }).await {
            Ok(reserved) if reserved.lines.len() == wanted.len() => {
                held.lines = reserved.lines;
                Ok(held)
            }
            Ok(_) => Err(Problem::internal("the reservation has other lines than were asked for")),
            Err(error) => {
                // Otherwise it is not known whether something is held.
                held.kept = matches!(error, CallError::Refused(_) | CallError::Unavailable { .. });
                Err(error.problem(|refusal| refused(refusal, wanted, currency)))
            }
        }
    }

    /// The order is written, or may be: the stock stays with it.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (calls, order_id) = (self.calls.clone(), self.order_id);
        let give_back = async move {
            if let Err(error) = calls.call(&ReleaseStock { order_id }).await {
                tracing::warn!(%order_id, %error, "the stock was not given back; the reservation expires by itself");
            }
        };
        runtime.spawn(Trace::current().scope(tracing::Span::current(), give_back));
    }
}

/// The catalogue's refusal, with the places in the request.
fn refused(refusal: ReserveRefusal, wanted: &[Wanted], currency: Currency) -> Problem {
    let place = |line: usize| wanted.get(line).map_or(line, |wanted| wanted.at);
    let sku = |line: usize| wanted.get(line).map(|wanted| &wanted.line.sku);
    match refusal {
        ReserveRefusal::Unknown(lines) => {
            let problem = Problem::new(Code::InvalidRequest, "Something in this order is not for sale.");
            lines.into_iter().fold(problem, |problem, line| {
                let name = sku(line).map(Sku::to_string).unwrap_or_default();
                problem.at(format!("/lines/{}/sku", place(line)), format!("`{name}` is not for sale in {currency}"))
            })
        }
        ReserveRefusal::OutOfStock(shortages) => {
            let problem = Problem::new(Code::OutOfStock, "Less is available than was asked for. Nothing was ordered.");
            shortages.into_iter().fold(problem, |problem, shortage| {
                let detail = match shortage.available {
                    ..=0 => format!("`{}` is sold out", shortage.sku),
                    available => format!("only {available} of `{}` are available", shortage.sku),
                };
                problem.at(format!("/lines/{}", place(shortage.line)), detail)
            })
        }
        ReserveRefusal::Settled => Problem::internal("a new order's id has a settled reservation"),
    }
}
