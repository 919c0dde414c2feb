use std::collections::BTreeMap;

use chrono::Utc;
use nats::types::{Currency, Money, OrderId, PaymentId, UserId};
use proptest::prelude::*;

use super::*;
use crate::{
    provider::{Operation, ProviderStatus},
    sandbox::book::{Book, Decision, Request},
};

const TOTAL: Money = Money::new(1299, Currency::EUR);

#[test]
fn delays_grow_to_ten_seconds() {
    let delays: Vec<i32> = [i32::MIN, 0, 1, 2, 3, 7, 8, i32::MAX].into_iter().map(delay_ms).collect();
    assert_eq!(delays, [100, 100, 100, 200, 400, 6_400, 10_000, 10_000]);
}

#[test]
fn the_lease_outlasts_a_look_and_a_step() {
    use crate::provider::client::DEADLINE;
    assert!(std::time::Duration::from_millis(LEASE_MS.unsigned_abs().into()) > DEADLINE * 2);
}

/// What one step of the world is.
#[derive(Debug, Clone)]
enum Happens {
    /// A worker takes the payment up and gets so far: half steps of asking the provider and writing the answer down. A
    /// request that it could not send arrives later, if at all.
    Work { half_steps: usize },
    /// A request that was on its way all the time arrives.
    Arrives(prop::sample::Index),
    /// Somebody settles by what was seen at some time before.
    Settles(prop::sample::Index),
    /// The order is canceled.
    Canceled,
    /// Staff ask for some of it back.
    Refund(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0_usize..8).prop_map(|half_steps| Happens::Work { half_steps }),
        2 => any::<prop::sample::Index>().prop_map(Happens::Arrives),
        2 => any::<prop::sample::Index>().prop_map(Happens::Settles),
        1 => Just(Happens::Canceled),
        1 => (1_i64..1500).prop_map(Happens::Refund),
    ]
}

/// A payment, its provider, and everything that is on its way between them.
struct World {
    payment: Payment,
    canceled: bool,
    ledger: BTreeMap<String, Operation>,
    /// What was captured beyond what is owed, and its way back.
    apart: BTreeMap<String, Operation>,
    /// What is to go back, by key.
    promised: BTreeMap<String, i64>,
    captures_told: usize,
    book: Book,
    /// Requests of workers that are gone.
    on_their_way: Vec<(String, Request)>,
    /// Everything that was ever seen of the payment.
    seen: Vec<ProviderPayment>,
}

impl World {
    fn new(method: &str) -> Self {
        let payment = Payment {
            id: PaymentId::new(),
            order_id: OrderId::new(),
            user_id: UserId::new(),
            amount: TOTAL.amount,
            currency: TOTAL.currency,
            method: method.to_owned(),
            status: PaymentStatus::Processing,
            tries: 0,
            provider_reference: None,
            decline_reason: None,
            traceparent: String::new(),
            request_id: String::new(),
            created_at: Utc::now(),
            updated_at: Utc::now(),
        };
        Self {
            payment,
            canceled: false,
            ledger: BTreeMap::new(),
            apart: BTreeMap::new(),
            promised: BTreeMap::new(),
            captures_told: 0,
            book: Book::default(),
            on_their_way: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn ask(&mut self, key: &str, request: &Request) -> ProviderPayment {
        let payment = match self.book.decide(key, request).unwrap() {
            Decision::Before(payment) => payment,
            Decision::New(done) => {
                let (payment, again) = (done.operation.payment.clone(), self.book.again(&done));
                self.book.write(*done);
                if let Some(again) = again {
                    self.book.write(again);
                }
                payment
            }
        };
        let seen = self.book.payment(&payment).unwrap().0;
        self.seen.push(seen.clone());
        seen
    }

    fn find(&self) -> Option<ProviderPayment> {
        let payment = self.book.authorized_by(&self.payment.key(TransactionKind::Authorize))?;
        self.book.payment(payment).map(|(payment, _)| payment)
    }

    fn request(&self, step: Step) -> Option<(String, Request)> {
        let payment = self.payment.provider_reference.clone().unwrap_or_default();
        let authorization = self.payment.key(TransactionKind::Authorize);
        Some(match step {
            Step::Authorize => {
                (authorization, Request::Authorize { amount: TOTAL, method: self.payment.method.clone() })
            }
            Step::Capture => (self.payment.key(TransactionKind::Capture), Request::Capture { payment, amount: TOTAL }),
            Step::Void => (self.payment.key(TransactionKind::Void), Request::Void { authorization, amount: TOTAL }),
            Step::Rest => return None,
            Step::Lost => panic!("the provider lost nothing"),
        })
    }

    /// As `settle` does it in the database.
    fn settle(&mut self, seen: &ProviderPayment) {
        let known = |kind| self.ledger.values().find(|one| one.kind == kind).map(|one| one.reference.clone());
        let mut counted = known(TransactionKind::Capture);
        for operation in seen.operations.iter().filter(|operation| operation.refusal.is_none()) {
            let surplus = match operation.kind {
                TransactionKind::Capture => {
                    *counted.get_or_insert_with(|| operation.reference.clone()) != operation.reference
                }
                kind => kind == TransactionKind::Refund && operation.key.starts_with("surplus:"),
            };
            let book = if surplus { &mut self.apart } else { &mut self.ledger };
            book.insert(operation.reference.clone(), operation.clone());
        }
        for refused in seen.operations.iter().filter(|one| one.refusal.is_some()) {
            self.promised.remove(&refused.key);
        }
        let before = self.payment.status;
        let after = before.after(seen.status, self.canceled);
        self.payment.provider_reference = Some(seen.reference.clone());
        self.payment.status = after;
        if after != before && after == PaymentStatus::Succeeded {
            self.captures_told += 1;
            if self.canceled || matches!(before, PaymentStatus::Failed | PaymentStatus::Canceled) {
                self.promise_rest();
            }
        }
    }

    fn left(&self) -> i64 {
        self.sum(TransactionKind::Capture) - self.promised.values().sum::<i64>()
    }

    fn promise_rest(&mut self) {
        let left = self.left();
        if left > 0 {
            self.promised.entry("canceled".to_owned()).or_insert(left);
        }
    }

    fn sum(&self, kind: TransactionKind) -> i64 {
        self.ledger.values().filter(|one| one.kind == kind).map(|one| one.amount.amount).sum()
    }

    /// As `advance` does it; true when nothing was left to do.
    fn work(&mut self, mut half_steps: usize) -> bool {
        if !matches!(self.payment.status, PaymentStatus::Processing | PaymentStatus::RequiresCapture) {
            return true;
        }
        self.payment.tries += 1;
        let mut seen = if self.payment.tries == 1 { None } else { self.find() };
        for _ in 0..MOST_STEPS {
            if let Some(seen) = &seen {
                if half_steps == 0 {
                    return false;
                }
                half_steps -= 1;
                self.settle(&seen.clone());
            }
            let step = Step::next(&self.payment, self.canceled, seen.as_ref());
            let Some((key, request)) = self.request(step) else { return true };
            if half_steps == 0 {
                self.on_their_way.push((key, request));
                return false;
            }
            half_steps -= 1;
            seen = Some(self.ask(&key, &request));
        }
        panic!("more steps than there are: {:?}", self.payment.status);
    }

    fn cancel(&mut self) {
        self.canceled = true;
        match self.payment.status {
            PaymentStatus::Processing if self.payment.tries == 0 => self.payment.status = PaymentStatus::Canceled,
            PaymentStatus::Succeeded => self.promise_rest(),
            _ => {}
        }
    }

    fn happen(&mut self, what: Happens) {
        match what {
            Happens::Work { half_steps } => drop(self.work(half_steps)),
            Happens::Arrives(which) if !self.on_their_way.is_empty() => {
                let (key, request) = self.on_their_way.remove(which.index(self.on_their_way.len()));
                self.ask(&key, &request);
            }
            Happens::Settles(which) if !self.seen.is_empty() => {
                let seen = which.get(&self.seen).clone();
                self.settle(&seen);
            }
            Happens::Canceled => self.cancel(),
            Happens::Refund(amount) if self.payment.status == PaymentStatus::Succeeded && amount <= self.left() => {
                self.promised.insert(format!("refund:{}", self.promised.len()), amount);
            }
            Happens::Arrives(_) | Happens::Settles(_) | Happens::Refund(_) => {}
        }
        assert!(self.sum(TransactionKind::Refund) <= self.sum(TransactionKind::Capture));
        assert!(self.sum(TransactionKind::Capture) <= TOTAL.amount);
        assert!(self.captures_told <= 1);
    }

    /// Everything arrives, every worker ends, every refund is made.
    fn come_to_rest(&mut self) {
        while !self.work(usize::MAX) {}
        for (key, request) in std::mem::take(&mut self.on_their_way) {
            let seen = self.ask(&key, &request);
            self.settle(&seen);
        }
        for (key, amount) in self.promised.clone() {
            let payment = self.payment.provider_reference.clone().unwrap();
            let amount = Money::new(amount, TOTAL.currency);
            let seen = self.ask(&key, &Request::Refund { payment, amount });
            self.settle(&seen);
        }
        if let Some(seen) = self.find() {
            self.settle(&seen);
        }
        for surplus in self.apart.clone().into_values().filter(|one| one.kind == TransactionKind::Capture) {
            let back = Request::Refund { payment: surplus.payment, amount: surplus.amount };
            let seen = self.ask(&format!("surplus:{}", surplus.reference), &back);
            self.settle(&seen);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever crashes, is lost, late, repeated or out of order, and whenever the order is canceled: it is charged at most
    /// once, a canceled order costs nothing, what is taken beyond that goes back, and ledger and provider agree.
    #[test]
    fn nothing_charges_twice(
        method in prop::sample::select(vec![
            "sandbox_ok", "sandbox_declined", "sandbox_capture_declined", "sandbox_timeout_then_ok",
            "sandbox_captured_twice",
        ]),
        story in prop::collection::vec(happens(), 0..30),
    ) {
        let mut world = World::new(method);
        for what in story {
            world.happen(what);
        }
        world.come_to_rest();
        let (held, taken, let_go, given_back) = (
            world.sum(TransactionKind::Authorize), world.sum(TransactionKind::Capture),
            world.sum(TransactionKind::Void), world.sum(TransactionKind::Refund),
        );
        prop_assert_eq!(held, taken + let_go, "what was held is captured or let go");
        match world.payment.status {
            PaymentStatus::Succeeded => prop_assert_eq!((taken, world.captures_told), (TOTAL.amount, 1)),
            PaymentStatus::Failed | PaymentStatus::Canceled => prop_assert_eq!((taken, world.captures_told), (0, 0)),
            other => prop_assert!(false, "it rests as {other}"),
        }
        if world.canceled {
            prop_assert_eq!(taken, given_back, "a canceled order costs nothing");
        } else {
            prop_assert_eq!(given_back, world.promised.values().sum::<i64>());
            let charged = !matches!(method, "sandbox_declined" | "sandbox_capture_declined");
            prop_assert_eq!(world.payment.status == PaymentStatus::Succeeded, charged);
        }
        let at_provider: Vec<&str> =
            world.book.operations().filter(|one| one.refusal.is_none()).map(|one| one.reference.as_str()).collect();
        let of = |kind| world.apart.values().filter(|one| one.kind == kind).map(|one| one.amount.amount).sum::<i64>();
        let (too_much, back) = (of(TransactionKind::Capture), of(TransactionKind::Refund));
        let twice = method == "sandbox_captured_twice" && taken > 0;
        prop_assert_eq!((too_much, back), if twice { (taken, taken) } else { (0, 0) }, "what is too much goes back");
        let mut known: Vec<&Operation> = world.ledger.values().chain(world.apart.values()).collect();
        known.sort_by_key(|operation| operation.sequence);
        prop_assert_eq!(known.iter().map(|one| one.reference.as_str()).collect::<Vec<_>>(), at_provider);
    }

    /// What is seen late never takes back what was seen since.
    #[test]
    fn a_payment_only_moves_on(seen in prop::collection::vec(0_usize..4, 1..20), canceled: bool) {
        let states =
            [ProviderStatus::RequiresCapture, ProviderStatus::Succeeded, ProviderStatus::Declined, ProviderStatus::Voided];
        let rank = |status| match status {
            PaymentStatus::Processing => 0,
            PaymentStatus::RequiresCapture => 1,
            PaymentStatus::Failed | PaymentStatus::Canceled => 2,
            PaymentStatus::Succeeded => 3,
        };
        let mut status = PaymentStatus::Processing;
        for one in seen {
            let next = status.after(states[one], canceled);
            prop_assert!(rank(next) >= rank(status), "{status} to {next}");
            prop_assert!(rank(next) != 2 || rank(status) != 2 || next == status);
            status = next;
        }
    }
}
