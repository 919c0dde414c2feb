//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    invoice (id) {
        id -> Uuid,
        user_id -> Uuid,
        order_id -> Nullable<Uuid>,
        seller_key -> Text,
        series -> Text,
        year -> Integer,
        sequence -> Nullable<BigInt>,
        number -> Nullable<Text>,
        #[sql_name = "type"]
        kind -> Text,
        state -> Text,
        issue_date -> Date,
        data -> Jsonb,
        totals -> Jsonb,
        paid_on -> Nullable<Date>,
        created_at -> Timestamptz,
        issued_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    number_series (seller_key, series, year) {
        seller_key -> Text,
        series -> Text,
        year -> Integer,
        next -> BigInt,
    }
}

diesel::table! {
    document (invoice_id, format) {
        invoice_id -> Uuid,
        format -> Text,
        state -> Text,
        object -> Nullable<Text>,
        size -> Nullable<BigInt>,
        sha256 -> Nullable<Text>,
        content_type -> Nullable<Text>,
        error -> Nullable<Text>,
        attempts -> Integer,
        failures -> Integer,
        next_attempt_at -> Nullable<Timestamptz>,
        traceparent -> Text,
        request_id -> Text,
    }
}

diesel::table! {
    document_link (token_sha256) {
        token_sha256 -> Binary,
        invoice_id -> Uuid,
        format -> Text,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    invoice_company (invoice_id) {
        invoice_id -> Uuid,
        company_id -> Uuid,
    }
}

diesel::joinable!(document -> invoice (invoice_id));
diesel::allow_tables_to_appear_in_same_query!(invoice, document, document_link, invoice_company);
