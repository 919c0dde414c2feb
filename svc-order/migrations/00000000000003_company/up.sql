-- For which company an order was placed, when it was for one. Never changes; apart from `order_terms`, so that everyone
-- else's orders are as narrow as they were.
create table order_company (
    order_id uuid primary key references orders (id),
    company_id uuid not null,
    -- The order's number in the company's own books.
    purchase_order_number text check (char_length(purchase_order_number) between 1 and 64),
    -- To whom the invoice is made out and where it goes, as it was when the order was placed.
    buyer jsonb not null check (jsonb_typeof(buyer) = 'object')
);
create index order_company_company_id on order_company (company_id, order_id desc);
