//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    user (id) {
        id -> Uuid,
        email -> Text,
        name -> Text,
        email_verified_at -> Nullable<Timestamptz>,
        password_hash -> Nullable<Text>,
        locale -> Text,
        roles -> Array<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    role_revision (only_one) {
        only_one -> Bool,
        revision -> BigInt,
    }
}

diesel::table! {
    role (name) {
        name -> Text,
        description -> Text,
        permissions -> Nullable<Array<Text>>,
        built_in -> Bool,
        version -> BigInt,
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
        address -> Nullable<Text>,
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
    attempt (email_hash, purpose, network) {
        email_hash -> Bytea,
        purpose -> Text,
        network -> Text,
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

diesel::table! {
    company (id) {
        id -> Uuid,
        name -> Text,
        legal_name -> Nullable<Text>,
        vat_id -> Nullable<Text>,
        registration_number -> Nullable<Text>,
        eori -> Nullable<Text>,
        email -> Text,
        phone -> Nullable<Text>,
        address -> Jsonb,
        status -> Text,
        status_reason -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    company_configuration (company_id) {
        company_id -> Uuid,
        currency -> Text,
        locale -> Text,
        invoice_email -> Nullable<Text>,
        purchase_order_required -> Bool,
        spending_limit -> Nullable<BigInt>,
        version -> BigInt,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    company_member (company_id, user_id) {
        company_id -> Uuid,
        user_id -> Uuid,
        role -> Text,
        joined_at -> Timestamptz,
    }
}

diesel::table! {
    company_invitation (id) {
        id -> Uuid,
        company_id -> Uuid,
        email -> Text,
        role -> Text,
        invited_by -> Uuid,
        token_hash -> Nullable<Bytea>,
        mails -> Integer,
        next_mail_at -> Timestamptz,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        accepted_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    document_type (id) {
        id -> Uuid,
        name -> Text,
        description -> Nullable<Text>,
        required -> Bool,
        countries -> Array<Text>,
        validity_days -> Nullable<Integer>,
        retired_at -> Nullable<Timestamptz>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    company_document (id) {
        id -> Uuid,
        company_id -> Uuid,
        document_type_id -> Uuid,
        filename -> Text,
        media_type -> Text,
        size -> BigInt,
        sha256 -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        uploaded_by -> Uuid,
        created_at -> Timestamptz,
        reviewed_at -> Nullable<Timestamptz>,
        reviewed_by -> Nullable<Uuid>,
        expires_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    company_document_content (document_id) {
        document_id -> Uuid,
        content -> Bytea,
    }
}

diesel::table! {
    trail_entry (id) {
        id -> Uuid,
        at -> Timestamptz,
        operation -> Text,
        user_id -> Nullable<Uuid>,
        session_id -> Nullable<Uuid>,
        api_key_id -> Nullable<Uuid>,
        roles -> Array<Text>,
        targets -> Jsonb,
        address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        request_id -> Text,
        trace_id -> Text,
    }
}

diesel::table! {
    trail_outcome (entry_id) {
        entry_id -> Uuid,
        at -> Timestamptz,
        status -> SmallInt,
        created -> Nullable<Text>,
        concerns -> Nullable<Uuid>,
    }
}

diesel::table! {
    trail_mention (mentioned, entry_id) {
        mentioned -> Text,
        entry_id -> Uuid,
    }
}

diesel::table! {
    external_identity (id) {
        id -> Uuid,
        user_id -> Uuid,
        issuer -> Text,
        subject -> Text,
        email -> Text,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
    }
}

diesel::table! {
    external_sign_in (browser_hash) {
        browser_hash -> Bytea,
        return_to -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    sign_in_code (hash) {
        hash -> Bytea,
        browser_hash -> Bytea,
        external_identity_id -> Uuid,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    preference (user_id) {
        user_id -> Uuid,
        currency -> Text,
        order_emails -> Bool,
        invoice_emails -> Bool,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(sign_in_code -> external_identity (external_identity_id));
diesel::allow_tables_to_appear_in_same_query!(sign_in_code, external_identity);
diesel::joinable!(company_configuration -> company (company_id));
diesel::joinable!(company_member -> company (company_id));
diesel::joinable!(company_member -> user (user_id));
diesel::joinable!(company_document -> document_type (document_type_id));
diesel::allow_tables_to_appear_in_same_query!(company, company_configuration, company_member, user);
diesel::allow_tables_to_appear_in_same_query!(company_document, document_type);
diesel::allow_tables_to_appear_in_same_query!(session, user);

diesel::define_sql_function! {
    /// Lower case, by the database's rules: what the unique index on e-mail addresses compares.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}
