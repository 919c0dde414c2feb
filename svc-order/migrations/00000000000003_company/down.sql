drop table order_company;
