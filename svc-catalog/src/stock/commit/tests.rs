#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use nats::types::Quantity;
use proptest::prelude::*;

use super::*;

fn sku(index: usize) -> Sku {
    format!("SKU-{index}").parse().unwrap()
}

/// Levels with so many available of each.
fn levels(available: &[i32]) -> BTreeMap<Sku, Stock> {
    let level = |(index, available): (usize, &i32)| {
        (sku(index), Stock { sku: sku(index), on_hand: *available + 7, reserved: 7, reorder_point: 0 })
    };
    available.iter().enumerate().map(level).collect()
}

/// An order in this state with these lines.
fn order(state: State, lines: &[(usize, i64)]) -> (OrderId, State, Vec<ReservationLine>) {
    let order_id = OrderId::new();
    let line = |(index, quantity): &(usize, i64)| ReservationLine {
        order_id,
        sku: sku(*index),
        quantity: Quantity::new(*quantity).unwrap(),
    };
    (order_id, state, lines.iter().map(line).collect())
}

/// What becomes of these orders, asked for in this order.
fn decided(orders: &[(OrderId, State, Vec<ReservationLine>)], available: &[i32]) -> Decision {
    let asked: Vec<Asked> = orders.iter().map(|(order, ..)| Asked::now(*order)).collect();
    let states = orders.iter().map(|(order, state, _)| (*order, *state)).collect();
    let lines = orders.iter().map(|(order, _, lines)| (*order, lines.as_slice())).collect();
    decide(&asked, &states, &lines, levels(available))
}

#[test]
fn what_is_held_is_sold_whatever_is_left() {
    let held = order(State::Held, &[(0, 3), (1, 1)]);
    let decision = decided(std::slice::from_ref(&held), &[0, 0]);
    assert_eq!((decision.outcomes, decision.sold), (vec![Ok(())], vec![held.0]));
    assert_eq!(decision.movements, held.2.iter().map(|line| line.movement(Kind::Sale)).collect::<Vec<_>>());
}

#[test]
fn what_expired_is_taken_again_by_who_asks_first_all_of_it_or_nothing() {
    let orders =
        [&[(0, 2), (1, 1)][..], &[(0, 2), (1, 9)], &[(0, 2)], &[(0, 2)]].map(|lines| order(State::Expired, lines));
    let decision = decided(&orders, &[5, 5]);
    let refused = Err(CommitRefusal::OutOfStock);
    assert_eq!(decision.outcomes, [Ok(()), refused, Ok(()), refused], "five of the first, less two, less two");
    assert_eq!((decision.sold, decision.given_up), (vec![orders[0].0, orders[2].0], vec![orders[1].0, orders[3].0]));
    let kinds: Vec<_> = decision.movements.iter().map(|movement| movement.kind).collect();
    assert_eq!(kinds, [Kind::Reservation, Kind::Reservation, Kind::Sale, Kind::Sale, Kind::Reservation, Kind::Sale]);
}

#[test]
fn the_same_order_twice_in_a_batch_is_sold_once() {
    let (order_id, _, lines) = order(State::Held, &[(0, 1)]);
    let (other, ..) = order(State::Sold, &[]);
    let asked = [order_id, other, order_id].map(Asked::now);
    let states = BTreeMap::from([(order_id, State::Held), (other, State::Sold)]);
    let decision = decide(&asked, &states, &BTreeMap::from([(order_id, lines.as_slice())]), levels(&[1]));
    assert_eq!((decision.outcomes.as_slice(), decision.movements.len()), (&[Ok(()); 3][..], 1));
    assert_eq!(decision.sold, [order_id]);
}

#[test]
fn who_has_no_reservation_never_gets_one() {
    let asked: Vec<Asked> = (0..5).map(|_| Asked::now(OrderId::new())).rev().collect();
    let decision = decide(&asked, &BTreeMap::new(), &BTreeMap::new(), levels(&[1]));
    assert_eq!(decision.outcomes, [Err(CommitRefusal::Released); 5]);
    assert!(decision.strangers.len() == 5 && decision.strangers.is_sorted(), "{decision:?}");
    let decision = decided(&[order(State::Released, &[])], &[1]);
    assert_eq!(decision, Decision { outcomes: vec![Err(CommitRefusal::Released)], ..Decision::default() });
}

proptest! {
    #[test]
    fn no_batch_takes_again_more_than_is_left(
        available in prop::collection::vec(0_i32..30, 4),
        carts in prop::collection::vec((prop::collection::btree_map(0_usize..4, 1_i64..12, 1..4), any::<bool>()), 1..30),
    ) {
        let state = |held| if held { State::Held } else { State::Expired };
        let orders: Vec<_> =
            carts.into_iter().map(|(lines, held)| order(state(held), &lines.into_iter().collect::<Vec<_>>())).collect();
        let decision = decided(&orders, &available);
        let mut left = available.clone();
        for ((_, state, lines), outcome) in orders.iter().zip(&decision.outcomes) {
            let at = |line: &ReservationLine| (0..4).find(|index| sku(*index) == line.sku).unwrap();
            let fits = *state == State::Held || lines.iter().all(|line| left[at(line)] >= line.quantity.get());
            prop_assert_eq!(outcome.is_ok(), fits, "sold exactly when it is held or all of it is there");
            for line in lines.iter().filter(|_| fits && *state == State::Expired) {
                left[at(line)] -= line.quantity.get();
            }
        }
        prop_assert!(left.iter().all(|left| *left >= 0));
    }
}
