//! How the sandbox treats each payment method.
//!
//! | method | what happens |
//! |---|---|
//! | `sandbox_ok` | held, taken, given back as asked for |
//! | `sandbox_declined` | declined |
//! | `sandbox_insufficient_funds` | declined, for lack of funds |
//! | `sandbox_timeout_then_ok` | taken, then the answer is lost; a refund likewise |
//! | `sandbox_authorize_timeout` | held, then the answer is lost |
//! | `sandbox_slow` | taken; the answer takes 1.5 seconds; a refund likewise |
//! | `sandbox_slow_capture` | 1.5 seconds pass before it is taken |
//! | `sandbox_error_replayed` | each operation is done, and each request with its key answered 500; a look tells |
//! | `sandbox_captured_twice` | taken twice under one key, against all rules |
//! | `sandbox_look_broken` | held and taken; each look at the payment is answered 500 |
//! | `sandbox_capture_declined` | held; taking it is declined |
//! | `sandbox_refund_declined` | taken; a refund is declined |
//! | any other | declined: the method is unknown |

use std::time::Duration;

use nats::contracts::payment::DeclineReason;

use crate::payment::TransactionKind;

/// How long what is slow takes.
pub(super) const SLOW: Duration = Duration::from_millis(1_500);

/// What goes wrong with an answer, once the deed is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It never comes.
    Lost,
    /// It comes late.
    Slow,
    /// It says that the provider broke.
    Broken,
}

/// Why the provider does not hold money by this method, if it does not.
pub(super) fn decline(method: &str) -> Option<DeclineReason> {
    match method {
        "sandbox_ok"
        | "sandbox_timeout_then_ok"
        | "sandbox_authorize_timeout"
        | "sandbox_slow"
        | "sandbox_slow_capture"
        | "sandbox_error_replayed"
        | "sandbox_captured_twice"
        | "sandbox_look_broken"
        | "sandbox_capture_declined"
        | "sandbox_refund_declined" => None,
        "sandbox_declined" => Some(DeclineReason::Declined),
        "sandbox_insufficient_funds" => Some(DeclineReason::InsufficientFunds),
        _ => Some(DeclineReason::UnknownPaymentMethod),
    }
}

/// Why it refuses this of a payment by this method, whatever is held or taken.
pub(super) fn refusal(method: &str, kind: TransactionKind) -> Option<&'static str> {
    match (method, kind) {
        ("sandbox_capture_declined", TransactionKind::Capture) => Some("the issuer declined the capture"),
        ("sandbox_refund_declined", TransactionKind::Refund) => Some("the issuer declined the refund"),
        _ => None,
    }
}

/// Whether it does this once more than it was asked to.
pub(super) fn twice(method: &str, kind: TransactionKind) -> bool {
    method == "sandbox_captured_twice" && kind == TransactionKind::Capture
}

/// Whether it breaks over a look at a payment by this method.
pub(super) fn breaks_over_a_look(method: &str) -> bool {
    method == "sandbox_look_broken"
}

/// What goes wrong with the answer about this.
pub(super) fn of_answer(method: &str, kind: TransactionKind, fresh: bool) -> Fault {
    use TransactionKind::{Authorize, Capture, Refund};
    match (method, kind) {
        ("sandbox_error_replayed", _) => Fault::Broken,
        ("sandbox_timeout_then_ok", Capture | Refund) | ("sandbox_authorize_timeout", Authorize) if fresh => {
            Fault::Lost
        }
        ("sandbox_slow", Capture | Refund) if fresh => Fault::Slow,
        _ => Fault::None,
    }
}

/// How long it takes before anything is done.
pub(super) fn before(method: &str, kind: TransactionKind) -> Option<Duration> {
    (method == "sandbox_slow_capture" && kind == TransactionKind::Capture).then_some(SLOW)
}
