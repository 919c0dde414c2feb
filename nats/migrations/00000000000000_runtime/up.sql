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
    id bigint primary key references event_log (id),
    shard smallint not null,
    -- Set when JetStream refused the event for good; it then waits for an operator and holds up nobody.
    parked_reason text
);
create index outbox_pending_shard on outbox_pending (shard, id) where parked_reason is null;
alter table outbox_pending set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- How far the stream had got when we last looked: what the loss detector compares with.
create table relay_state (
    stream text primary key,
    -- When the stream was created; another time means another stream.
    stream_created timestamptz not null,
    last_sequence bigint not null,
    last_event_id uuid not null
);

-- What each consumer has taken effect of. The day is the event's own, never the clock's:
-- a redelivery after midnight must find its row.
create table inbox (
    consumer text not null,
    event_day date not null,
    event_id uuid not null,
    primary key (consumer, event_day, event_id)
);

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
