drop index user_name_part, user_email_part, user_roles;
drop extension pg_trgm;
drop table role, role_revision;
