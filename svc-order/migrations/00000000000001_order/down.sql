drop table order_history, order_line, order_terms, orders, cart_item, cart;
drop sequence order_number;
