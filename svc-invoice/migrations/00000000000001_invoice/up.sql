-- Invoices, their numbers and their documents.

create table invoice (
    id uuid primary key,
    -- Whose: the customer of the order, or the account that uploaded it.
    user_id uuid not null,
    -- An order has one invoice.
    order_id uuid unique,
    -- In whose books the number counts: `shop`, or the uploading account and the seller's VAT identifier in it.
    -- An account can neither see nor use up the numbers of another one's sellers.
    seller_key text not null,
    series text not null,
    -- The year of the date of issue: each year of a series counts from 1.
    year integer not null check (year between 2000 and 2100),
    -- Null when the caller brought a number of its own.
    sequence bigint check (sequence > 0),
    number text,
    -- UNTDID 1001: invoice, credit note, corrected invoice.
    type text not null check (type in ('380', '381', '384')),
    state text not null check (state in ('draft', 'issued', 'paid', 'credited', 'void')),
    issue_date date not null,
    -- Language, due date, seller, buyer, lines, allowances, charges, terms, formats.
    data jsonb not null,
    -- What the money engine made of it (EN 16931 BG-22, BG-23).
    totals jsonb not null,
    -- For whoever reads the table: what stands in the two columns before.
    locale text not null generated always as (data ->> 'locale') stored,
    currency text not null generated always as (totals #>> '{tax_inclusive,currency}') stored
        check (currency ~ '^[A-Z]{3}$'),
    total bigint not null generated always as ((totals #>> '{tax_inclusive,amount}')::bigint) stored check (total >= 0),
    paid_on date,
    created_at timestamptz not null default now(),
    issued_at timestamptz,
    unique (seller_key, number),
    unique (seller_key, series, year, sequence),
    check (extract(year from issue_date) = year),
    check (state in ('draft', 'void') or (number is not null and issued_at is not null)),
    check (state <> 'paid' or paid_on is not null)
);
create index invoice_user on invoice (user_id, id);

-- An issued invoice is a legal record: it is paid or credited, never edited, never deleted.
create function invoice_stays_as_issued() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        if old.state <> 'draft' then
            raise exception 'invoice % has been issued and cannot be deleted; credit it', old.number
                using errcode = 'restrict_violation';
        end if;
        return old;
    end if;
    if old.state = 'draft' then
        return new;
    end if;
    -- Generated columns are not computed yet; they follow `data` and `totals`.
    if to_jsonb(new) - '{state,paid_on,locale,currency,total}'::text[]
            <> to_jsonb(old) - '{state,paid_on,locale,currency,total}'::text[]
        or (old.paid_on is not null and new.paid_on is distinct from old.paid_on) then
        raise exception 'invoice % has been issued and cannot be changed; credit it', old.number
            using errcode = 'restrict_violation';
    end if;
    if new.state <> old.state
        and (old.state, new.state) not in (('issued', 'paid'), ('issued', 'credited'), ('paid', 'credited')) then
        raise exception 'invoice % is %; it cannot become %', old.number, old.state, new.state
            using errcode = 'restrict_violation';
    end if;
    return new;
end
$$;
create trigger invoice_stays_as_issued before update or delete on invoice
    for each row execute function invoice_stays_as_issued();

-- The next number of each series. It is taken within the transaction that issues the invoice: whoever comes second
-- waits for the row, and a rollback gives the number back. So there are no gaps.
create table number_series (
    seller_key text not null,
    series text not null,
    year integer not null,
    next bigint not null check (next > 0),
    primary key (seller_key, series, year)
);

create function number_series_only_grows() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or new.next <= old.next then
        raise exception 'the numbers of series % % only go up', old.series, old.year using errcode = 'restrict_violation';
    end if;
    return new;
end
$$;
create trigger number_series_only_grows before update or delete on number_series
    for each row execute function number_series_only_grows();

-- What is rendered of an invoice; at once the queue of what is to be rendered.
create table document (
    invoice_id uuid not null references invoice (id),
    format text not null check (format in ('pdf', 'xlsx', 'csv', 'facturx', 'ubl', 'cii')),
    state text not null default 'queued' check (state in ('queued', 'rendered', 'failed')),
    -- Where it lies in the bucket `documents`, and what must lie there.
    object text,
    size bigint check (size > 0),
    sha256 text,
    content_type text,
    -- Why the last attempt failed, as a sentence for the invoice's owner.
    error text,
    -- Which attempt is running or was the last: a worker that lost its lease cannot settle another one's attempt.
    attempts integer not null default 0,
    -- How often the renderer failed on it; waiting for something else, or a crash, is no failure.
    failures integer not null default 0 check (failures >= 0),
    -- From when on a worker may take it: a worker that has it moves this ahead and keeps moving it.
    -- Null when there is nothing left to try.
    next_attempt_at timestamptz default now(),
    -- The trace and the request that the invoice was issued in, for the worker that renders it.
    traceparent text not null,
    request_id text not null,
    primary key (invoice_id, format),
    check (state <> 'rendered' or num_nulls(object, size, sha256, content_type) = 0),
    check (state <> 'failed' or error is not null)
);
create index document_queue on document (next_attempt_at) where state <> 'rendered';
alter table document set (autovacuum_vacuum_scale_factor = 0.01);

-- Links to a document that work without signing in. Only the token's hash is here: who reads the table cannot use it.
create table document_link (
    token_sha256 bytea primary key check (length(token_sha256) = 32),
    invoice_id uuid not null,
    format text not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    foreign key (invoice_id, format) references document (invoice_id, format)
);
create index document_link_expires_at on document_link (expires_at);
