#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use nats::{
    contracts::catalog::StockLine,
    types::{ProductId, Quantity, TaxCategory},
};
use proptest::prelude::*;

use super::*;

fn sku(index: usize) -> Sku {
    format!("SKU-{index}").parse().unwrap()
}

fn question(lines: &[(usize, i64)]) -> ReserveStock {
    let line =
        |(index, quantity): &(usize, i64)| StockLine { sku: sku(*index), quantity: Quantity::new(*quantity).unwrap() };
    ReserveStock { order_id: OrderId::new(), currency: Currency::EUR, lines: lines.iter().map(line).collect() }
}

fn articles(count: usize) -> BTreeMap<(Sku, Currency), Article> {
    let article = |index| Article {
        sku: sku(index),
        product_id: ProductId::new(),
        product_name: "Desk Lamp".to_owned(),
        variant_name: "Brass".to_owned(),
        currency: Currency::EUR,
        amount: 4990,
        tax_category: TaxCategory::Standard,
        weight_g: 1200,
    };
    (0..count).map(article).map(|article| ((article.sku.clone(), article.currency), article)).collect()
}

fn levels(on_hand: &[i32]) -> BTreeMap<Sku, Stock> {
    let level = |(index, on_hand): (usize, &i32)| {
        (sku(index), Stock { sku: sku(index), on_hand: *on_hand, reserved: 0, reorder_point: 0 })
    };
    on_hand.iter().enumerate().map(level).collect()
}

fn held(question: &ReserveStock) -> Reservation {
    let reply = decide(question, &articles(10), &mut levels(&[100; 10])).unwrap();
    Reservation { order_id: question.order_id, state: State::Held, reply: Some(Reply(reply)) }
}

#[test]
fn what_is_granted_is_what_the_order_remembers() {
    let reply = decide(&question(&[(1, 2), (0, 1)]), &articles(2), &mut levels(&[1, 2])).unwrap();
    let line = &reply.lines[0];
    assert_eq!((line.sku.as_str(), line.quantity.get(), line.name.as_str()), ("SKU-1", 2, "Desk Lamp, Brass"));
    assert_eq!((line.unit_price.amount, line.unit_price.currency, line.weight_g), (4990, Currency::EUR, 1200));
    assert_eq!(reply.lines[1].sku, sku(0), "in the order of the question");
}

#[test]
fn every_line_that_fails_is_named_and_nothing_is_taken() {
    let mut stock = levels(&[5, 0, 1]);
    let outcome = decide(&question(&[(0, 1), (1, 1), (2, 2)]), &articles(3), &mut stock);
    let shortages =
        vec![Shortage { line: 1, sku: sku(1), available: 0 }, Shortage { line: 2, sku: sku(2), available: 1 }];
    assert_eq!(outcome, Err(ReserveRefusal::OutOfStock(shortages)));
    let outcome = decide(&question(&[(8, 1), (0, 1), (9, 1)]), &articles(3), &mut stock);
    assert_eq!(outcome, Err(ReserveRefusal::Unknown(vec![0, 2])));
    assert_eq!(stock, levels(&[5, 0, 1]));
}

#[test]
fn a_currency_without_a_price_is_unknown() {
    let mut asked = question(&[(0, 1)]);
    asked.currency = Currency::JPY;
    assert_eq!(decide(&asked, &articles(1), &mut levels(&[1])), Err(ReserveRefusal::Unknown(vec![0])));
}

#[test]
fn a_repeat_gets_the_first_answer_in_its_own_order() {
    let asked = question(&[(0, 1), (1, 2)]);
    let first = held(&asked);
    assert_eq!(repeat(&first, &asked).as_ref(), Ok(&first.reply.as_ref().unwrap().0));
    let mut turned = asked.clone();
    turned.lines.reverse();
    assert_eq!(repeat(&first, &turned).unwrap().lines[0].sku, sku(1));
}

#[test]
fn another_question_or_a_settled_order_gets_no_second_reservation() {
    let asked = question(&[(0, 1), (1, 2)]);
    let first = held(&asked);
    for lines in [&[(0, 1)][..], &[(0, 1), (1, 3)], &[(0, 1), (2, 2)], &[(0, 1), (1, 2), (2, 1)]] {
        assert_eq!(repeat(&first, &question(lines)), Err(ReserveRefusal::Settled), "{lines:?}");
    }
    let mut yen = asked.clone();
    yen.currency = Currency::JPY;
    assert_eq!(repeat(&first, &yen), Err(ReserveRefusal::Settled));
    for state in [State::Sold, State::Released, State::Expired] {
        let settled = Reservation { state, ..first.clone() };
        assert_eq!(repeat(&settled, &asked), Err(ReserveRefusal::Settled), "{state}");
    }
    let forbidden = Reservation { state: State::Released, reply: None, ..first };
    assert_eq!(repeat(&forbidden, &asked), Err(ReserveRefusal::Settled));
}

#[test]
fn a_question_names_each_sku_once_and_something() {
    assert!(check(&question(&[(0, 1), (1, 1)])).is_ok());
    assert!(check(&question(&[(0, 1), (0, 1)])).is_err());
    assert!(check(&question(&[])).is_err());
    let many: Vec<_> = (0..101).map(|index| (index, 1)).collect();
    assert!(check(&question(&many)).is_err());
}

proptest! {
    #[test]
    fn no_sequence_of_orders_is_granted_more_than_there_is(
        on_hand in prop::collection::vec(0_i32..50, 5),
        orders in prop::collection::vec(prop::collection::btree_map(0_usize..5, 1_i64..20, 1..5), 1..30),
    ) {
        let (mut stock, known) = (levels(&on_hand), articles(5));
        let mut taken = [0_i32; 5];
        for order in orders {
            let lines: Vec<_> = order.into_iter().collect();
            let fits = lines.iter().all(|(index, quantity)| i64::from(on_hand[*index] - taken[*index]) >= *quantity);
            let outcome = decide(&question(&lines), &known, &mut stock);
            prop_assert_eq!(outcome.is_ok(), fits, "granted exactly when all of it is there");
            if fits {
                for (index, quantity) in lines {
                    taken[index] += i32::try_from(quantity).unwrap();
                }
            }
        }
        for (index, taken) in taken.iter().enumerate() {
            prop_assert_eq!(stock[&sku(index)].reserved, *taken);
            prop_assert!(stock[&sku(index)].available() >= 0);
        }
    }
}
