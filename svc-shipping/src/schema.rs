//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    zone (id) {
        id -> Text,
        name -> Text,
    }
}

diesel::table! {
    zone_country (country) {
        country -> Text,
        zone_id -> Text,
    }
}

diesel::table! {
    rate (zone_id, currency, up_to_weight_g) {
        zone_id -> Text,
        currency -> Text,
        up_to_weight_g -> BigInt,
        service_level -> Text,
        amount -> BigInt,
    }
}

diesel::joinable!(zone_country -> zone (zone_id));
diesel::joinable!(rate -> zone (zone_id));
diesel::allow_tables_to_appear_in_same_query!(zone, zone_country, rate);
