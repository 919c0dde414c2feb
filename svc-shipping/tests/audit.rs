//! What svc-shipping tells the operator.

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use stack::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_without_rates_is_found() {
    let bed = Bed::start().await;
    let _shipping = bed.run(svc_shipping::service()).await;
    assert_eq!(bed.broken_invariants("shipping").await, []);

    let unpriced = "delete from rate where zone_id = 'domestic'";
    assert!(sql_query(unpriced).execute(&mut bed.sql("shipping").await).await.unwrap() > 0);
    let broken = bed.broken_invariants("shipping").await;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].violations, ["DE is in zone domestic, without a rate"]);
}
