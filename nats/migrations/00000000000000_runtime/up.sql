-- The tables of the runtime's own building blocks; every service's database has them.

-- Every event this service has published or will publish, in the order of insertion.
-- JetStream holds a copy of the last days; this is the truth it can be refilled from.
create table event_log (
    id bigint generated always as identity primary key,
    -- CloudEvents id and Nats-Msg-Id.
    event_id uuid not null unique,
    -- Which relay shard publishes it: a hash of the aggregate, so that one aggregate's events keep their order.
    shard smallint not null,
    -- The aggregate: one event per aggregate is in flight at a time.
    entity_id text not null,
    subject text not null,
    -- CloudEvents attributes and trace context, as they travel.
    headers jsonb not null,
    -- The event's JSON, byte for byte as it travels.
    payload text not null,
    created_at timestamptz not null default now()
);
create index event_log_entity on event_log (entity_id, id);
create index event_log_created_at on event_log (created_at);

-- What has not been acknowledged by JetStream yet. Narrow, so that its churn stays cheap.
create table outbox_pending (
    -- That of `event_log`. Both rows are written by one statement; a foreign key would look that up for each.
    id bigint primary key,
    shard smallint not null,
    -- Set when JetStream refused the event for good; it then waits for an operator and holds up nobody.
    parked_reason text
);
create index outbox_pending_shard on outbox_pending (shard, id) where parked_reason is null;
alter table outbox_pending set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- What the stream has last acknowledged of each shard: what the loss detector compares with.
create table relay_state (
    stream text not null,
    shard smallint not null,
    -- When the stream was created; another time means another stream.
    stream_created timestamptz not null,
    last_sequence bigint not null,
    last_event_id uuid not null,
    primary key (stream, shard)
);

-- Every half minute: a message that the stream has, and the moment before which everything recorded was published.
-- The newest that a set-back stream still holds tells how much it lost.
create table relay_checkpoint (
    stream text not null,
    sequence bigint not null,
    event_id uuid not null,
    complete_before timestamptz not null,
    primary key (stream, sequence)
);

-- What each consumer has taken effect of. The day is the event's own, never the clock's:
-- a redelivery after midnight must find its row.
create table inbox (
    consumer text not null,
    event_day date not null,
    event_id uuid not null,
    primary key (consumer, event_day, event_id)
) partition by range (event_day);
-- Days that have no partition of their own: a redriven event of long ago, a clock that is far ahead.
create table inbox_other partition of inbox default;

-- Makes the partitions of these days, and drops those of days that no repeat can come from any more.
create function keep_inbox_days(first date, last date, forget_before date) returns void language plpgsql as $$
declare
    day date;
    partition text;
begin
    -- Instances that start together do it one after the other.
    perform pg_advisory_xact_lock(hashtextextended('keep_inbox_days', 0));
    for day in select generate_series(first, last, interval '1 day')::date loop
        -- Rows that came before their partition stay where they are.
        if not exists (select from inbox_other where event_day = day) then
            execute format('create table if not exists %I partition of inbox for values from (%L) to (%L)',
                'inbox_' || to_char(day, 'YYYYMMDD'), day, day + 1);
        end if;
    end loop;
    for partition in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'inbox'::regclass and c.relname ~ '^inbox_[0-9]{8}$'
            and to_date(substr(c.relname, 7), 'YYYYMMDD') < forget_before
    loop
        execute format('drop table %I', partition);
    end loop;
    delete from inbox_other where event_day < forget_before;
end $$;

-- Messages that a consumer could not handle. While a row is here the message is not handled again, however often it is
-- delivered; it waits to be redriven or discarded.
create table dead_letter (
    id uuid primary key,
    consumer text not null,
    -- What tells one message from another: SHA-256 of an event's id; of the whole message when it is no event.
    digest bytea not null,
    -- The event's id, as far as the headers have one.
    event_id uuid,
    subject text not null,
    -- {"name": ["value", …]}
    headers jsonb not null,
    payload bytea not null,
    state text not null default 'dead' check (state in ('dead', 'redriving')),
    -- The last failure, and how many there were.
    reason text not null,
    attempts integer not null,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    unique (consumer, digest)
);
create index dead_letter_event_id on dead_letter (event_id);
create index dead_letter_redriving on dead_letter (consumer, id) where state = 'redriving';

-- Answers to requests that carried an Idempotency-Key, claimed in the transaction of the write itself.
create table idempotency (
    -- Who asked: keys of different callers never meet.
    principal text not null,
    operation text not null,
    key text not null,
    request_hash bytea not null,
    status smallint,
    location text,
    body text,
    created_at timestamptz not null default now(),
    primary key (principal, operation, key)
);
create index idempotency_created_at on idempotency (created_at);
