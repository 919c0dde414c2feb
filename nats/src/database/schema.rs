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
    relay_state (stream, shard) {
        stream -> Text,
        shard -> SmallInt,
        stream_created -> Timestamptz,
        last_sequence -> BigInt,
        last_event_id -> Uuid,
    }
}

diesel::table! {
    relay_checkpoint (stream, sequence) {
        stream -> Text,
        sequence -> BigInt,
        event_id -> Uuid,
        complete_before -> Timestamptz,
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
    dead_letter (id) {
        id -> Uuid,
        consumer -> Text,
        digest -> Bytea,
        event_id -> Nullable<Uuid>,
        subject -> Text,
        headers -> Jsonb,
        payload -> Bytea,
        state -> Text,
        reason -> Text,
        attempts -> Integer,
        first_at -> Timestamptz,
        last_at -> Timestamptz,
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
