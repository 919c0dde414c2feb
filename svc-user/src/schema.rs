//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    user (id) {
        id -> Uuid,
        email -> Text,
        name -> Text,
        email_verified_at -> Nullable<Timestamptz>,
        password_hash -> Text,
        locale -> Text,
        roles -> Array<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    session (id) {
        id -> Uuid,
        user_id -> Uuid,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
        user_agent -> Nullable<Text>,
        ended_at -> Nullable<Timestamptz>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    refresh_token (hash) {
        hash -> Bytea,
        session_id -> Uuid,
        state -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        consumed_at -> Nullable<Timestamptz>,
        successor_salt -> Nullable<Bytea>,
    }
}

diesel::table! {
    signing_key (kid) {
        kid -> Text,
        private_key -> Text,
        created_at -> Timestamptz,
        signs_from -> Timestamptz,
        retired_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    attempt (email_hash, purpose) {
        email_hash -> Bytea,
        purpose -> Text,
        attempts -> Integer,
        last_at -> Timestamptz,
        blocked_until -> Timestamptz,
    }
}

diesel::table! {
    mail_token (user_id, purpose) {
        user_id -> Uuid,
        purpose -> Text,
        hash -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    api_key (id) {
        id -> Uuid,
        user_id -> Uuid,
        name -> Text,
        hash -> Bytea,
        scopes -> Array<Text>,
        created_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    address (id) {
        id -> Uuid,
        user_id -> Uuid,
        postal_address -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(api_key -> user (user_id));
diesel::allow_tables_to_appear_in_same_query!(api_key, user);

diesel::define_sql_function! {
    /// Lower case, by the database's rules: what the unique index on e-mail addresses compares.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}
