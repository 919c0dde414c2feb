use nats::types::Currency;
use proptest::prelude::*;

use super::*;

fn eur(amount: i64) -> Money {
    Money::new(amount, Currency::EUR)
}

/// Asks the book, as the process does.
pub(crate) fn ask(book: &mut Book, key: &str, request: &Request) -> Result<ProviderPayment, Refusal> {
    let payment = match book.decide(key, request)? {
        Decision::Before(payment) => payment,
        Decision::New(done) => {
            let payment = done.operation.payment.clone();
            book.write(*done);
            payment
        }
    };
    Ok(book.payment(&payment).unwrap().0)
}

fn authorize(book: &mut Book, key: &str, method: &str) -> ProviderPayment {
    ask(book, key, &Request::Authorize { amount: eur(1299), method: method.to_owned() }).unwrap()
}

#[test]
fn each_method_has_its_outcome() {
    for (method, declined) in [
        ("sandbox_ok", None),
        ("sandbox_slow", None),
        ("sandbox_timeout_then_ok", None),
        ("sandbox_refund_declined", None),
        ("sandbox_declined", Some(DeclineReason::Declined)),
        ("sandbox_insufficient_funds", Some(DeclineReason::InsufficientFunds)),
        ("", Some(DeclineReason::UnknownPaymentMethod)),
        ("SANDBOX_OK", Some(DeclineReason::UnknownPaymentMethod)),
        ("visa_4242", Some(DeclineReason::UnknownPaymentMethod)),
    ] {
        let payment = authorize(&mut Book::default(), "a", method);
        let status = if declined.is_some() { ProviderStatus::Declined } else { ProviderStatus::RequiresCapture };
        assert_eq!((payment.status, payment.decline_reason), (status, declined), "{method}");
    }
}

#[test]
fn a_key_is_one_request() {
    let mut book = Book::default();
    let first = authorize(&mut book, "a", "sandbox_ok");
    assert_eq!(authorize(&mut book, "a", "sandbox_ok"), first);
    let other = Request::Authorize { amount: eur(1), method: "sandbox_ok".to_owned() };
    assert_eq!(ask(&mut book, "a", &other), Err(Refusal::KeyReused));
    let capture = Request::Capture { payment: first.reference, amount: eur(1299) };
    assert_eq!(ask(&mut book, "a", &capture), Err(Refusal::KeyReused));
    assert_eq!(book.operations().count(), 1);
}

#[test]
fn what_is_called_off_first_is_never_held() {
    let mut book = Book::default();
    let void = Request::Void { authorization: "a".to_owned(), amount: eur(1299) };
    let called_off = ask(&mut book, "v", &void).unwrap();
    assert_eq!((called_off.status, called_off.authorization.as_str()), (ProviderStatus::Voided, "a"));
    let late = authorize(&mut book, "a", "sandbox_ok");
    assert_eq!(late, called_off, "the request that came late finds the key used up");
    let capture = Request::Capture { payment: late.reference, amount: eur(1299) };
    assert!(ask(&mut book, "c", &capture).unwrap().refused("c"));
}

#[test]
fn what_is_captured_cannot_be_voided() {
    let mut book = Book::default();
    let payment = authorize(&mut book, "a", "sandbox_ok");
    let capture = Request::Capture { payment: payment.reference, amount: eur(1299) };
    assert_eq!(ask(&mut book, "c", &capture).unwrap().status, ProviderStatus::Succeeded);
    let void = Request::Void { authorization: "a".to_owned(), amount: eur(1299) };
    let after = ask(&mut book, "v", &void).unwrap();
    assert_eq!((after.status, after.refused("v")), (ProviderStatus::Succeeded, true));
}

#[test]
fn what_makes_no_sense_is_refused_and_not_remembered() {
    let mut book = Book::default();
    let capture = Request::Capture { payment: "sbx_none".to_owned(), amount: eur(1) };
    assert_eq!(ask(&mut book, "c", &capture), Err(Refusal::NoSuchPayment));
    let negative = Request::Authorize { amount: eur(-1), method: "sandbox_ok".to_owned() };
    assert_eq!(ask(&mut book, "a", &negative), Err(Refusal::Negative));
    assert_eq!(authorize(&mut book, "a", "sandbox_ok").amount, eur(1299), "the key is still free");
}

fn requests() -> impl Strategy<Value = Vec<(u8, u8, i64)>> {
    prop::collection::vec((0_u8..5, 0_u8..4, 0_i64..1500), 1..40)
}

/// One of a few payments, asked for something; wrong currencies, repeats and nonsense included.
fn request(book: &Book, (what, which, amount): (u8, u8, i64)) -> (String, Request) {
    let authorization = format!("a{which}");
    let payment = book.authorized_by(&authorization).unwrap_or("sbx_none").to_owned();
    match what {
        0 => (authorization, Request::Authorize { amount: eur(1299), method: "sandbox_ok".to_owned() }),
        1 => (format!("c{which}"), Request::Capture { payment, amount: eur(1299) }),
        2 => (format!("v{which}"), Request::Void { authorization, amount: eur(1299) }),
        3 => (format!("r{which}-{amount}"), Request::Refund { payment, amount: eur(amount) }),
        _ => (format!("x{which}-{amount}"), Request::Refund { payment, amount: Money::new(amount, Currency::USD) }),
    }
}

proptest! {
    /// Whatever is asked in whatever order: no more is taken than held, no more given back than taken, and what is written
    /// down gives the same book.
    #[test]
    fn the_book_adds_up(asked in requests()) {
        let (mut book, mut written) = (Book::default(), Book::default());
        for one in asked {
            let (key, request) = request(&book, one);
            if let Ok(Decision::New(done)) = book.decide(&key, &request) {
                book.write(*done.clone());
                let line = serde_json::to_string(&done).unwrap();
                written.write(serde_json::from_str(&line).unwrap());
            }
        }
        for reference in book.accounts.keys() {
            let (payment, _) = book.payment(reference).unwrap();
            let sum = |kind| payment.operations.iter().filter(|one| one.kind == kind && one.refusal.is_none())
                .map(|one| one.amount.amount).sum::<i64>();
            let (held, taken) = (sum(TransactionKind::Authorize), sum(TransactionKind::Capture));
            prop_assert!(taken + sum(TransactionKind::Void) <= held);
            prop_assert!(sum(TransactionKind::Refund) <= taken);
            prop_assert_eq!(payment.status == ProviderStatus::Succeeded, taken == 1299);
            prop_assert_eq!(written.payment(reference).unwrap().0, payment);
        }
        prop_assert_eq!(written.statement(0, usize::MAX), book.statement(0, usize::MAX));
        let places: Vec<i64> = book.operations().map(|one| one.sequence).collect();
        prop_assert_eq!(places, (1..=book.last()).collect::<Vec<_>>());
    }
}
