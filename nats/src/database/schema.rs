//! The runtime's own tables, as diesel sees them (`migrations/`).

diesel::table! {
    event_log (id) {
        id -> BigInt,
        event_id -> Uuid,
        shard -> SmallInt,
        entity_id -> Text,
        subject -> Text,
        headers -> Jsonb,
        payload -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    outbox_pending (id) {
        id -> BigInt,
        shard -> SmallInt,
        parked_reason -> Nullable<Text>,
    }
}

diesel::table! {
    relay_state (stream) {
        stream -> Text,
        stream_created -> Timestamptz,
        last_sequence -> BigInt,
        last_event_id -> Uuid,
    }
}

diesel::table! {
    inbox (consumer, event_day, event_id) {
        consumer -> Text,
        event_day -> Date,
        event_id -> Uuid,
    }
}

diesel::table! {
    idempotency (principal, operation, key) {
        principal -> Text,
        operation -> Text,
        key -> Text,
        request_hash -> Bytea,
        status -> Nullable<SmallInt>,
        location -> Nullable<Text>,
        body -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(event_log, outbox_pending);
