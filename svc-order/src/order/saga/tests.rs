#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const TOTAL: i64 = 100;

/// What can reach an order, of one of three payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Captured(usize),
    Failed(usize),
    /// A refund by its number: told twice, it is one.
    Refunded {
        number: u8,
        of: usize,
        amount: i64,
    },
    StockSecured,
    OutOfStock,
    TimedOut,
    /// A person cancels.
    Canceled,
}

/// An order without a database: what [`hear`] and [`crate::order::refund`] make of rows, made of values.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    payments: [PaymentId; 3],
    facts: Facts,
    /// Refunds by their number: of which payment, how much, and what was made of them.
    refunds: BTreeMap<u8, (PaymentId, i64, Meaning)>,
    /// How often it was confirmed or canceled.
    settled: usize,
    /// The captures that are on the order or in its history.
    captures: Vec<PaymentId>,
}

impl Order {
    fn placed() -> Self {
        let facts = Facts { state: State::PLACED, paid_by: None, total: TOTAL, refunded: 0 };
        let payments = [PaymentId::new(), PaymentId::new(), PaymentId::new()];
        Self { payments, facts, refunds: BTreeMap::new(), settled: 0, captures: Vec::new() }
    }

    fn step(&self) -> Step {
        Step::of(self.facts.state)
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Captured(n) => {
                let payment = self.payments[n];
                self.hear(Happening::Captured(payment));
                let early: Vec<u8> = self
                    .refunds
                    .iter()
                    .filter(|(_, (of, _, meaning))| *of == payment && *meaning == Meaning::Early)
                    .map(|(number, _)| *number)
                    .collect();
                early.into_iter().for_each(|number| self.count(number));
            }
            Told::Failed(n) => drop(self.hear(Happening::Failed(self.payments[n]))),
            Told::Refunded { number, of, amount } => {
                if !self.refunds.contains_key(&number) {
                    self.refunds.insert(number, (self.payments[of], amount, Meaning::Early));
                    self.count(number);
                }
            }
            Told::StockSecured => drop(self.hear(Happening::StockSecured)),
            Told::OutOfStock => drop(self.hear(Happening::OutOfStock)),
            Told::TimedOut => drop(self.hear(Happening::TimedOut)),
            // What `cancel_order` refuses, it refuses.
            Told::Canceled if self.step() == Step::AwaitingPayment => {
                self.moves(Change::Cancel(CancelReason::Customer))
            }
            Told::Canceled => {}
        }
    }

    fn count(&mut self, number: u8) {
        let (of, amount, _) = self.refunds[&number];
        let counts = |meaning| matches!(meaning, Meaning::Moves(_) | Meaning::Known);
        let before: i64 = self
            .refunds
            .values()
            .filter(|(one, _, meaning)| *one == of && counts(*meaning))
            .map(|(_, sum, _)| sum)
            .sum();
        let meaning = self.hear(Happening::Refunded(of, before + amount));
        self.refunds.insert(number, (of, amount, meaning));
    }

    fn hear(&mut self, happening: Happening) -> Meaning {
        let meaning = meaning(self.facts, happening);
        match (meaning, happening) {
            (Meaning::Moves(change), _) => self.moves(change),
            (Meaning::Contradicts(_), Happening::Captured(payment)) => self.captures.push(payment),
            _ => {}
        }
        meaning
    }

    fn moves(&mut self, change: Change) {
        let before = self.facts.state;
        let after = before.after(change).unwrap_or_else(|illegal| panic!("{illegal}"));
        self.settled += usize::from(before.order == OrderStatus::Pending && after.order != OrderStatus::Pending);
        self.facts.state = after;
        match change {
            Change::Pay(payment) | Change::CaptureLate(payment) => {
                self.facts.paid_by = Some(payment);
                self.captures.push(payment);
            }
            Change::RefundSome(so_far) => self.facts.refunded = so_far,
            Change::RefundAll => self.facts.refunded = self.facts.total,
            Change::Confirm | Change::Cancel(_) | Change::Complete => {}
        }
    }
}

/// What the other services would say, whenever they are asked.
#[derive(Debug, Clone, Copy)]
struct World {
    /// What became of the first payment.
    payment: Payment,
    /// Whether there are goods.
    goods: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payment {
    Captured,
    Failed,
    NeverCame,
}

impl World {
    /// Lets the workers do what each step waits for, until nothing is waited for.
    fn drive(self, order: &mut Order) {
        for _ in 0..10 {
            match order.step() {
                Step::AwaitingPayment => order.told(match self.payment {
                    Payment::Captured => Told::Captured(0),
                    Payment::Failed => Told::Failed(0),
                    Payment::NeverCame => Told::TimedOut,
                }),
                Step::SecuringStock => order.told(if self.goods { Told::StockSecured } else { Told::OutOfStock }),
                Step::AwaitingRefund => order.told(Told::Refunded { number: 0, of: 0, amount: TOTAL }),
                Step::Done => return,
            }
        }
        panic!("{order:?} never comes to an end in {self:?}");
    }

    /// The events of this world: what its services tell, in whatever order and however often.
    fn events(self) -> Vec<Told> {
        match self.payment {
            Payment::Captured => vec![Told::Captured(0), Told::Captured(0)],
            Payment::Failed => vec![Told::Failed(0), Told::Failed(0)],
            Payment::NeverCame => Vec::new(),
        }
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let payment = prop_oneof![Just(Payment::Captured), Just(Payment::Failed), Just(Payment::NeverCame)];
    (payment, any::<bool>()).prop_map(|(payment, goods)| World { payment, goods })
}

fn anything() -> impl Strategy<Value = Told> {
    prop_oneof![
        (0_usize..3).prop_map(Told::Captured),
        (0_usize..3).prop_map(Told::Failed),
        (0_u8..6, 0_usize..3, 1_i64..=TOTAL).prop_map(|(number, of, amount)| Told::Refunded { number, of, amount }),
        Just(Told::StockSecured),
        Just(Told::OutOfStock),
        Just(Told::TimedOut),
        Just(Told::Canceled),
    ]
}

proptest! {
    /// Late, twice, contradictory, in any order: everything means something that the state allows, no money is forgotten,
    /// and an order is confirmed or canceled once.
    #[test]
    fn whatever_comes_is_settled(all in prop::collection::vec(anything(), 0..24)) {
        let mut order = Order::placed();
        for told in &all {
            order.told(*told);
            let Facts { state, paid_by, total, refunded } = order.facts;
            prop_assert_eq!(paid_by.is_some(), state.payment.has_money());
            prop_assert!((0..=total).contains(&refunded));
            prop_assert_eq!(refunded == total, state.payment == PaymentStatus::Refunded);
            prop_assert!(order.settled <= 1, "confirmed or canceled once");
        }
        for (n, payment) in order.payments.iter().enumerate() {
            let told = all.contains(&Told::Captured(n));
            prop_assert_eq!(told, order.captures.contains(payment), "a capture is on the order or in its history");
        }
        let captured = all.iter().any(|told| matches!(told, Told::Captured(_)));
        prop_assert!(!captured || order.step() != Step::AwaitingPayment);
    }

    /// Everything is told twice: the same comes of it.
    #[test]
    fn what_was_told_before_is_nothing_new(all in prop::collection::vec(anything(), 0..16)) {
        let (mut once, mut twice) = (Order::placed(), Order::placed());
        twice.payments = once.payments;
        for told in all {
            once.told(told);
            twice.told(told);
            twice.told(told);
        }
        prop_assert_eq!(once.facts, twice.facts);
        prop_assert_eq!(once.settled, twice.settled);
    }

    /// Whatever is lost, late, repeated or raced by a person: in the end the customer has the goods and we the money, or
    /// both are where they were.
    #[test]
    fn it_always_ends_with_money_and_goods_in_one_hand_each(
        world in any_world(),
        canceled in any::<bool>(),
        timed_out in any::<bool>(),
        events in prop::collection::vec(0_usize..8, 0..8),
    ) {
        let mut pool = world.events();
        pool.extend(canceled.then_some(Told::Canceled));
        pool.extend(timed_out.then_some(Told::TimedOut));
        let mut order = Order::placed();
        if !pool.is_empty() {
            events.iter().for_each(|n| order.told(pool[n % pool.len()]));
        }
        world.drive(&mut order);
        // And everything once more, when all is over.
        for told in world.events() {
            order.told(told);
        }
        world.drive(&mut order);
        let Facts { state, paid_by, total, refunded } = order.facts;
        prop_assert_eq!(order.step(), Step::Done);
        let expected = match (state.order, paid_by) {
            (OrderStatus::Confirmed, Some(_)) => world.payment == Payment::Captured && world.goods && refunded == 0,
            (OrderStatus::Canceled, Some(_)) => world.payment == Payment::Captured && refunded == total,
            (OrderStatus::Canceled, None) => world.payment != Payment::Captured,
            _ => false,
        };
        prop_assert!(expected, "{:?} in {:?}", order, world);
        if !canceled && !timed_out {
            let confirmed = world.payment == Payment::Captured && world.goods;
            prop_assert_eq!(state.order == OrderStatus::Confirmed, confirmed, "nobody gave it up");
        }
    }

    /// Refunds in whatever parts, before and after their capture, in whatever order: the same sum is noted.
    #[test]
    fn refunds_come_to_the_same_sum_in_any_order(
        parts in prop::collection::vec(1_i64..=25, 1..=4),
        order_of_events in Just((0_usize..10).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let refund = |(number, amount): (u8, &i64)| Told::Refunded { number, of: 0, amount: *amount };
        let mut events = vec![Told::Captured(0), Told::Captured(0)];
        events.extend((0..).zip(&parts).map(refund));
        events.extend((0..).zip(&parts).map(refund));
        let mut order = Order::placed();
        for n in order_of_events {
            if let Some(told) = events.get(n) {
                order.told(*told);
            }
        }
        prop_assert_eq!(order.facts.refunded, parts.iter().sum::<i64>());
    }
}

fn after(happenings: &[Told]) -> Order {
    let mut order = Order::placed();
    happenings.iter().for_each(|told| order.told(*told));
    order
}

#[test]
fn each_step_waits_for_what_the_table_says() {
    assert_eq!(after(&[]).step(), Step::AwaitingPayment);
    assert_eq!(after(&[Told::Captured(0)]).step(), Step::SecuringStock);
    assert_eq!(after(&[Told::Captured(0), Told::StockSecured]).step(), Step::Done);
    assert_eq!(after(&[Told::Captured(0), Told::OutOfStock]).step(), Step::AwaitingRefund);
    let refund = |number, amount| Told::Refunded { number, of: 0, amount };
    assert_eq!(after(&[Told::Captured(0), Told::OutOfStock, refund(1, 40)]).step(), Step::AwaitingRefund);
    assert_eq!(after(&[Told::Captured(0), Told::OutOfStock, refund(1, 40), refund(2, 60)]).step(), Step::Done);
    assert_eq!(after(&[Told::Failed(0)]).step(), Step::Done);
    assert_eq!(after(&[Told::Failed(0), Told::Captured(1)]).step(), Step::AwaitingRefund, "money after the end");
    for step in [Step::AwaitingPayment, Step::SecuringStock, Step::AwaitingRefund] {
        assert!(step.allowance(Duration::from_secs(600)).is_some(), "{step} has a deadline");
    }
    assert_eq!(Step::Done.allowance(Duration::from_secs(600)), None);
}

#[test]
fn contradictions_are_seen() {
    let paid = after(&[Told::Captured(0), Told::StockSecured]);
    let [one, other, _] = paid.payments;
    let means = |happening| meaning(paid.facts, happening);
    assert_eq!(means(Happening::Captured(one)), Meaning::Known);
    assert!(matches!(means(Happening::Captured(other)), Meaning::Contradicts(_)), "paid twice");
    assert!(matches!(means(Happening::Failed(one)), Meaning::Contradicts(_)), "captured, then failed");
    assert_eq!(means(Happening::Failed(other)), Meaning::Known, "another attempt brought the money");
    assert!(matches!(means(Happening::Refunded(other, 1)), Meaning::Contradicts(_)), "not this order's money");
    assert!(matches!(means(Happening::Refunded(one, TOTAL + 1)), Meaning::Contradicts(_)), "more than there was");
    assert_eq!(means(Happening::Refunded(one, TOTAL)), Meaning::Moves(Change::RefundAll));
}
