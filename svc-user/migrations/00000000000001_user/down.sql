drop table address, signing_key, refresh_token, session, "user";
