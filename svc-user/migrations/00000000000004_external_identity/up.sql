-- People who sign in with an account that they have elsewhere (OpenID Connect).

-- Null for a person who has never set one: they sign in by an external identity.
alter table "user" alter column password_hash drop not null;

alter table session drop constraint session_end_reason_check;
-- `claimed`: by whom the e-mail address of the account belongs to, after somebody else had registered with it.
alter table session add constraint session_end_reason_check check (
    end_reason in ('logout', 'reuse', 'revoked', 'password_change', 'password_reset', 'displaced', 'claimed')
);

-- Whom another provider knows as whom. It names people by issuer and subject, never by address: addresses change hands.
create table external_identity (
    id uuid primary key,
    user_id uuid not null references "user" (id) on delete cascade,
    -- OpenID Connect Core, 2: an URL, and up to 255 ASCII characters.
    issuer text not null check (length(issuer) between 1 and 255),
    subject text not null check (length(subject) between 1 and 255),
    -- What the provider called their address when they last signed in, for them to tell their identities apart.
    email text not null check (length(email) <= 254),
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    unique (issuer, subject)
);
create index external_identity_user_id on external_identity (user_id, id);

-- A browser that was sent to the provider and is not back yet. It can come back once.
create table external_sign_in (
    -- Of the secret that the browser keeps in a cookie; what the request to the provider was made of can only be made of that.
    browser_hash bytea primary key check (octet_length(browser_hash) = 32),
    -- Where in the shop the person wanted to go: a path.
    return_to text not null check (return_to like '/%' and length(return_to) <= 512),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index external_sign_in_expires_at on external_sign_in (expires_at);

-- The right of a browser that is back to open a session, once.
create table sign_in_code (
    -- SHA-256 of the code.
    hash bytea primary key check (octet_length(hash) = 32),
    -- Whose it is: without the browser's secret the code is of no use.
    browser_hash bytea not null check (octet_length(browser_hash) = 32),
    -- An identity that is taken away takes its codes along.
    external_identity_id uuid not null references external_identity (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index sign_in_code_expires_at on sign_in_code (expires_at);
create index sign_in_code_external_identity_id on sign_in_code (external_identity_id);
