-- What can be bought, and how much of it is left.

-- A shelf of the shop.
create table category (
    id uuid primary key,
    -- Its name in addresses.
    slug text not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 64),
    name text not null check (name <> ''),
    description text not null default ''
);
create index category_name on category (name, id);

-- What customers read about; what they buy is a variant of it.
create table product (
    id uuid primary key,
    name text not null check (name <> ''),
    description text not null default '',
    category_id uuid references category (id),
    -- Such as {"material": "Brass"}.
    attributes jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
    -- Counts the edits: what If-Match compares.
    version bigint not null default 1 check (version > 0),
    -- Set when it was taken out of the catalogue; orders may still refer to it, so the row stays.
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- What lists by name are ordered by: short enough to stand in a cursor.
    sort_name text not null generated always as (lower(left(name, 64))) stored,
    -- Name before description.
    search tsvector not null generated always as
        (setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', description), 'B')) stored
);
create index product_search on product using gin (search);
create index product_sort_name on product (sort_name, id) where deleted_at is null;
create index product_newest on product (id desc) where deleted_at is null;
create index product_category on product (category_id) where deleted_at is null;

-- One thing that can be put into a cart.
create table variant (
    id uuid primary key,
    product_id uuid not null references product (id),
    -- Unique for good, deleted products included: orders, stock and the ledger know a variant by it.
    sku text not null unique check (sku ~ '^[A-Za-z0-9._-]{1,64}$'),
    -- What tells it from its siblings; empty for an only child.
    name text not null default '',
    -- UNTDID 5305.
    tax_category text not null check (tax_category in ('S', 'Z', 'E', 'AE', 'K', 'G', 'O')),
    -- Grams.
    weight_g integer not null check (weight_g >= 0),
    -- Customs: the Harmonized System's six digits and a national tail.
    hs_code text check (hs_code ~ '^[0-9]{6,12}$'),
    -- ISO 3166-1 alpha-2.
    country_of_origin text check (country_of_origin ~ '^[A-Z]{2}$'),
    -- Such as {"finish": "Brass"}.
    options jsonb not null default '{}' check (jsonb_typeof(options) = 'object'),
    position integer not null check (position >= 0)
);
create index variant_product on variant (product_id, position);

-- What one variant costs: net, in minor units, once per currency.
create table price (
    variant_id uuid not null references variant (id),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    amount bigint not null check (amount >= 0),
    primary key (variant_id, currency)
);

-- The lowest price of a product per currency, kept with the prices in the same transaction:
-- lists filter and sort by it.
create table price_from (
    product_id uuid not null references product (id),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    amount bigint not null check (amount >= 0),
    primary key (product_id, currency)
);

-- How much there is. Changed only together with the ledger (`movement`).
create table stock (
    sku text primary key references variant (sku),
    on_hand integer not null default 0 check (on_hand >= 0),
    -- Promised to orders, still on hand.
    reserved integer not null default 0 check (reserved >= 0),
    -- Below this it is time to buy.
    reorder_point integer not null default 0 check (reorder_point >= 0),
    available integer not null generated always as (on_hand - reserved) stored,
    -- Nothing is ever promised twice.
    constraint stock_not_oversold check (available >= 0)
);

create function refuse() returns trigger language plpgsql as
$$ begin raise exception '%: %', tg_table_name, tg_argv[0] using errcode = 'check_violation'; end $$;

-- What an order holds. Its state settles every race: a change of state happens once, under the row's lock.
create table reservation (
    order_id uuid primary key,
    -- held: waits for its order; sold: the customer's; released: given back, for good; expired: its time was up.
    state text not null check (state in ('held', 'sold', 'released', 'expired')),
    expires_at timestamptz not null,
    -- The answer that was given, repeated to whoever asks again. Null when it was released before it was asked for.
    reply jsonb,
    check (reply is not null or state = 'released')
);
create index reservation_expires_at on reservation (expires_at) where state = 'held';
create trigger reservation_moves before update of state on reservation for each row
    when (old.state <> new.state and (old.state, new.state) not in (
        ('held', 'sold'), ('held', 'released'), ('held', 'expired'),
        ('expired', 'sold'), ('expired', 'released'),
        ('sold', 'released')))
    execute function refuse('its state does not change like that');

-- Its lines.
create table reservation_line (
    order_id uuid not null references reservation (order_id),
    sku text not null references stock (sku),
    quantity integer not null check (quantity > 0),
    primary key (order_id, sku)
);
create trigger reservation_line_stays before update or delete or truncate on reservation_line
    execute function refuse('what was promised does not change');

-- The ledger: every change of stock is a row, written with it.
create table movement (
    id bigint generated always as identity primary key,
    sku text not null references stock (sku),
    kind text not null check (kind in ('receipt', 'adjustment', 'reservation', 'release', 'sale', 'return')),
    -- Pieces; only an adjustment may be negative.
    quantity integer not null check (quantity > 0 or (kind = 'adjustment' and quantity <> 0)),
    -- By how much it changed the stock's columns of these names: a level is the sum of its movements.
    on_hand integer not null generated always as (case
        when kind in ('receipt', 'adjustment', 'return') then quantity
        when kind = 'sale' then -quantity
        else 0 end) stored,
    reserved integer not null generated always as (case
        when kind = 'reservation' then quantity
        when kind in ('release', 'sale') then -quantity
        else 0 end) stored,
    -- The order that moved it.
    order_id uuid check ((order_id is not null) = (kind in ('reservation', 'release', 'sale', 'return'))),
    -- Why, for those who count.
    reason text,
    -- The member of staff; null when an order moved it.
    actor uuid,
    created_at timestamptz not null default now()
);
create index movement_sku on movement (sku, id);
-- An order is sold once and brought back once, whatever happens above.
create unique index movement_sold_once on movement (order_id, sku) where kind = 'sale';
create unique index movement_returned_once on movement (order_id, sku) where kind = 'return';
create trigger movement_stays before update or delete or truncate on movement
    execute function refuse('the ledger is only added to');
