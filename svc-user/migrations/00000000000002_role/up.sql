-- What people may do: roles, each a set of permissions.

-- Rises with each change of what anybody may do. Tokens say as of which revision they are, so whoever has heard of a later one
-- knows which to refuse. Whoever changes that takes this row first: such changes come one after the other, in this order.
create table role_revision (
    only_one boolean primary key default true check (only_one),
    revision bigint not null default 1 check (revision > 0)
);
insert into role_revision default values;

create table role (
    name text primary key check (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    description text not null check (char_length(description) between 1 and 200),
    -- Such as `catalog:write`. Null: every permission there is, those of later versions too.
    permissions text[] check (array_position(permissions, null) is null),
    -- Not to be removed: the system itself gives these.
    built_in boolean not null default false,
    -- Counts the edits; `If-Match` compares it.
    version bigint not null default 1 check (version > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((permissions is null) = (name = 'admin'))
);

insert into role (name, description, permissions, built_in) values
    ('customer', 'Buys. Everyone has it who registers.', '{}', true),
    ('staff', 'Runs the shop.', array[
        'catalog:write', 'companies:read', 'companies:write', 'invoices:read', 'notifications:read', 'notifications:retry',
        'orders:read', 'orders:refund', 'orders:write', 'payments:read', 'stock:read', 'stock:write', 'users:read'
    ], true),
    ('admin', 'Runs the system.', null, true);

-- Who has a role: most people have none but the one to buy, and stay out of it.
create index user_roles on "user" using gin (roles) where roles <> '{customer}';

-- To find people by a part of their names and addresses.
create extension if not exists pg_trgm;
create index user_email_part on "user" using gin (email gin_trgm_ops);
create index user_name_part on "user" using gin (name gin_trgm_ops);
