mod create;
mod details;
mod edit;
mod format;

use serde_json::{Value, json};
use stack::{Bed, bed::Client};

use crate::{register, user_of};

/// A client of somebody who registered.
async fn resident(bed: &Bed, email: &str) -> Client {
    bed.customer_with_id(user_of(&register(bed, email).await))
}

fn home() -> Value {
    json!({"name": "Ada Lovelace", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457", "country": "DE"})
}

const ADDRESSES: &str = "/v1/users/me/addresses";
/// An id that nothing has.
const NOWHERE: &str = "/v1/users/me/addresses/adr_01h455vb4pex5vsknk084sn02q";
