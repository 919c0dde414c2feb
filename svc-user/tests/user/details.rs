use nats::{
    contracts::user::{GetUserDetails, Preferences, Unknown, UserDetails},
    invoke::CallError,
    types::{Locale, UserId},
};

use crate::{register, start, user_of};

#[tokio::test(flavor = "multi_thread")]
async fn other_services_learn_how_to_write_to_somebody() {
    let (bed, _running) = start().await;
    let user_id = user_of(&register(&bed, "ada@example.com").await);
    let details = bed.call(&GetUserDetails { user_id }).await.expect("details");
    let (email, name) = ("ada@example.com".parse().unwrap(), "Ada Lovelace".to_owned());
    assert_eq!(
        details,
        UserDetails { user_id, email, name, locale: Locale::default(), preferences: Preferences::default() }
    );
    let unknown = bed.call(&GetUserDetails { user_id: UserId::new() }).await;
    assert!(matches!(unknown, Err(CallError::Refused(Unknown::Unknown))), "{unknown:?}");
}
