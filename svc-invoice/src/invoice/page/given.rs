//! Uploads for tests, and what their documents say.

use nats::{
    problem::Problem,
    types::{InvoiceId, UserId},
};
use serde_json::Value;

use super::page;
use crate::{
    document::model,
    invoice::{Invoice, content::InvoiceUpload, rules, values::InvoiceState},
};

/// The figures of an upload that has the number `WEB-2026-000001`, as they are once it is issued.
///
/// # Errors
/// As the API refuses it.
pub(crate) fn figures(upload: &Value) -> Result<model::Invoice, Problem> {
    let upload: InvoiceUpload = serde_json::from_value(upload.clone()).unwrap();
    let issue_date = upload.issue_date.unwrap();
    let totals = rules::check(&upload, issue_date)?;
    let row = Invoice {
        id: InvoiceId::new(),
        user_id: UserId::new(),
        order_id: None,
        seller_key: "test".to_owned(),
        series: upload.series.clone(),
        year: 2026,
        number: Some("WEB-2026-000001".to_owned()),
        kind: upload.kind,
        state: InvoiceState::Issued,
        issue_date,
        data: upload.into(),
        totals,
        paid_on: None,
        created_at: chrono::Utc::now(),
        issued_at: Some(chrono::Utc::now()),
    };
    Ok(page(&row).unwrap())
}
