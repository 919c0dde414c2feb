//! Invoices and their documents.

mod audit;
mod document_link;
mod formats;
mod get_invoice;
mod issue_order;
mod issue_uploaded;
mod render;
mod rules;
mod upload;
