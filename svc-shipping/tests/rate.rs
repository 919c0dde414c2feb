//! What shipping costs: for people before they order, and for svc-order when they do.

use nats::{
    contracts::shipping::{QuoteRefusal, QuoteShipping, ShippingQuote},
    invoke::CallError,
    types::{Currency, Money},
};
use serde_json::json;
use stack::Bed;

fn question(country: &str, weight_g: i64, currency: Currency) -> QuoteShipping {
    QuoteShipping { country: country.parse().unwrap(), weight_g, currency }
}

async fn quote(bed: &Bed, country: &str, weight_g: i64) -> ShippingQuote {
    bed.call(&question(country, weight_g, Currency::EUR)).await.expect("a quote")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lightest_rate_that_bears_the_weight_is_quoted() {
    let bed = Bed::start().await;
    let _shipping = bed.run(svc_shipping::service()).await;

    for (weight_g, amount) in [(0, 490), (1, 490), (5000, 490), (5001, 990), (31_500, 990), (1_000_000, 6900)] {
        let quoted = quote(&bed, "DE", weight_g).await;
        assert_eq!(quoted.price, Money::new(amount, Currency::EUR), "{weight_g} g within Germany");
        assert_eq!(quoted.zone, "domestic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zone_of_the_country_decides() {
    let bed = Bed::start().await;
    let _shipping = bed.run(svc_shipping::service()).await;

    for (country, zone, amount) in [("FR", "eu", 1290), ("CH", "europe", 1990), ("JP", "world", 3490)] {
        let quoted = quote(&bed, country, 800).await;
        assert_eq!((quoted.zone.as_str(), quoted.price.amount), (zone, amount), "{country}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shipped_is_refused_with_the_reason() {
    let bed = Bed::start().await;
    let _shipping = bed.run(svc_shipping::service()).await;

    let nowhere = bed.call(&question("AQ", 100, Currency::EUR)).await;
    assert!(matches!(nowhere, Err(CallError::Refused(QuoteRefusal::NoZone))), "{nowhere:?}");
    let heavy = bed.call(&question("DE", 1_000_001, Currency::EUR)).await;
    assert!(matches!(heavy, Err(CallError::Refused(QuoteRefusal::NoRate))), "{heavy:?}");
    let yen = bed.call(&question("DE", 100, Currency::JPY)).await;
    assert!(matches!(yen, Err(CallError::Refused(QuoteRefusal::NoRate))), "{yen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_can_list_the_rates_to_a_country() {
    let bed = Bed::start().await;
    let _shipping = bed.run(svc_shipping::service()).await;
    let nobody = bed.nobody();

    let rates = nobody.get("/v1/shipping/rates?country=AT").send().await;
    assert_eq!(rates.status, 200, "{rates}");
    let first = json!({
        "zone": "eu", "service_level": "Parcel", "up_to_weight_g": 5000, "price": { "amount": 1290, "currency": "EUR" },
    });
    assert_eq!(rates.at("/data/0"), &first);
    assert_eq!(rates.at("/data").as_array().map(Vec::len), Some(3), "{rates}");
    let yen = nobody.get("/v1/shipping/rates?country=AT&currency=JPY").send().await;
    assert_eq!(yen.at("/data"), &json!([]), "no rate in yen is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_country_that_does_not_exist_or_is_not_served_is_said_so() {
    let bed = Bed::start().await;
    let _shipping = bed.run(svc_shipping::service()).await;
    let nobody = bed.nobody();

    nobody.get("/v1/shipping/rates?country=AQ").send().await.problem("not_found", "");
    nobody.get("/v1/shipping/rates?country=Germany").send().await.problem("malformed_request", "?country");
    nobody.get("/v1/shipping/rates").send().await.problem("malformed_request", "?country");
    nobody.get("/v1/shipping/rates?country=DE&currency=EURO").send().await.problem("malformed_request", "?currency");
}
