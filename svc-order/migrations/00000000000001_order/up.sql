-- Carts, orders, and how far each order is.

-- A cart, of a person or of a guest. Its row is the lock under which its items are edited.
create table cart (
    id uuid primary key,
    -- Whose; null for a guest's.
    user_id uuid unique,
    -- SHA-256 of the token that a guest shows; null for a person's.
    token_hash bytea unique check (length(token_hash) = 32),
    -- Counts the edits: the ETag.
    version bigint not null check (version >= 0),
    updated_at timestamptz not null default now(),
    check ((user_id is null) <> (token_hash is null))
);
-- What expires.
create index cart_of_guests on cart (updated_at) where user_id is null;

-- What is in it; names and prices are the catalogue's and are asked for when it is shown.
create table cart_item (
    cart_id uuid not null references cart (id) on delete cascade,
    sku text not null check (sku ~ '^[A-Za-z0-9._-]{1,64}$'),
    quantity integer not null check (quantity between 1 and 100000),
    added_at timestamptz not null default now(),
    primary key (cart_id, sku)
);

-- The numbers that people read. An order that was not written leaves a gap; only invoices must not have any.
create sequence order_number start 100001;

-- An order: what it comes to (never changes) and its three states (moved by the saga alone).
create table orders (
    id uuid primary key,
    -- `A-100001`.
    number text not null unique,
    user_id uuid not null,
    status text not null check (status in ('pending', 'confirmed', 'completed', 'canceled')),
    payment_status text not null check (payment_status in
        ('awaiting', 'authorized', 'captured', 'partially_refunded', 'refunded', 'failed', 'canceled')),
    fulfillment_status text not null check (fulfillment_status in
        ('not_fulfilled', 'partially_fulfilled', 'fulfilled', 'shipped', 'delivered', 'canceled')),
    cancel_reason text check (cancel_reason in ('payment_failed', 'payment_timeout', 'out_of_stock', 'customer', 'staff')),
    -- The payment whose money we have.
    payment_id uuid,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- Minor units: the sum of the lines, net.
    subtotal bigint not null check (subtotal >= 0),
    -- Minor units, net.
    shipping_price bigint not null check (shipping_price >= 0),
    -- Minor units.
    tax_total bigint not null check (tax_total >= 0),
    -- Minor units: what the customer pays.
    total bigint not null check (total > 0),
    -- Minor units: what of it went back, all refunds together.
    refunded bigint not null default 0 check (refunded between 0 and total),
    placed_at timestamptz not null,
    updated_at timestamptz not null,
    check (total = subtotal + shipping_price + tax_total),
    check ((status = 'canceled') = (cancel_reason is not null)),
    check ((status = 'canceled') = (fulfillment_status = 'canceled')),
    check (status <> 'pending' or payment_status not in ('failed', 'canceled')),
    check (status not in ('confirmed', 'completed') or payment_status in ('captured', 'partially_refunded', 'refunded')),
    check ((payment_status in ('captured', 'partially_refunded', 'refunded')) = (payment_id is not null)),
    check ((payment_status in ('partially_refunded', 'refunded')) = (refunded > 0)),
    check (payment_status <> 'partially_refunded' or refunded < total),
    check (payment_status <> 'refunded' or refunded = total)
);
create index orders_of_user on orders (user_id, id desc);
create index orders_by_status on orders (status, id desc);

-- What else was agreed. Never changes; apart from `orders`, so that moving a state rewrites a narrow row, and so that
-- the personal data of an order stand in one place.
create table order_terms (
    order_id uuid primary key references orders (id),
    -- Where mail about it goes, as it was when the order was placed.
    email text not null,
    -- A payment method's token, never a card number.
    payment_method text not null check (payment_method ~ '^[a-z0-9_]{1,64}$'),
    -- A copy: where the customer lives later does not change where this order went.
    shipping_address jsonb not null,
    shipping_service_level text not null,
    shipping_tax_category text not null,
    -- Percent, as a decimal string.
    shipping_tax_rate text not null,
    -- Tax by category and rate, as the money engine computed it.
    tax jsonb not null
);

-- A line of an order: the article as it was when it was ordered. Never changes.
create table order_line (
    order_id uuid not null references orders (id),
    -- From 0, in the order of the request.
    position integer not null check (position >= 0),
    sku text not null,
    product_id uuid not null,
    name text not null,
    quantity integer not null check (quantity between 1 and 100000),
    -- Minor units; net.
    unit_price bigint not null check (unit_price >= 0),
    tax_category text not null,
    -- Percent, as a decimal string.
    tax_rate text not null,
    -- Minor units.
    net bigint not null check (net = unit_price * quantity),
    primary key (order_id, position),
    unique (order_id, sku)
);

-- What changed, when, why, by whom; also what arrived and changed nothing.
create table order_history (
    id bigint generated always as identity primary key,
    order_id uuid not null references orders (id),
    at timestamptz not null default now(),
    change text not null check (change in
        ('placed', 'paid', 'confirmed', 'canceled', 'refunded', 'completed', 'paid_late', 'payment_contradicted')),
    -- The three states after it.
    status text not null,
    payment_status text not null,
    fulfillment_status text not null,
    -- A sentence.
    why text not null,
    actor text not null check (actor in ('customer', 'staff', 'system')),
    -- Who, unless it was the system.
    user_id uuid,
    check ((actor = 'system') = (user_id is null))
);
create index order_history_of_order on order_history (order_id, id);

-- What each order waits for: the stored state of the saga. Written with the order, moved with its states.
create table order_saga (
    order_id uuid primary key references orders (id),
    step text not null check (step in ('awaiting_payment', 'securing_stock', 'awaiting_refund', 'done')),
    -- By when the step should be over. It never moves within a step: what is past it, the audit shows.
    deadline timestamptz,
    -- When it is looked at next, if nothing happens before. A worker that looks moves it ahead: its lease.
    due_at timestamptz,
    -- How often the step was looked at.
    tries integer not null default 0 check (tries >= 0),
    -- The request that the order came with, for the work that is done for it.
    traceparent text not null,
    request_id text not null,
    check ((step = 'done') = (deadline is null)),
    check ((step = 'done') = (due_at is null))
);
create index order_saga_due on order_saga (step, due_at) where step <> 'done';

-- The refunds that were told, each once, in whatever order they and the captures came.
create table order_refund (
    refund_id uuid primary key,
    order_id uuid not null references orders (id),
    payment_id uuid not null,
    -- Minor units.
    amount bigint not null check (amount > 0),
    -- `early`: the capture is not known yet; `counted`: part of `orders.refunded`; `contradicted`: it does not fit.
    state text not null check (state in ('early', 'counted', 'contradicted')),
    noted_at timestamptz not null default now()
);
create index order_refund_of_order on order_refund (order_id);
