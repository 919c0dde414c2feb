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
    -- `processing`: the provider was or will be asked to hold the money. `requires_capture`: it holds it.
    status text not null check (status in ('processing', 'requires_capture', 'succeeded', 'failed', 'canceled')),
    -- How often a worker took it up. Committed before the provider is asked: above one, what an earlier one did is
    -- looked up first.
    tries integer not null default 0 check (tries >= 0),
    -- The provider's own name for the payment, once it is known.
    provider_reference text unique,
    decline_reason text check (decline_reason in ('declined', 'insufficient_funds', 'unknown_payment_method')),
    -- When a worker looks after it next; while one does, until when it has it for itself.
    next_try_at timestamptz default now(),
    -- The trace of the order that asked for it.
    traceparent text not null,
    request_id text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((status in ('processing', 'requires_capture')) = (next_try_at is not null)),
    check (status not in ('requires_capture', 'succeeded') or provider_reference is not null),
    check ((status = 'failed') = (decline_reason is not null))
);
create index payment_due on payment (next_try_at) where next_try_at is not null;

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
    amount bigint not null check (amount > 0),
    -- What the provider knows it by: derived, so that one reason to refund has one effect.
    key text not null unique,
    -- Why, in words; null when nobody said.
    reason text,
    -- The member of staff who asked for it; null when a cancellation did.
    requested_by uuid,
    status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
    -- How often a worker took it up: above one, what an earlier one did is looked up first.
    tries integer not null default 0 check (tries >= 0),
    provider_reference text unique,
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
create index refund_payment on refund (payment_id, id);

-- The ledger: every effect on money, once. Rows are added, never changed.
create table transaction (
    id bigint generated always as identity primary key,
    payment_id uuid not null references payment (id),
    kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
    -- Minor units of the payment's currency.
    amount bigint not null check (amount >= 0),
    -- The provider's own name for the operation.
    provider_reference text not null unique,
    created_at timestamptz not null default now()
);
create index transaction_payment on transaction (payment_id);
create index transaction_age on transaction (created_at);
-- Whatever the provider's references say.
create unique index transaction_once on transaction (payment_id, kind) where kind <> 'refund';

-- The backstop under all code: no row is written after which a payment's ledger does not add up.
create function ledger_adds_up() returns trigger language plpgsql as $$
declare
    owed bigint;
    held bigint;
    taken bigint;
    let_go bigint;
    given_back bigint;
begin
    -- With the payment locked, the sums are of all rows there are.
    select amount into owed from payment where id = new.payment_id for update;
    select coalesce(sum(amount) filter (where kind = 'authorize'), 0),
           coalesce(sum(amount) filter (where kind = 'capture'), 0),
           coalesce(sum(amount) filter (where kind = 'void'), 0),
           coalesce(sum(amount) filter (where kind = 'refund'), 0)
    into held, taken, let_go, given_back
    from transaction where payment_id = new.payment_id;
    if held not in (0, owed) or taken not in (0, owed) or taken + let_go > held or given_back > taken then
        raise exception 'the ledger of payment % does not add up: % owed, % held, % captured, % voided, % refunded',
            new.payment_id, owed, held, taken, let_go, given_back using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger ledger_adds_up after insert on transaction for each row execute function ledger_adds_up();

create function ledger_only_grows() returns trigger language plpgsql as $$
begin
    raise exception 'rows of the ledger are added, never changed' using errcode = 'check_violation';
end $$;
create trigger ledger_only_grows before update or delete on transaction for each row execute function ledger_only_grows();

-- No more is promised back than was captured and is not promised yet.
create function refund_fits() returns trigger language plpgsql as $$
declare
    taken bigint;
    promised bigint;
begin
    perform 1 from payment where id = new.payment_id for update;
    select coalesce(sum(amount), 0) into taken from transaction where payment_id = new.payment_id and kind = 'capture';
    select coalesce(sum(amount), 0) into promised from refund where payment_id = new.payment_id and status <> 'failed';
    if promised > taken then
        raise exception 'refunds of % exceed what was captured of payment %: %', promised, new.payment_id, taken
            using errcode = 'check_violation';
    end if;
    return null;
end $$;
-- What the provider gave back without us is a fact; only promises can be refused.
create trigger refund_fits after insert on refund for each row when (new.status = 'pending') execute function refund_fits();

-- What the provider captured beyond the one capture that an order owes, against its own rules. It is no part of the
-- ledger: the order does not owe it, and it goes back by itself.
create table surplus (
    -- The provider's own name for the capture.
    reference text primary key,
    payment_id uuid not null references payment (id),
    -- The provider's own name for what it was captured of; usually the payment's.
    charge text not null,
    -- Minor units.
    amount bigint not null check (amount >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- What the provider is asked with to give it back: derived, so that it goes back once.
    refund_key text not null unique,
    state text not null default 'pending' check (state in ('pending', 'refunded', 'failed')),
    -- The provider's own name for the refund.
    refund_reference text unique,
    -- What the provider said when it refused for good.
    failure text,
    -- How often a worker took it up: above one, what an earlier one did is looked up first.
    tries integer not null default 0 check (tries >= 0),
    -- When a worker looks after it next; while one does, until when it has it for itself.
    next_try_at timestamptz default now(),
    -- The trace of what found it.
    traceparent text not null,
    request_id text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((state = 'pending') = (next_try_at is not null)),
    check ((state = 'refunded') = (refund_reference is not null)),
    check ((state = 'failed') = (failure is not null))
);
create index surplus_due on surplus (next_try_at) where state = 'pending';
create index surplus_payment on surplus (payment_id);

-- What of the provider's operations is written down: in the ledger, or beside it as a surplus and its way back.
create view known_operation as
    select provider_reference, kind, amount, created_at from transaction
union all
    select reference, 'capture'::text, amount, created_at from surplus
union all
    select refund_reference, 'refund'::text, amount, updated_at from surplus where refund_reference is not null;

-- The webhooks that came: each is heard once, and then read up on.
create table webhook (
    -- The provider's own id of the message, the same each time it is sent.
    id text primary key,
    kind text not null,
    -- The provider's names for the payment and the operation that it is about.
    payment text not null,
    operation text not null,
    tries integer not null default 0 check (tries >= 0),
    -- When a worker looks after it next; null once there is nothing more to find out.
    next_try_at timestamptz,
    created_at timestamptz not null default now()
);
create index webhook_due on webhook (next_try_at) where next_try_at is not null;
create index webhook_age on webhook (created_at);

-- The provider's statement, line by line, to be compared with our ledger.
create table statement_line (
    -- The provider's own name for the operation.
    reference text primary key,
    sequence bigint not null,
    -- The provider's name for the payment.
    payment text not null,
    kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
    amount bigint not null,
    -- Why the provider did not do it; null when it did.
    refusal text,
    -- Whether the ledger says the same.
    matched boolean not null default false,
    -- Why it cannot be brought together with our ledger, or why it is doubted.
    problem text,
    imported_at timestamptz not null default now()
);
create index statement_line_sequence on statement_line (sequence);
create index statement_line_payment on statement_line (payment);
create index statement_line_unmatched on statement_line (payment) where not matched and refusal is null;
create index statement_line_doubted on statement_line (reference) where problem is not null;

-- Up to where the statement was read; one row.
create table statement (
    only_one boolean primary key default true check (only_one),
    sequence bigint not null default 0,
    -- Whatever the provider had done before this moment was read.
    complete_until timestamptz
);
insert into statement default values;

-- Where what is written down and the provider's statement differ, and since when. A minute is left to whoever is about to
-- write.
create view reconciliation_difference as
    select line.reference, line.problem as difference, line.imported_at as since
    from statement_line line where line.problem is not null
union all
    select line.reference, 'the provider did it, the ledger does not know it', line.imported_at
    from statement_line line left join known_operation known on known.provider_reference = line.reference
    where not line.matched and line.refusal is null and line.problem is null and known.provider_reference is null
      and line.imported_at < now() - interval '1 minute'
union all
    select line.reference, format('it is a %s of %s in the ledger, a %s of %s in the statement',
        known.kind, known.amount, line.kind, line.amount), line.imported_at
    from statement_line line join known_operation known on known.provider_reference = line.reference
    where not line.matched and ((line.kind, line.amount) <> (known.kind, known.amount) or line.refusal is not null)
union all
    select known.provider_reference, 'the ledger has it, the provider''s statement has not', known.created_at
    from known_operation known, statement
    where known.created_at < statement.complete_until
      and not exists (select from statement_line line where line.reference = known.provider_reference);
