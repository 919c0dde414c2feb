//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    notification (id) {
        id -> Uuid,
        user_id -> Nullable<Uuid>,
        channel -> Text,
        template -> Text,
        subject -> Text,
        event_id -> Uuid,
        order_id -> Nullable<Uuid>,
        state -> Text,
        attempts -> Integer,
        next_try_at -> Nullable<Timestamptz>,
        give_up_at -> Timestamptz,
        last_error -> Nullable<Text>,
        traceparent -> Text,
        request_id -> Text,
        created_at -> Timestamptz,
        sent_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    mail (notification_id) {
        notification_id -> Uuid,
        recipient -> Text,
        locale -> Text,
        html -> Text,
        text -> Text,
    }
}

diesel::table! {
    message (user_id, sequence) {
        user_id -> Uuid,
        sequence -> BigInt,
        id -> Uuid,
        event_id -> Uuid,
        kind -> Text,
        about -> Jsonb,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    message_sequence (user_id) {
        user_id -> Uuid,
        last -> BigInt,
    }
}

diesel::joinable!(mail -> notification (notification_id));
diesel::allow_tables_to_appear_in_same_query!(mail, notification);
