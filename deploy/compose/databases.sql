-- One role and one database per service; nobody else may connect. For the compose file's PostgreSQL only:
-- passwords of a real installation come from secrets.

create role argosy_user login password 'argosy_user';
create database argosy_user owner argosy_user;
revoke connect on database argosy_user from public;

create role argosy_catalog login password 'argosy_catalog';
create database argosy_catalog owner argosy_catalog;
revoke connect on database argosy_catalog from public;

create role argosy_order login password 'argosy_order';
create database argosy_order owner argosy_order;
revoke connect on database argosy_order from public;

create role argosy_payment login password 'argosy_payment';
create database argosy_payment owner argosy_payment;
revoke connect on database argosy_payment from public;

create role argosy_shipping login password 'argosy_shipping';
create database argosy_shipping owner argosy_shipping;
revoke connect on database argosy_shipping from public;

create role argosy_notify login password 'argosy_notify';
create database argosy_notify owner argosy_notify;
revoke connect on database argosy_notify from public;

create role argosy_invoice login password 'argosy_invoice';
create database argosy_invoice owner argosy_invoice;
revoke connect on database argosy_invoice from public;
