drop view reconciliation_difference, known_operation;
drop table statement, statement_line, webhook, surplus, transaction, refund, canceled_order, payment;
drop function ledger_adds_up, ledger_only_grows, refund_fits;
