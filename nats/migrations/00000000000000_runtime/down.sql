drop table idempotency, inbox, relay_state, outbox_pending, event_log;
