drop table sandbox_refund, sandbox_charge, transaction, refund, canceled_order, payment;
