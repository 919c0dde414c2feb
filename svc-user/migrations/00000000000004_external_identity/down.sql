drop table sign_in_code;
drop table external_sign_in;
drop table external_identity;
update session set end_reason = 'password_reset' where end_reason = 'claimed';
alter table session drop constraint session_end_reason_check;
alter table session add constraint session_end_reason_check check (
    end_reason in ('logout', 'reuse', 'revoked', 'password_change', 'password_reset', 'displaced')
);
-- Whoever has no password sets one by the link of a mail; until then none is right.
update "user" set password_hash = '$argon2id$v=19$m=19456,t=2,p=1$bm8gcGFzc3dvcmQ$bm8gcGFzc3dvcmQgaXMgcmlnaHQgaGVyZSwgbm9uZSE'
where password_hash is null;
alter table "user" alter column password_hash set not null;
