-- What people are told in real time, kept for a week so that whoever was away can go on where they left off.

-- The last sequence given to each person. Its row is locked until the message is committed: so sequences are committed in
-- their order, without a gap, and whoever has read up to one never misses an earlier one.
create table message_sequence (
    user_id uuid primary key,
    last bigint not null check (last > 0)
);
create table message (
    user_id uuid not null,
    sequence bigint not null check (sequence > 0),
    id uuid not null unique,
    -- The event that it tells of: one event leads to one message.
    event_id uuid not null unique,
    kind text not null,
    -- Ids, amounts and states. No personal data.
    about jsonb not null,
    created_at timestamptz not null default now(),
    primary key (user_id, sequence)
);
-- What is old enough to be forgotten.
create index message_created on message (created_at);
