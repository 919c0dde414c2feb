drop table movement, reservation_line, reservation, stock, price_from, price, variant, product, category;
drop function refuse;
