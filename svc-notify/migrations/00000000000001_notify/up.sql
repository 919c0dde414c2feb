-- What we tell people, and whether it reached the mail server: the delivery log and the sender's work list in one.

create table notification (
    id uuid primary key,
    -- To whom, when it is someone with an account: who may see it.
    user_id uuid,
    channel text not null check (channel in ('email')),
    -- What it is about: the template's name.
    template text not null,
    subject text not null check (subject !~ '[[:cntrl:]]'),
    -- The event that it tells of: one event leads to one mail of a template.
    event_id uuid not null,
    -- The order that it is about, when it is about one.
    order_id uuid,
    -- `suppressed`: the person does not want such mail, so there is none.
    state text not null default 'queued' check (state in ('queued', 'sending', 'sent', 'failed', 'suppressed')),
    attempts integer not null default 0 check (attempts >= 0),
    -- When a sender looks after it next; while one sends it, until when it has it for itself.
    next_try_at timestamptz default now(),
    -- After this it is failed instead of tried again.
    give_up_at timestamptz not null default now() + interval '1 day',
    -- Why the last attempt failed, without addresses.
    last_error text,
    -- The trace of what it tells of.
    traceparent text not null,
    request_id text not null,
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    unique (event_id, template),
    check ((state in ('queued', 'sending')) = (next_try_at is not null)),
    check ((state = 'sent') = (sent_at is not null))
);
-- The mail of a notification by e-mail, rendered when the event came, so that a retry sends what was meant then.
-- A table of its own: the work list above stays narrow, and no list shows an address or a body by accident.
-- Deleted a day after it was sent, or thirty days after it failed: it has addresses, and links that need no sign-in.
create table mail (
    notification_id uuid primary key references notification (id) on delete cascade,
    recipient text not null,
    locale text not null,
    html text not null,
    text text not null
);

-- What each order's customer was told.
create index notification_order on notification (order_id) where order_id is not null;
create index notification_due on notification (next_try_at) where state in ('queued', 'sending');
create index notification_user on notification (user_id, id desc);
create index notification_state on notification (state, id desc);
