//! What the other services say, and what stands in the delivery log.

use std::time::Duration;

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        order::{GetOrder, OrderDetails, OrderLine},
        user::{GetUserDetails, Preferences, UserDetails, UserRegistered},
    },
    service::Running,
    types::{Currency, Money, OrderId, Quantity, TaxCategory, UserId},
};
use serde_json::json;
use stack::{
    bed::Bed,
    mail::{Mail, MailCatcher},
};

const BOUND: Duration = Duration::from_secs(20);

/// A row of the delivery log.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub(super) struct Logged {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) state: String,
    #[diesel(sql_type = sql_types::Integer)]
    pub(super) attempts: i32,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub(super) last_error: Option<String>,
}

/// The service, sending to the mail catcher that all tests share.
pub(super) async fn run(bed: &Bed) -> (Running, &'static MailCatcher) {
    let catcher = bed.mail().await;
    (run_at(bed, catcher.smtp_port()).await, catcher)
}

/// The service, sending to this port.
pub(super) async fn run_at(bed: &Bed, port: u16) -> Running {
    let url = format!("smtp://127.0.0.1:{port}");
    bed.run_with(svc_notify::service(), &[("SMTP_URL", &url), ("PUBLIC_URL", "https://shop.example/")]).await
}

/// A port on which nothing listens.
pub(super) fn free_port() -> u16 {
    stack::ports::free().unwrap()
}

/// Where mail to a user goes: an address that no other test has.
pub(super) fn address(user: UserId) -> String {
    format!("{user}@example.com")
}

/// svc-user knows everybody, by this name and locale.
pub(super) async fn everybody_is_called(bed: &Bed, name: &'static str, locale: &'static str) {
    everybody_prefers(bed, (name, locale), Preferences::default()).await;
}

/// The same, with these preferences.
pub(super) async fn everybody_prefers(
    bed: &Bed,
    (name, locale): (&'static str, &'static str),
    preferences: Preferences,
) {
    bed.answer::<GetUserDetails>(move |question| {
        let user_id = question.user_id;
        let (email, locale) = (address(user_id).parse().unwrap(), locale.parse().unwrap());
        Ok(UserDetails { user_id, email, name: name.to_owned(), locale, preferences: preferences.clone() })
    })
    .await;
}

/// svc-order has this order of `user`'s under every id.
pub(super) async fn every_order_is(bed: &Bed, user: UserId, article: &'static str) {
    bed.answer::<GetOrder>(move |question| Ok(order(question.order_id, user, article))).await;
}

fn order(order_id: OrderId, user_id: UserId, article: &str) -> OrderDetails {
    let euro = |cents| Money::new(cents, Currency::EUR);
    OrderDetails {
        order_id,
        number: "A-100023".to_owned(),
        user_id,
        email: address(user_id).parse().unwrap(),
        placed_at: "2026-11-20T12:00:00Z".parse().unwrap(),
        shipping_address: serde_json::from_value(json!({
            "name": "Ada Lovelace", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457", "country": "DE"
        }))
        .unwrap(),
        lines: vec![OrderLine {
            sku: "LMP-1".parse().unwrap(),
            name: article.to_owned(),
            quantity: Quantity::new(2).unwrap(),
            unit_price: euro(5_000),
            tax_category: TaxCategory::Standard,
            tax_rate: "19".to_owned(),
            net: euro(10_000),
        }],
        shipping: euro(490),
        shipping_tax_category: TaxCategory::Standard,
        shipping_tax_rate: "19".to_owned(),
        tax_total: euro(1_993),
        total: euro(12_483),
        company: None,
    }
}

/// Somebody registers.
pub(super) async fn register(bed: &Bed) -> UserId {
    let user_id = UserId::new();
    bed.publish(&UserRegistered { user_id }).await;
    user_id
}

/// The mail to a user whose subject contains this.
pub(super) async fn mail(catcher: &MailCatcher, user: UserId, subject: &str) -> Mail {
    catcher.wait_for_mail(&address(user), subject, BOUND).await.unwrap()
}

/// How many mails went to a user.
pub(super) async fn mails_to(catcher: &MailCatcher, user: UserId) -> usize {
    catcher.mails().await.unwrap().iter().filter(|mail| mail.is_to(&address(user))).count()
}

/// The delivery log's entry for a user, once this holds of it.
pub(super) async fn logged(bed: &Bed, user: UserId, what: &str, holds: impl Fn(&Logged) -> bool) -> Logged {
    bed.wait_for(what, || async { entries(bed, user).await.into_iter().find(|entry| holds(entry)) }).await
}

/// The delivery log's entries for a user.
pub(super) async fn entries(bed: &Bed, user: UserId) -> Vec<Logged> {
    sql_query("select state, attempts, last_error from notification where user_id = $1 order by id")
        .bind::<sql_types::Uuid, _>(user)
        .load(&mut bed.sql("notify").await)
        .await
        .unwrap()
}
