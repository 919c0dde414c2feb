drop view reconciliation_difference;
drop table statement, statement_line, webhook, transaction, refund, canceled_order, payment;
drop function ledger_adds_up, ledger_only_grows, refund_fits;
