-- The audit trail: who did what to what, when and from where. Rows are added and never changed; whole months go once they
-- are old. There are no references to people: a trail outlives them.
--
-- Ids are UUIDv7, which begin with the time. So months are ranges of ids, and the newest entries are found by id alone.

-- Something that somebody did, or was about to do.
create table trail_entry (
    id uuid primary key,
    at timestamptz not null,
    -- The id of an operation of `openapi.json`.
    operation text not null check (length(operation) between 1 and 100),
    -- Who; null where nobody is known.
    user_id uuid,
    session_id uuid,
    api_key_id uuid,
    -- The roles that they had at that moment.
    roles text[] not null,
    -- The parameters of the path: [{"name": "id", "value": "ord_…"}]
    targets jsonb not null check (jsonb_typeof(targets) = 'array'),
    -- An IPv4 address, or a /64 of IPv6.
    address text check (length(address) <= 45),
    -- What did it, as it said of itself (`User-Agent`).
    user_agent text check (char_length(user_agent) <= 200),
    request_id text not null check (length(request_id) <= 64),
    trace_id text not null check (length(trace_id) <= 32)
) partition by range (id);
create index trail_entry_user_id on trail_entry (user_id, id);
create index trail_entry_operation on trail_entry (operation, id);

-- What came of it. An entry without one was cut off: it may have been done.
create table trail_outcome (
    entry_id uuid primary key,
    at timestamptz not null,
    -- The HTTP status of the answer.
    status smallint not null check (status between 100 and 599),
    outcome text not null generated always as (
        case when status < 400 then 'succeeded' when status < 500 then 'refused' else 'failed' end
    ) stored,
    -- What was created.
    created text check (length(created) <= 64),
    -- Whose account it was done to, where the path does not say.
    concerns uuid
) partition by range (entry_id);
create index trail_outcome_outcome on trail_outcome (outcome, entry_id);

-- Who and what an entry is about, one by one: people and things by their ids as they are read.
create table trail_mention (
    mentioned text not null check (length(mentioned) <= 64),
    entry_id uuid not null,
    primary key (mentioned, entry_id)
) partition by range (entry_id);

-- What is of another time than the months that there are: from a clock that is far off.
create table trail_entry_other partition of trail_entry default;
create table trail_outcome_other partition of trail_outcome default;
create table trail_mention_other partition of trail_mention default;

create function trail_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit trail is only added to' using errcode = 'insufficient_privilege';
end $$;

-- The least of the ids that are made from this moment on.
create function trail_id_from(moment timestamptz) returns uuid language sql immutable as $$
    select (lpad(to_hex(floor(extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Takes from everyone, the service's own role first, the right to change what is in a table of the trail, and refuses whoever
-- has it all the same.
create function protect_trail(protected text) returns void language plpgsql as $$
begin
    execute format('revoke update, delete, truncate on %I from public, current_user', protected);
    execute format('create trigger only_added_to before truncate on %I execute function trail_is_append_only()', protected);
end $$;

-- Makes the partitions of these months, and drops those that ended before.
create function keep_trail_months(first date, last date, forget_before date) returns void language plpgsql as $$
declare
    of_trail text;
    month date;
    old text;
    made text;
    since uuid;
    before uuid;
    key text;
    is_taken boolean;
begin
    -- Instances that start together do it one after the other.
    perform pg_advisory_xact_lock(hashtextextended('keep_trail_months', 0));
    foreach of_trail in array array['trail_entry', 'trail_outcome', 'trail_mention'] loop
        key := case of_trail when 'trail_entry' then 'id' else 'entry_id' end;
        for month in select generate_series(date_trunc('month', first::timestamp), last::timestamp, interval '1 month')::date loop
            made := of_trail || '_' || to_char(month, 'YYYYMM');
            continue when to_regclass(made) is not null;
            since := trail_id_from(month::timestamp at time zone 'UTC');
            before := trail_id_from((month + interval '1 month') at time zone 'UTC');
            -- Rows that came before their partition stay where they are, and the others of their month with them.
            execute format('select exists (select from %I where %I >= %L and %I < %L)', of_trail || '_other',
                key, since, key, before) into is_taken;
            continue when is_taken;
            execute format('create table %I partition of %I for values from (%L) to (%L)', made, of_trail, since, before);
            perform protect_trail(made);
        end loop;
        for old in
            select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = of_trail::regclass and c.relname ~ ('^' || of_trail || '_[0-9]{6}$')
                and to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= forget_before
        loop
            execute format('drop table %I', old);
        end loop;
    end loop;
end $$;

do $$
declare
    of_trail text;
begin
    foreach of_trail in array array['trail_entry', 'trail_outcome', 'trail_mention'] loop
        -- Row triggers come to every partition, those of truncating do not.
        execute format('create trigger only_added_to_by_row before update or delete on %I
            for each row execute function trail_is_append_only()', of_trail);
        perform protect_trail(of_trail);
        perform protect_trail(of_trail || '_other');
    end loop;
    perform keep_trail_months(current_date - 31, current_date + 62, current_date - 400);
end $$;
