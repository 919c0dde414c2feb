-- Companies: who they are, who may do what there, and the documents that show it.

create table company (
    id uuid primary key,
    name text not null check (char_length(name) between 1 and 200),
    -- As it stands in the register; null when that is `name`.
    legal_name text check (char_length(legal_name) between 1 and 200),
    vat_id text check (vat_id ~ '^[A-Z]{2}[0-9A-Z+*]{2,15}$'),
    -- Its entry in the commercial register.
    registration_number text check (char_length(registration_number) between 1 and 100),
    -- For customs.
    eori text check (eori ~ '^[A-Z]{2}[0-9A-Z]{1,15}$'),
    email text not null check (length(email) <= 254 and position('@' in email) > 1),
    phone text check (char_length(phone) between 1 and 32),
    address jsonb not null check (jsonb_typeof(address) = 'object'),
    -- Only an active company orders. Staff moves it, and a change of what staff looked at takes it back to `pending`.
    status text not null default 'pending' check (status in ('pending', 'active', 'rejected', 'suspended')),
    -- Why it was rejected or suspended, for its members.
    status_reason text check (char_length(status_reason) between 1 and 500),
    -- Counts the changes: the ETag.
    version bigint not null default 1 check (version > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((status in ('rejected', 'suspended')) = (status_reason is not null))
);
create index company_status on company (status, id desc);
-- What staff searches by: how a name begins, or the whole identifier.
create index company_name on company (lower(name) text_pattern_ops);
create index company_legal_name on company (lower(legal_name) text_pattern_ops) where legal_name is not null;
create index company_vat_id on company (vat_id) where vat_id is not null;

-- How it orders. Apart from `company`: its members change it as they like, and staff need not look at it again.
create table company_configuration (
    company_id uuid primary key references company (id) on delete cascade,
    -- What it orders in.
    currency text not null default 'EUR' check (currency ~ '^[A-Z]{3}$'),
    -- What its invoices are written in (BCP 47).
    locale text not null default 'en',
    -- Where they go; null when that is the company's address.
    invoice_email text check (length(invoice_email) <= 254 and position('@' in invoice_email) > 1),
    -- Whether each order needs a number of the company's own books.
    purchase_order_required boolean not null default false,
    -- What one order of a buyer may come to, taxes included, in minor units of `currency`; null without limit.
    spending_limit bigint check (spending_limit > 0),
    version bigint not null default 1 check (version > 0),
    updated_at timestamptz not null default now()
);

-- Who may do what in a company. Whoever changes the rows of one company holds the lock of its row.
create table company_member (
    company_id uuid not null references company (id) on delete cascade,
    user_id uuid not null references "user" (id),
    role text not null check (role in ('viewer', 'buyer', 'admin', 'owner')),
    joined_at timestamptz not null default now(),
    primary key (company_id, user_id)
);
create index company_member_user_id on company_member (user_id, company_id);

-- Somebody who is to become a member, as soon as whoever reads mail at that address says so.
create table company_invitation (
    id uuid primary key,
    company_id uuid not null references company (id) on delete cascade,
    email text not null check (length(email) <= 254 and position('@' in email) > 1),
    role text not null check (role in ('viewer', 'buyer', 'admin', 'owner')),
    invited_by uuid not null references "user" (id),
    -- SHA-256 of the token of the last mail; null until one is written.
    token_hash bytea unique check (octet_length(token_hash) = 32),
    -- How many mails were asked for.
    mails integer not null default 1 check (mails > 0),
    -- Until then no further one can be.
    next_mail_at timestamptz not null default now() + interval '1 minute',
    created_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '7 days',
    -- When it was accepted or revoked; either way it is over.
    accepted_at timestamptz,
    revoked_at timestamptz,
    check (accepted_at is null or revoked_at is null)
);
create index company_invitation_company_id on company_invitation (company_id, id desc);
-- One open invitation of a company for each address, in whatever case.
create unique index company_invitation_open on company_invitation (company_id, lower(email))
    where accepted_at is null and revoked_at is null;
-- How often an address was invited of late, by whomever.
create index company_invitation_email on company_invitation (lower(email), created_at);
create index company_invitation_expires_at on company_invitation (expires_at);

-- What companies have to show, as staff decides.
create table document_type (
    id uuid primary key,
    name text not null check (char_length(name) between 1 and 100),
    description text check (char_length(description) between 1 and 500),
    -- Whether a company can only be approved with one that was accepted.
    required boolean not null,
    -- For companies in these countries (ISO 3166-1); empty for all.
    countries text[] not null default '{}' check (cardinality(countries) <= 250 and array_position(countries, null) is null),
    -- For how many days a document of this type is good once it was accepted; null for ever.
    validity_days integer check (validity_days between 1 and 3660),
    -- Since when none is asked for any more; what there is stays.
    retired_at timestamptz,
    version bigint not null default 1 check (version > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index document_type_name on document_type (lower(name)) where retired_at is null;

-- A document of a company, for staff to look at.
create table company_document (
    id uuid primary key,
    company_id uuid not null references company (id) on delete cascade,
    document_type_id uuid not null references document_type (id),
    -- What its owner calls it; never a path.
    filename text not null check (char_length(filename) between 1 and 200),
    media_type text not null check (media_type in ('application/pdf', 'image/png', 'image/jpeg')),
    size bigint not null check (size > 0),
    -- Of the content, in hexadecimal.
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    state text not null default 'submitted' check (state in ('submitted', 'accepted', 'rejected')),
    -- Why it was rejected, for the company.
    reason text check (char_length(reason) between 1 and 500),
    uploaded_by uuid not null references "user" (id),
    created_at timestamptz not null default now(),
    reviewed_at timestamptz,
    -- By whom of the staff. No reference: what they decided stays when their account goes.
    reviewed_by uuid,
    -- From then on it does not count any more.
    expires_at timestamptz,
    check ((state = 'rejected') = (reason is not null)),
    check ((state = 'submitted') = (reviewed_at is null)),
    check ((reviewed_at is null) = (reviewed_by is null)),
    check (expires_at is null or state = 'accepted')
);
create index company_document_company_id on company_document (company_id, id desc);
create index company_document_type_id on company_document (document_type_id);

-- The document itself. The object store only has copies, for downloads; a table of its own, so that lists do not read it.
create table company_document_content (
    document_id uuid primary key references company_document (id) on delete cascade,
    content bytea not null
);
