drop table idempotency, dead_letter, inbox, relay_state, outbox_pending, event_log;
