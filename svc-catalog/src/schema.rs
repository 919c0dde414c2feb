//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    category (id) {
        id -> Uuid,
        slug -> Text,
        name -> Text,
        description -> Text,
    }
}

// Without the generated column `search`, which only stands in conditions.
diesel::table! {
    product (id) {
        id -> Uuid,
        name -> Text,
        description -> Text,
        category_id -> Nullable<Uuid>,
        version -> BigInt,
        deleted_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        sort_name -> Text,
        attributes -> Jsonb,
    }
}

diesel::table! {
    variant (id) {
        id -> Uuid,
        product_id -> Uuid,
        sku -> Text,
        name -> Text,
        tax_category -> Text,
        weight_g -> Integer,
        hs_code -> Nullable<Text>,
        country_of_origin -> Nullable<Text>,
        options -> Jsonb,
        position -> Integer,
    }
}

diesel::table! {
    price (variant_id, currency) {
        variant_id -> Uuid,
        currency -> Text,
        amount -> BigInt,
    }
}

diesel::table! {
    price_from (product_id, currency) {
        product_id -> Uuid,
        currency -> Text,
        amount -> BigInt,
    }
}

diesel::table! {
    stock (sku) {
        sku -> Text,
        on_hand -> Integer,
        reserved -> Integer,
        reorder_point -> Integer,
        available -> Integer,
    }
}

diesel::table! {
    reservation (order_id) {
        order_id -> Uuid,
        state -> Text,
        expires_at -> Timestamptz,
        reply -> Nullable<Jsonb>,
    }
}

diesel::table! {
    reservation_line (order_id, sku) {
        order_id -> Uuid,
        sku -> Text,
        quantity -> Integer,
    }
}

// Without the generated columns `on_hand` and `reserved`, which only stand in sums.
diesel::table! {
    movement (id) {
        id -> BigInt,
        sku -> Text,
        kind -> Text,
        quantity -> Integer,
        order_id -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        actor -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::joinable!(product -> category (category_id));
diesel::joinable!(variant -> product (product_id));
diesel::joinable!(price -> variant (variant_id));
diesel::joinable!(reservation_line -> reservation (order_id));
diesel::allow_tables_to_appear_in_same_query!(category, product, variant, price, price_from, stock);
diesel::allow_tables_to_appear_in_same_query!(reservation, reservation_line);
