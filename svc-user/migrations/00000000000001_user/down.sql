drop table api_key, mail_token, attempt, address, signing_key, refresh_token, session, "user";
