-- What the probe service's handlers have done.
create table effect (
    name text not null,
    thing uuid not null,
    done_at timestamptz not null default now()
);
