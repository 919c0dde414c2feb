use nats::{
    contracts::user::{GetAddress, Unknown},
    invoke::CallError,
    types::{AddressId, UserId},
};

use super::{ADDRESSES, home, resident};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_gets_the_address_of_its_owner_only() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    let created = ada.post(ADDRESSES, &home()).send().await;
    let address_id: AddressId = created.text("/id").parse().unwrap();
    let address = bed.call(&GetAddress { user_id: ada.user_id(), address_id }).await.expect("the address");
    assert_eq!(serde_json::to_value(&address).unwrap(), home());
    for (user_id, address_id) in [(UserId::new(), address_id), (ada.user_id(), AddressId::new())] {
        let answer = bed.call(&GetAddress { user_id, address_id }).await;
        assert!(matches!(answer, Err(CallError::Refused(Unknown::Unknown))), "{answer:?}");
    }
}
