-- What people prefer, of those who have said so; the language they read stands in their profile.
create table preference (
    user_id uuid primary key references "user" (id) on delete cascade,
    -- ISO 4217: what an order that does not say is paid in.
    currency text not null default 'EUR' check (currency ~ '^[A-Z]{3}$'),
    -- Which mails they want.
    order_emails boolean not null default true,
    invoice_emails boolean not null default true,
    updated_at timestamptz not null default now()
);
