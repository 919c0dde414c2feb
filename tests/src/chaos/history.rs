//! The history of a run: every request and what became of it, in memory and as a file of JSON lines.
//!
//! The file alone is enough to check a run again, or to see with `jq` what one client went through. Times are milliseconds
//! since the run began.

use std::{
    collections::BTreeMap,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use crate::{Result, error::Doing};

/// How many of each SKU.
pub type Lines = BTreeMap<String, i64>;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /v1/orders`, with lines or from the cart.
    PlaceOrder,
    /// `POST /v1/orders` under a key whose order was acknowledged, with another body.
    ReuseKey,
    /// `POST /v1/orders/{id}/cancel`
    CancelOrder,
    /// `GET /v1/orders/{id}`
    ReadOrder,
    /// `GET /v1/orders`
    ListOrders,
    /// `POST /v1/cart/items`
    AddToCart,
    /// `GET /v1/stock/{sku}`
    ReadStock,
    /// `GET /v1/products`
    Browse,
    /// `POST /v1/stock/{sku}/movements`: a receipt.
    Restock,
    /// `POST /v1/payments/{id}/refunds`
    Refund,
    /// `GET /v1/orders/{id}/payments`
    ReadPayments,
    /// `POST /v1/auth/login`
    SignIn,
}

impl Operation {
    /// Every operation, as reports list them.
    pub const ALL: [Self; 12] = [
        Self::PlaceOrder,
        Self::ReuseKey,
        Self::CancelOrder,
        Self::ReadOrder,
        Self::ListOrders,
        Self::AddToCart,
        Self::ReadStock,
        Self::Browse,
        Self::Restock,
        Self::Refund,
        Self::ReadPayments,
        Self::SignIn,
    ];

    /// As it stands in the history: `place_order`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PlaceOrder => "place_order",
            Self::ReuseKey => "reuse_key",
            Self::CancelOrder => "cancel_order",
            Self::ReadOrder => "read_order",
            Self::ListOrders => "list_orders",
            Self::AddToCart => "add_to_cart",
            Self::ReadStock => "read_stock",
            Self::Browse => "browse",
            Self::Restock => "restock",
            Self::Refund => "refund",
            Self::ReadPayments => "read_payments",
            Self::SignIn => "sign_in",
        }
    }

    /// The statuses with which the service may refuse it, whatever is broken meanwhile aside (429 and 5xx).
    ///
    /// An order is refused for want of stock, a cancellation when the order is paid, a refund when too little is left of
    /// what was captured.
    pub const fn refusals(self) -> &'static [u16] {
        match self {
            Self::PlaceOrder | Self::CancelOrder => &[409],
            Self::Refund => &[409, 422],
            Self::ReuseKey => &[422],
            _ => &[],
        }
    }
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When its first try was sent.
    pub since: u64,
    /// When this try was sent.
    pub start: u64,
    /// When its answer had arrived, or was given up.
    pub end: u64,
    /// Who sent it.
    pub client: String,
    /// What was asked for.
    pub operation: Operation,
    /// 1 for the first try, one more for each time that the client repeated it.
    pub attempt: u32,
    /// The `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A digest of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The order, SKU or payment that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What the order is to contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
    /// Pieces of a receipt, or minor units of a refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// What came back.
    pub outcome: Outcome,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An answer, whatever it says.
    Answer(Answer),
    /// None: the connection was refused, broke, or nothing came in time.
    Lost(String),
}

/// An answer, as far as the checker needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `id` of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A digest of the body.
    pub body: String,
    /// Whether it was marked as the repetition of an earlier answer.
    #[serde(default)]
    pub replayed: bool,
    /// The problem's code, when it is a problem document that says the status of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// `available` of a stock level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
}

/// What an outcome says about the effect that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It took place.
    Done,
    /// It did not, and this try will not bring it about.
    Refused,
    /// Nobody knows: lost, a fault of the other side, or a first request that is still running.
    Unknown,
}

impl Outcome {
    /// What it says about the effect.
    pub fn certainty(&self) -> Certainty {
        match self {
            Self::Lost(_) => Certainty::Unknown,
            Self::Answer(answer) => match answer.status {
                200..=299 => Certainty::Done,
                429 | 500.. => Certainty::Unknown,
                _ if answer.problem.as_deref() == Some("idempotency_key_in_flight") => Certainty::Unknown,
                _ => Certainty::Refused,
            },
        }
    }

    /// The answer, if there is one.
    pub const fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Lost(_) => None,
        }
    }
}

impl Record {
    /// The id of what was created, when it is acknowledged.
    pub fn acknowledged(&self) -> Option<&str> {
        let answer = self.outcome.answer().filter(|_| self.outcome.certainty() == Certainty::Done)?;
        answer.id.as_deref()
    }
}

/// A digest of some bytes: enough to see whether two bodies are the same.
pub fn digest(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Takes down what happens.
#[derive(Debug)]
pub struct History {
    began: Instant,
    path: PathBuf,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    file: BufWriter<File>,
    records: Vec<Record>,
    /// The first line that could not be written: a history with gaps proves nothing.
    failed: Option<String>,
}

impl History {
    /// An empty one, written to this file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).doing(|| format!("write {}", path.display()))?;
        let written = Written { file: BufWriter::new(file), records: Vec::new(), failed: None };
        Ok(Self { began: Instant::now(), path: path.to_owned(), written: Mutex::new(written) })
    }

    /// Milliseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes down a request that is over.
    pub fn add(&self, record: Record) {
        let line = serde_json::to_string(&record);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = line.map_err(|error| error.to_string()).and_then(|line| {
            let Written { file, .. } = &mut *written;
            writeln!(file, "{line}").map_err(|error| error.to_string())
        });
        if let Err(error) = outcome {
            written.failed.get_or_insert(error);
        }
        written.records.push(record);
    }

    /// Whether an order whose request was sent after `since` is acknowledged.
    pub fn has_order_since(&self, since: u64) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = written.records.iter().rev().take_while(|record| record.end >= since);
        recent.into_iter().any(|record| {
            record.operation == Operation::PlaceOrder && record.start >= since && record.acknowledged().is_some()
        })
    }

    /// Everything so far, and the file is complete up to here.
    ///
    /// # Errors
    /// When a line could not be written.
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = written.file.flush() {
            written.failed.get_or_insert(error.to_string());
        }
        match &written.failed {
            Some(error) => Err(crate::StackError::new(format!("could not write {}: {error}", self.path.display()))),
            None => Ok(written.records.clone()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn answered(status: u16, problem: Option<&str>) -> Outcome {
        Outcome::Answer(Answer { status, problem: problem.map(str::to_owned), ..Answer::default() })
    }

    #[test]
    fn what_an_answer_says_about_the_effect() {
        assert_eq!(answered(201, None).certainty(), Certainty::Done);
        assert_eq!(answered(409, Some("out_of_stock")).certainty(), Certainty::Refused);
        assert_eq!(answered(409, Some("idempotency_key_in_flight")).certainty(), Certainty::Unknown);
        for status in [429, 500, 503, 504] {
            assert_eq!(answered(status, None).certainty(), Certainty::Unknown, "{status}");
        }
        assert_eq!(Outcome::Lost("reset".to_owned()).certainty(), Certainty::Unknown);
    }

    #[test]
    fn a_line_holds_all_of_a_record() {
        let scratch = Scratch::new("history").unwrap();
        let history = History::create(&scratch.path().join("history.jsonl")).unwrap();
        let record = Record {
            since: 2,
            start: 5,
            end: 9,
            client: "buyer-1".to_owned(),
            operation: Operation::PlaceOrder,
            attempt: 2,
            key: Some("k".to_owned()),
            body: Some(digest(b"{}")),
            about: None,
            lines: Some(Lines::from([("LMP-1".to_owned(), 2)])),
            amount: None,
            outcome: answered(201, None),
        };
        history.add(record.clone());
        history.add(Record { outcome: Outcome::Lost("reset".to_owned()), ..record.clone() });

        assert_eq!(history.records().unwrap().len(), 2);
        let text = std::fs::read_to_string(history.path()).unwrap();
        let read: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, history.records().unwrap());
    }

    #[test]
    fn every_operation_has_the_name_that_its_lines_have() {
        for operation in Operation::ALL {
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.name());
        }
    }
}
