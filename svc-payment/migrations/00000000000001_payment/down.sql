drop table sandbox_charge, transaction, payment;
