-- What was charged for which order, what was given back, and what the provider said.

-- The intent to charge one order, written before the provider is asked.
create table payment (
    id uuid primary key,
    order_id uuid not null unique,
    -- Whose order: who may see it.
    user_id uuid not null,
    -- Minor units.
    amount bigint not null check (amount >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- The provider's token of a payment method; never a card number.
    method text not null,
    status text not null check (status in (
        'requires_action', 'processing', 'requires_capture', 'succeeded', 'failed', 'canceled')),
    -- Part of the key the provider is asked with; it would grow only after a definitive decline.
    attempt integer not null default 1 check (attempt >= 1),
    -- How often the provider was, or may have been, asked in this attempt. Committed before it is asked:
    -- above one, its answer is looked up first.
    tries integer not null default 0 check (tries >= 0),
    provider_reference text,
    decline_reason text check (decline_reason in ('declined', 'insufficient_funds', 'unknown_payment_method')),
    -- When a worker looks after it next; while one does, until when it has it for itself.
    next_try_at timestamptz default now(),
    -- The trace of the order that asked for it.
    traceparent text not null,
    request_id text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((status = 'processing') = (next_try_at is not null)),
    check ((status = 'succeeded') = (provider_reference is not null)),
    check ((status = 'failed') = (decline_reason is not null))
);
create index payment_due on payment (next_try_at) where status = 'processing';

-- Orders that were canceled: one that is heard of afterwards is not charged, one that is being charged is voided or
-- refunded. Whoever reacts to an event about an order holds the order's advisory lock: of two at once, the second sees
-- the first.
create table canceled_order (
    order_id uuid primary key,
    created_at timestamptz not null default now()
);

-- The intent to give money back, written before the provider is asked.
create table refund (
    id uuid primary key,
    payment_id uuid not null references payment (id),
    -- Minor units of the payment's currency.
    amount bigint not null check (amount >= 0),
    -- What the provider knows it by: derived, so that one reason to refund has one effect.
    key text not null unique,
    status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
    -- How often the provider was, or may have been, asked: above one, its answer is looked up first.
    tries integer not null default 0 check (tries >= 0),
    provider_reference text,
    -- What the provider said when it refused for good.
    failure text,
    -- When a worker looks after it next; while one does, until when it has it for itself.
    next_try_at timestamptz default now(),
    -- The trace of what asked for it.
    traceparent text not null,
    request_id text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((status = 'pending') = (next_try_at is not null)),
    check ((status = 'succeeded') = (provider_reference is not null)),
    check ((status = 'failed') = (failure is not null))
);
create index refund_due on refund (next_try_at) where status = 'pending';
create index refund_payment on refund (payment_id);

-- The ledger: every effect on money, once. Rows are added, never changed.
create table transaction (
    id bigint generated always as identity primary key,
    payment_id uuid not null references payment (id),
    kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
    -- Minor units of the payment's currency.
    amount bigint not null check (amount >= 0),
    provider_reference text not null,
    created_at timestamptz not null default now(),
    unique (payment_id, kind, provider_reference)
);
-- An order is captured once, whatever the provider's references say.
create unique index transaction_one_capture on transaction (payment_id) where kind = 'capture';

-- The memory of the sandbox provider. It stands for the provider's side: only `provider/sandbox.rs` touches it,
-- in transactions of its own.
create table sandbox_charge (
    idempotency_key text primary key,
    amount bigint not null,
    currency text not null,
    method text not null,
    -- `voided`: canceled before it was charged; the key charges nothing any more.
    outcome text not null check (outcome in ('succeeded', 'declined', 'voided')),
    reference text unique,
    decline_reason text,
    created_at timestamptz not null default now(),
    check ((outcome = 'succeeded') = (reference is not null)),
    check ((outcome = 'declined') = (decline_reason is not null))
);
create table sandbox_refund (
    idempotency_key text primary key,
    charge_reference text not null,
    amount bigint not null,
    outcome text not null check (outcome in ('succeeded', 'declined')),
    reference text unique,
    reason text,
    created_at timestamptz not null default now(),
    check ((outcome = 'succeeded') = (reference is not null)),
    check ((outcome = 'declined') = (reason is not null))
);
create index sandbox_refund_charge on sandbox_refund (charge_reference);
