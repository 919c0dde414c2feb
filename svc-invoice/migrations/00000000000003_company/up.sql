-- Whose books an invoice belongs in, when it was made out to a company: whose members may read it. Never changes.
create table invoice_company (
    invoice_id uuid primary key references invoice (id),
    company_id uuid not null
);
create index invoice_company_company_id on invoice_company (company_id, invoice_id desc);
