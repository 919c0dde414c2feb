drop table invoice_company;
