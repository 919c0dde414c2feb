//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    payment (id) {
        id -> Uuid,
        order_id -> Uuid,
        user_id -> Uuid,
        amount -> BigInt,
        currency -> Text,
        method -> Text,
        status -> Text,
        tries -> Integer,
        provider_reference -> Nullable<Text>,
        decline_reason -> Nullable<Text>,
        next_try_at -> Nullable<Timestamptz>,
        traceparent -> Text,
        request_id -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    canceled_order (order_id) {
        order_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    refund (id) {
        id -> Uuid,
        payment_id -> Uuid,
        amount -> BigInt,
        key -> Text,
        reason -> Nullable<Text>,
        requested_by -> Nullable<Uuid>,
        status -> Text,
        tries -> Integer,
        provider_reference -> Nullable<Text>,
        failure -> Nullable<Text>,
        next_try_at -> Nullable<Timestamptz>,
        traceparent -> Text,
        request_id -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    transaction (id) {
        id -> BigInt,
        payment_id -> Uuid,
        kind -> Text,
        amount -> BigInt,
        provider_reference -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    surplus (reference) {
        reference -> Text,
        payment_id -> Uuid,
        charge -> Text,
        amount -> BigInt,
        currency -> Text,
        refund_key -> Text,
        state -> Text,
        refund_reference -> Nullable<Text>,
        failure -> Nullable<Text>,
        tries -> Integer,
        next_try_at -> Nullable<Timestamptz>,
        traceparent -> Text,
        request_id -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    webhook (id) {
        id -> Text,
        kind -> Text,
        payment -> Text,
        operation -> Text,
        tries -> Integer,
        next_try_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    statement_line (reference) {
        reference -> Text,
        sequence -> BigInt,
        payment -> Text,
        kind -> Text,
        amount -> BigInt,
        refusal -> Nullable<Text>,
        matched -> Bool,
        problem -> Nullable<Text>,
        imported_at -> Timestamptz,
    }
}

diesel::table! {
    statement (only_one) {
        only_one -> Bool,
        sequence -> BigInt,
        complete_until -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(transaction -> payment (payment_id));
diesel::allow_tables_to_appear_in_same_query!(payment, transaction);
