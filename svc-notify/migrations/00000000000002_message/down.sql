drop table message, message_sequence;
