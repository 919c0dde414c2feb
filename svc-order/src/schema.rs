//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    cart (id) {
        id -> Uuid,
        user_id -> Nullable<Uuid>,
        token_hash -> Nullable<Bytea>,
        version -> BigInt,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    cart_item (cart_id, sku) {
        cart_id -> Uuid,
        sku -> Text,
        quantity -> Integer,
        added_at -> Timestamptz,
    }
}

diesel::table! {
    orders (id) {
        id -> Uuid,
        number -> Text,
        user_id -> Uuid,
        status -> Text,
        payment_status -> Text,
        fulfillment_status -> Text,
        cancel_reason -> Nullable<Text>,
        payment_id -> Nullable<Uuid>,
        currency -> Text,
        subtotal -> BigInt,
        shipping_price -> BigInt,
        tax_total -> BigInt,
        total -> BigInt,
        refunded -> BigInt,
        placed_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    order_terms (order_id) {
        order_id -> Uuid,
        email -> Text,
        payment_method -> Text,
        shipping_address -> Jsonb,
        shipping_service_level -> Text,
        shipping_tax_category -> Text,
        shipping_tax_rate -> Text,
        tax -> Jsonb,
    }
}

diesel::table! {
    order_company (order_id) {
        order_id -> Uuid,
        company_id -> Uuid,
        purchase_order_number -> Nullable<Text>,
        buyer -> Jsonb,
    }
}

diesel::table! {
    order_line (order_id, position) {
        order_id -> Uuid,
        position -> Integer,
        sku -> Text,
        product_id -> Uuid,
        name -> Text,
        quantity -> Integer,
        unit_price -> BigInt,
        tax_category -> Text,
        tax_rate -> Text,
        net -> BigInt,
    }
}

diesel::table! {
    order_history (id) {
        id -> BigInt,
        order_id -> Uuid,
        at -> Timestamptz,
        change -> Text,
        status -> Text,
        payment_status -> Text,
        fulfillment_status -> Text,
        why -> Text,
        actor -> Text,
        user_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    order_refund (refund_id) {
        refund_id -> Uuid,
        order_id -> Uuid,
        payment_id -> Uuid,
        amount -> BigInt,
        state -> Text,
        noted_at -> Timestamptz,
    }
}

diesel::joinable!(cart_item -> cart (cart_id));
diesel::joinable!(order_terms -> orders (order_id));
diesel::joinable!(order_company -> orders (order_id));
diesel::joinable!(order_line -> orders (order_id));
diesel::joinable!(order_history -> orders (order_id));
diesel::joinable!(order_refund -> orders (order_id));
diesel::allow_tables_to_appear_in_same_query!(
    cart,
    cart_item,
    orders,
    order_terms,
    order_company,
    order_line,
    order_history,
    order_refund
);
