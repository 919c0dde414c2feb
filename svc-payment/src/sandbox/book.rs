//! What the sandbox remembers: payments, their operations, and which key asked for what.
//!
//! Deciding and writing are apart, so that a decision is in the journal before it is in the book. The book after a restart is
//! the fold of what was written.

use std::collections::HashMap;

use chrono::Utc;
use nats::{contracts::payment::DeclineReason, types::Money};
use serde::{Deserialize, Serialize};

use super::fault;
use crate::{
    payment::TransactionKind,
    provider::{Operation, ProviderPayment, ProviderStatus, Statement},
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Authorize {
        amount: Money,
        method: String,
    },
    Capture {
        payment: String,
        amount: Money,
    },
    Void {
        /// The key of what is to be let go.
        authorization: String,
        amount: Money,
    },
    Refund {
        payment: String,
        amount: Money,
    },
}

/// What a request with a new key came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) request: Request,
    pub(crate) operation: Operation,
    pub(crate) decline_reason: Option<DeclineReason>,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: this payment tells what was done.
    Before(String),
    /// This; it is boxed because most of it is text.
    New(Box<Done>),
}

/// Why nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The key was used for another request.
    KeyReused,
    /// There is no such payment.
    NoSuchPayment,
    /// The amount is below zero.
    Negative,
    /// The provider itself is broken.
    Failed,
}

/// A payment; its operations stand in the book.
struct Account {
    authorization: String,
    amount: Money,
    method: String,
    status: ProviderStatus,
    decline_reason: Option<DeclineReason>,
    taken: i64,
    given_back: i64,
    operations: Vec<usize>,
}

/// Everything the provider knows.
#[derive(Default)]
pub(crate) struct Book {
    accounts: HashMap<String, Account>,
    /// The payment of each authorization's key, and of each that was called off beforehand.
    authorizations: HashMap<String, String>,
    /// What each key was used for, and on which payment.
    keys: HashMap<String, (Request, String)>,
    operations: Vec<Operation>,
}

impl Request {
    pub(crate) const fn kind(&self) -> TransactionKind {
        match self {
            Self::Authorize { .. } => TransactionKind::Authorize,
            Self::Capture { .. } => TransactionKind::Capture,
            Self::Void { .. } => TransactionKind::Void,
            Self::Refund { .. } => TransactionKind::Refund,
        }
    }

    const fn amount(&self) -> Money {
        match self {
            Self::Authorize { amount, .. }
            | Self::Capture { amount, .. }
            | Self::Void { amount, .. }
            | Self::Refund { amount, .. } => *amount,
        }
    }
}

impl Book {
    /// What is to be done about `request`, by the book as it is.
    pub(crate) fn decide(&self, key: &str, request: &Request) -> Result<Decision, Refusal> {
        if let Some((first, payment)) = self.keys.get(key) {
            return if first == request { Ok(Decision::Before(payment.clone())) } else { Err(Refusal::KeyReused) };
        }
        if request.amount().is_negative() {
            return Err(Refusal::Negative);
        }
        let mut decline_reason = None;
        let (payment, amount, refusal) = match request {
            Request::Authorize { amount, method } => {
                if let Some(called_off) = self.authorizations.get(key) {
                    return Ok(Decision::Before(called_off.clone()));
                }
                decline_reason = fault::decline(method);
                (name("sbx"), *amount, decline_reason.map(|reason| reason.to_string()))
            }
            Request::Capture { payment, amount } => {
                (payment.clone(), *amount, self.account(payment)?.refuses_capture(*amount))
            }
            Request::Void { authorization, amount } => match self.authorizations.get(authorization) {
                None => (name("sbx"), Money::zero(amount.currency), None),
                Some(payment) => {
                    let (released, refusal) = self.account(payment)?.release();
                    (payment.clone(), released, refusal)
                }
            },
            Request::Refund { payment, amount } => {
                (payment.clone(), *amount, self.account(payment)?.refuses_refund(*amount))
            }
        };
        let operation = Operation {
            sequence: self.last() + 1,
            reference: name("sbo"),
            key: key.to_owned(),
            payment,
            kind: request.kind(),
            amount,
            refusal,
            created_at: Utc::now(),
        };
        Ok(Decision::New(Box::new(Done { request: request.clone(), operation, decline_reason })))
    }

    /// What it does once more under the same key, though it was asked for it once.
    pub(crate) fn again(&self, done: &Done) -> Option<Done> {
        let twice = done.operation.refusal.is_none() && fault::twice(self.method(&done.request), done.request.kind());
        let operation = Operation {
            sequence: done.operation.sequence + 1,
            reference: name("sbo"),
            created_at: Utc::now(),
            ..done.operation.clone()
        };
        twice.then(|| Done { operation, ..done.clone() })
    }

    /// Writes down what was done.
    pub(crate) fn write(&mut self, Done { request, operation, decline_reason }: Done) {
        let done = operation.refusal.is_none();
        let payment = operation.payment.clone();
        match &request {
            Request::Authorize { amount, method } => {
                let status = if done { ProviderStatus::RequiresCapture } else { ProviderStatus::Declined };
                let account = Account {
                    authorization: operation.key.clone(),
                    amount: *amount,
                    method: method.clone(),
                    status,
                    decline_reason,
                    taken: 0,
                    given_back: 0,
                    operations: Vec::new(),
                };
                self.authorizations.insert(operation.key.clone(), payment.clone());
                self.accounts.insert(payment.clone(), account);
            }
            Request::Void { authorization, amount } if !self.authorizations.contains_key(authorization) => {
                let account = Account {
                    authorization: authorization.clone(),
                    amount: *amount,
                    method: String::new(),
                    status: ProviderStatus::Voided,
                    decline_reason: None,
                    taken: 0,
                    given_back: 0,
                    operations: Vec::new(),
                };
                self.authorizations.insert(authorization.clone(), payment.clone());
                self.accounts.insert(payment.clone(), account);
            }
            Request::Capture { .. } | Request::Void { .. } | Request::Refund { .. } => {}
        }
        if let Some(account) = self.accounts.get_mut(&payment) {
            match &request {
                Request::Capture { amount, .. } if done => {
                    account.status = ProviderStatus::Succeeded;
                    account.taken = account.taken.saturating_add(amount.amount);
                }
                Request::Void { .. } if done && account.status == ProviderStatus::RequiresCapture => {
                    account.status = ProviderStatus::Voided;
                }
                Request::Refund { amount, .. } if done => {
                    account.given_back = account.given_back.saturating_add(amount.amount);
                }
                _ => {}
            }
            account.operations.push(self.operations.len());
        }
        self.keys.insert(operation.key.clone(), (request, payment));
        self.operations.push(operation);
    }

    /// A payment with its operations, and the method it is paid by.
    pub(crate) fn payment(&self, reference: &str) -> Option<(ProviderPayment, String)> {
        let account = self.accounts.get(reference)?;
        let operations = account.operations.iter().filter_map(|place| self.operations.get(*place).cloned());
        let payment = ProviderPayment {
            reference: reference.to_owned(),
            authorization: account.authorization.clone(),
            amount: account.amount,
            status: account.status,
            decline_reason: account.decline_reason,
            operations: operations.collect(),
        };
        Some((payment, account.method.clone()))
    }

    /// The name of the payment that was to be authorized under this key.
    pub(crate) fn authorized_by(&self, key: &str) -> Option<&str> {
        self.authorizations.get(key).map(String::as_str)
    }

    /// The method that a request is about.
    pub(crate) fn method<'a>(&'a self, request: &'a Request) -> &'a str {
        match request {
            Request::Authorize { method, .. } => method,
            Request::Capture { payment, .. } | Request::Refund { payment, .. } => {
                self.accounts.get(payment).map_or("", |account| &account.method)
            }
            Request::Void { .. } => "",
        }
    }

    /// Every operation, in order.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter()
    }

    /// The operation at this place, from 1.
    pub(crate) fn operation(&self, sequence: i64) -> Option<&Operation> {
        self.operations.get(usize::try_from(sequence).ok()?.checked_sub(1)?)
    }

    /// The operations after a place.
    pub(crate) fn statement(&self, after: i64, limit: usize) -> Statement {
        let after = usize::try_from(after).unwrap_or_default();
        Statement { data: self.operations.iter().skip(after).take(limit).cloned().collect(), last: self.last() }
    }

    fn last(&self) -> i64 {
        self.operations.last().map_or(0, |operation| operation.sequence)
    }

    fn account(&self, payment: &str) -> Result<&Account, Refusal> {
        self.accounts.get(payment).ok_or(Refusal::NoSuchPayment)
    }
}

impl Account {
    fn refuses_capture(&self, amount: Money) -> Option<String> {
        let refusal = match self.status {
            ProviderStatus::RequiresCapture if amount != self.amount => Some("it is not what is held"),
            ProviderStatus::RequiresCapture => fault::refusal(&self.method, TransactionKind::Capture),
            ProviderStatus::Succeeded => Some("it is captured already"),
            ProviderStatus::Declined | ProviderStatus::Voided => Some("nothing is held"),
        };
        refusal.map(str::to_owned)
    }

    /// What a void lets go, and why not.
    fn release(&self) -> (Money, Option<String>) {
        let nothing = Money::zero(self.amount.currency);
        match self.status {
            ProviderStatus::RequiresCapture => (self.amount, None),
            ProviderStatus::Declined | ProviderStatus::Voided => (nothing, None),
            ProviderStatus::Succeeded => (nothing, Some("it is captured; it can be given back".to_owned())),
        }
    }

    fn refuses_refund(&self, amount: Money) -> Option<String> {
        let total = self.given_back.checked_add(amount.amount);
        let refusal = if self.status != ProviderStatus::Succeeded {
            Some("nothing was captured")
        } else if amount.currency != self.amount.currency || total.is_none_or(|total| total > self.taken) {
            Some("it is more than what is left of what was captured")
        } else {
            fault::refusal(&self.method, TransactionKind::Refund)
        };
        refusal.map(str::to_owned)
    }
}

fn name(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
pub(crate) mod tests;
