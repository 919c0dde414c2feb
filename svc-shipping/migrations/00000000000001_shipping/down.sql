drop table rate, zone_country, zone;
