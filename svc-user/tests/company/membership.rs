use nats::{
    contracts::user::{Unknown, company::GetCompanyMembership},
    invoke::CallError,
    types::{CompanyId, CompanyRole, Currency, Money},
};
use serde_json::json;

use super::{Company, person};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_learns_what_its_customer_may_and_who_the_buyer_is() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let buyer = company.member("bo@example.com", CompanyRole::Buyer).await;
    let question = GetCompanyMembership { company_id: company.id(), user_id: buyer.user_id() };
    let before = company.bed.call(&question).await.expect("the membership");
    assert_eq!((before.role, before.active, before.spending_limit), (CompanyRole::Buyer, false, None));
    assert_eq!(before.buyer.name.as_str(), "Kontor & Söhne GmbH", "its legal name");
    assert_eq!(before.buyer.vat_id.as_ref().map(|id| id.as_str()), Some("DE123456789"));
    assert_eq!(before.buyer.email.as_str(), "office@kontor.example");

    company.approved().await;
    let changes = json!({
        "currency": "JPY", "locale": "ja", "invoice_email": "invoices@kontor.example", "purchase_order_required": true,
        "spending_limit": {"amount": 5000, "currency": "JPY"},
    });
    assert_eq!(company.owner.patch(&company.at("configuration"), &changes).send().await.status, 200);
    let after = company.bed.call(&question).await.expect("the membership");
    assert!(after.active && after.purchase_order_required);
    assert_eq!((after.currency, after.spending_limit), (Currency::JPY, Some(Money::new(5000, Currency::JPY))));
    assert_eq!((after.buyer.email.as_str(), after.buyer.locale.as_str()), ("invoices@kontor.example", "ja"));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_no_members_of_anything() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let stranger = person(&company.bed, "eve@example.com").await.user_id();
    for (company_id, user_id) in [(company.id(), stranger), (CompanyId::new(), company.owner.user_id())] {
        let answer = company.bed.call(&GetCompanyMembership { company_id, user_id }).await;
        assert!(matches!(answer, Err(CallError::Refused(Unknown::Unknown))), "{answer:?}");
    }
}
