-- Where we ship to, and what it costs.

-- A zone is a set of countries that share their rates.
create table zone (
    id text primary key,
    name text not null
);

-- A country belongs to one zone at most; a country in none is not shipped to.
create table zone_country (
    country text primary key check (country ~ '^[A-Z]{2}$'),
    zone_id text not null references zone (id)
);

-- A flat net price for everything up to a weight.
create table rate (
    zone_id text not null references zone (id),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- Grams, inclusive.
    up_to_weight_g bigint not null check (up_to_weight_g > 0),
    service_level text not null,
    -- Minor units, net.
    amount bigint not null check (amount >= 0),
    primary key (zone_id, currency, up_to_weight_g)
);

insert into zone (id, name) values
    ('domestic', 'Germany'),
    ('eu', 'European Union'),
    ('europe', 'Europe outside of the EU'),
    ('world', 'Rest of the world');

insert into zone_country (country, zone_id) values ('DE', 'domestic');
insert into zone_country (country, zone_id)
select country, 'eu' from unnest(string_to_array(
    'AT BE BG CY CZ DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK', ' ')) as country;
insert into zone_country (country, zone_id)
select country, 'europe' from unnest(string_to_array('CH GB IS LI NO', ' ')) as country;
insert into zone_country (country, zone_id)
select country, 'world' from unnest(string_to_array('AU CA JP KR NZ SG US', ' ')) as country;

insert into rate (zone_id, currency, up_to_weight_g, service_level, amount) values
    ('domestic', 'EUR', 5000, 'Parcel', 490),
    ('domestic', 'EUR', 31500, 'Parcel', 990),
    ('domestic', 'EUR', 1000000, 'Freight', 6900),
    ('eu', 'EUR', 5000, 'Parcel', 1290),
    ('eu', 'EUR', 31500, 'Parcel', 2490),
    ('eu', 'EUR', 1000000, 'Freight', 14900),
    ('europe', 'EUR', 5000, 'Parcel international', 1990),
    ('europe', 'EUR', 31500, 'Parcel international', 3990),
    ('europe', 'EUR', 1000000, 'Freight international', 24900),
    ('world', 'EUR', 5000, 'Parcel international', 3490),
    ('world', 'EUR', 31500, 'Parcel international', 8900),
    ('world', 'EUR', 1000000, 'Freight international', 49900);
