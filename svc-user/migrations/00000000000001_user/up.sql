-- Who people are, how they sign in, and where they live.

-- A person who registered.
create table "user" (
    id uuid primary key,
    -- As the person wrote it, its domain in lower case.
    email text not null check (length(email) <= 254 and position('@' in email) > 1),
    name text not null check (char_length(name) between 1 and 200),
    -- When a link that was sent there came back; null until then.
    email_verified_at timestamptz,
    -- Argon2id in PHC form: the parameters stand in it, so they can rise later.
    password_hash text not null check (password_hash like '$argon2id$%'),
    -- BCP 47.
    locale text not null default 'en',
    -- Each is the name of one.
    roles text[] not null default '{customer}' check (
        cardinality(roles) between 1 and 16 and array_position(roles, null) is null
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
    -- What signed in, as it says of itself (`User-Agent`).
    user_agent text check (char_length(user_agent) between 1 and 200),
    -- The network that it was opened from: an IPv4 address, or a /64 of IPv6.
    address text check (length(address) between 1 and 45),
    ended_at timestamptz,
    -- `reuse`: a refresh token came again, so somebody else may hold it. `revoked`: from another session of the same person.
    -- `displaced`: by newer ones, of which there may be only so many.
    end_reason text check (end_reason in ('logout', 'reuse', 'revoked', 'password_change', 'password_reset', 'displaced')),
    check ((ended_at is null) = (end_reason is null))
);
create index session_user_id on session (user_id, id);
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
    -- With it and the token itself, which is not kept, the token's successor can be computed once more, for a client that did
    -- not get it. Gone as soon as the successor is consumed.
    successor_salt bytea check (octet_length(successor_salt) = 32),
    check ((state = 'consumed') = (consumed_at is not null)),
    check (state = 'consumed' or successor_salt is null)
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
    -- From then on tokens are signed with it, until the next one's time has come. It is in the key set before.
    signs_from timestamptz not null default now(),
    -- From then on it is not in the key set: whoever reads the set again takes no token that it signed.
    retired_at timestamptz,
    check (retired_at >= signs_from)
);

-- Attempts of late: how long the next one has to wait. By e-mail address, whether it is somebody's or nobody's, or by network,
-- or by both.
create table attempt (
    -- SHA-256 of the address in lower case: what was typed by mistake is not kept. Empty when a network is counted as a whole.
    email_hash bytea not null check (octet_length(email_hash) in (0, 32)),
    -- `sign_in…` and `password_change` count what failed, the others each mail that was asked for.
    purpose text not null check (purpose in ('sign_in', 'sign_in_everywhere', 'sign_in_network', 'password_change',
                                             'password_reset', 'email_verification')),
    -- An IPv4 address, or a /64 of IPv6; empty where it does not matter.
    network text not null default '' check (length(network) <= 45),
    attempts integer not null check (attempts > 0),
    last_at timestamptz not null default now(),
    -- Until then no attempt counts.
    blocked_until timestamptz not null,
    primary key (email_hash, purpose, network),
    check ((octet_length(email_hash) = 0) = (purpose = 'sign_in_network'))
);
create index attempt_last_at on attempt (last_at);

-- The right to do something once, for whoever reads a person's mail. A new one takes the place of the one before.
create table mail_token (
    user_id uuid not null references "user" (id) on delete cascade,
    purpose text not null check (purpose in ('password_reset', 'email_verification')),
    -- SHA-256 of the token.
    hash bytea not null unique check (octet_length(hash) = 32),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (user_id, purpose)
);
create index mail_token_expires_at on mail_token (expires_at);

-- What a person's programs sign in with.
create table api_key (
    id uuid primary key,
    user_id uuid not null references "user" (id) on delete cascade,
    name text not null check (char_length(name) between 1 and 100),
    -- SHA-256 of the whole key, its beginning included.
    hash bytea not null unique check (octet_length(hash) = 32),
    -- What it is for, such as `catalog:write`.
    scopes text[] not null check (cardinality(scopes) between 1 and 32 and array_position(scopes, null) is null),
    created_at timestamptz not null default now(),
    -- To the minute.
    last_used_at timestamptz,
    expires_at timestamptz not null
);
create index api_key_user_id on api_key (user_id, id);
create index api_key_expires_at on api_key (expires_at);

-- A postal address that a person keeps for the next order; an order copies it.
create table address (
    id uuid primary key,
    user_id uuid not null references "user" (id) on delete cascade,
    postal_address jsonb not null check (jsonb_typeof(postal_address) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index address_user_id on address (user_id, id);
