//! What is there at the end of a run, as the API and the mail catcher show it. The checker compares it with the history.

use std::collections::BTreeMap;

use super::history::Lines;

/// The end of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FinalState {
    /// Every order of the run's buyers, by id.
    pub orders: BTreeMap<String, Order>,
    /// Every invoice.
    pub invoices: Vec<Invoice>,
    /// Every notification, by id.
    pub notifications: BTreeMap<String, Notification>,
    /// Every mail that the mail catcher took, by its Message-ID without the brackets and the domain, and how often.
    pub mails: BTreeMap<String, usize>,
    /// The level of each SKU of the run.
    pub stock: BTreeMap<String, Stock>,
}

/// An order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// The `Idempotency-Key` that it was placed under: clients write it into the address.
    pub key: String,
    /// The number that people read.
    pub number: String,
    /// `status`
    pub status: String,
    /// `payment_status`
    pub payment_status: String,
    /// What it contains.
    pub lines: Lines,
    /// What the customer pays, in minor units.
    pub total: i64,
    /// Every effect on money, of all of its payments.
    pub transactions: Vec<Transaction>,
}

/// An effect on money.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// `authorize`, `capture`, `void` or `refund`.
    pub kind: String,
    /// In minor units.
    pub amount: i64,
}

/// An invoice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invoice {
    /// Its id.
    pub id: String,
    /// Its number.
    pub number: String,
    /// The order that it is for.
    pub order: String,
    /// Its total with tax, in minor units.
    pub total: i64,
    /// Whether its document can be downloaded; it waits for the renderer until then.
    pub rendered: bool,
}

/// A notification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// What it is about: `welcome`, `order_confirmed`, `order_canceled`, `invoice` …
    pub template: String,
    /// The words of its subject; one of them is the number of the order or the invoice.
    pub subject: String,
    /// `queued`, `sending`, `sent` or `failed`.
    pub state: String,
    /// Whether it was written early enough to be sent by now.
    pub due: bool,
}

/// How much there is of a SKU, and was put there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    /// When the run began.
    pub initial: i64,
    /// Now.
    pub on_hand: i64,
    /// Of these, promised to orders.
    pub reserved: i64,
    /// What can be ordered.
    pub available: i64,
}

impl Order {
    /// Whether its saga is over.
    pub fn is_terminal(&self) -> bool {
        self.is_kept() || self.status == "canceled"
    }

    /// Whether the customer gets the goods.
    pub fn is_kept(&self) -> bool {
        matches!(self.status.as_str(), "confirmed" | "completed")
    }

    /// The sum of its transactions of this kind.
    pub fn sum(&self, kind: &str) -> i64 {
        self.transactions
            .iter()
            .filter(|transaction| transaction.kind == kind)
            .map(|transaction| transaction.amount)
            .sum()
    }

    /// How many of its transactions are of this kind.
    pub fn count(&self, kind: &str) -> usize {
        self.transactions.iter().filter(|transaction| transaction.kind == kind).count()
    }
}
