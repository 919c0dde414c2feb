-- Who people are, how they sign in, and where they live.

-- A person who registered.
create table "user" (
    id uuid primary key,
    -- As the person wrote it, its domain in lower case.
    email text not null check (length(email) <= 254 and position('@' in email) > 1),
    name text not null check (char_length(name) between 1 and 200),
    -- Argon2id in PHC form: the parameters stand in it, so they can rise later.
    password_hash text not null check (password_hash like '$argon2id$%'),
    -- BCP 47.
    locale text not null default 'en',
    roles text[] not null default '{customer}' check (
        cardinality(roles) > 0 and roles <@ array['customer', 'staff', 'admin'] and array_position(roles, null) is null
    ),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
-- Two spellings of one address are one person.
create unique index user_email on "user" (lower(email));

-- One sign-in, until it ends. It is the family of its refresh tokens (RFC 9700, 4.14): they live and die with it.
create table session (
    id uuid primary key,
    user_id uuid not null references "user" (id) on delete cascade,
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    ended_at timestamptz,
    -- `reuse`: a refresh token came twice, so somebody else may hold it.
    end_reason text check (end_reason in ('logout', 'reuse')),
    check ((ended_at is null) = (end_reason is null))
);
create index session_user_id on session (user_id);
create index session_last_used_at on session (last_used_at);

-- The right to go on with a session, once. What is stored cannot be presented: it is a hash.
create table refresh_token (
    -- SHA-256 of the token.
    hash bytea primary key check (octet_length(hash) = 32),
    session_id uuid not null references session (id) on delete cascade,
    state text not null default 'active' check (state in ('active', 'consumed')),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    consumed_at timestamptz,
    check ((state = 'consumed') = (consumed_at is not null))
);
create index refresh_token_session_id on refresh_token (session_id);
-- A session goes on in one line, never in two.
create unique index refresh_token_active on refresh_token (session_id) where state = 'active';

-- What access tokens are signed with (ES256).
create table signing_key (
    -- The thumbprint of the public half (RFC 7638).
    kid text primary key,
    -- PKCS #8, PEM. Whoever reads this column can sign in as anyone.
    private_key text not null,
    created_at timestamptz not null default now(),
    -- From then on it is not in the key set: whoever reads the set again takes no token that it signed.
    retired_at timestamptz
);

-- A postal address that a person keeps for the next order; an order copies it.
create table address (
    id uuid primary key,
    user_id uuid not null references "user" (id) on delete cascade,
    postal_address jsonb not null check (jsonb_typeof(postal_address) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index address_user_id on address (user_id, id);
