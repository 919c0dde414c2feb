#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// The specification's `valid.yml`, with our prefix.
const VALID: [(&str, &str); 8] = [
    ("ord_00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
    ("ord_00000000000000000000000001", "00000000-0000-0000-0000-000000000001"),
    ("ord_0000000000000000000000000a", "00000000-0000-0000-0000-00000000000a"),
    ("ord_0000000000000000000000000g", "00000000-0000-0000-0000-000000000010"),
    ("ord_00000000000000000000000010", "00000000-0000-0000-0000-000000000020"),
    ("ord_7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ("ord_0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"),
    ("ord_01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"),
];

#[test]
fn specification_vectors() {
    for (typeid, uuid) in VALID {
        let id: OrderId = typeid.parse().unwrap();
        assert_eq!(id.uuid(), uuid.parse::<Uuid>().unwrap(), "{typeid}");
        assert_eq!(id.to_string(), typeid);
    }
}

#[test]
fn refuses_what_the_specification_refuses() {
    for text in [
        "",
        "ord",
        "ord_",
        "01h455vb4pex5vsknk084sn02q",
        "_01h455vb4pex5vsknk084sn02q",
        "pay_01h455vb4pex5vsknk084sn02q",
        "ORD_01h455vb4pex5vsknk084sn02q",
        "ord-01h455vb4pex5vsknk084sn02q",
        "ord_01H455VB4PEX5VSKNK084SN02Q",
        "ord_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "ord_01h455vb4pex5vsknk084sn02",
        "ord_01h455vb4pex5vsknk084sn02qq",
        "ord_01h455vb4pex5vsknk084sn0il",
        "ord_01h455vb4pex5vsknk084sn0u2",
        "ord_01h455vb4pex5vsknk084sn02é",
        " ord_01h455vb4pex5vsknk084sn02q",
    ] {
        assert!(text.parse::<OrderId>().is_err(), "{text}");
    }
}

#[test]
fn tells_when_it_was_made_and_ascends() {
    let id: OrderId = "ord_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    assert_eq!(id.timestamp().to_rfc3339(), "2023-06-30T03:34:18.518+00:00");
    let (first, second) = (UserId::new(), UserId::new());
    assert!(first < second && first.to_string() < second.to_string());
}

#[test]
fn serde_reads_and_refuses() {
    let id = InvoiceId::new();
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(serde_json::from_str::<InvoiceId>(&json).unwrap(), id);
    let error = serde_json::from_str::<RefundId>(&json).unwrap_err().to_string();
    assert!(error.contains("must start with `rfd_`"), "{error}");
}

proptest! {
    #[test]
    fn any_uuid_round_trips(value: u128) {
        let id = OrderId::from_uuid(Uuid::from_u128(value));
        prop_assert_eq!(id.to_string().parse::<OrderId>().unwrap(), id);
    }

    #[test]
    fn any_text_is_an_answer(text in "(ord_)?.{0,40}") {
        if let Ok(id) = text.parse::<OrderId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
