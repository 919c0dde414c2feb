//! The public keys, for whoever verifies our tokens.

use nats::{contracts::user::JsonWebKeySet, http::Body, problem::Problem};
use poem::web::Data;
use poem_openapi::{OpenApi, Tags, payload::Response};

use crate::Users;

#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    Authentication,
}

/// The endpoint of the key set.
pub struct SigningKeyApi;

#[OpenApi(tag = "Tag::Authentication")]
impl SigningKeyApi {
    /// Read the keys that tokens are verified with
    ///
    /// A JSON Web Key Set (RFC 7517). A token's `kid` names its key; a new key is here before any token names it.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "get_signing_keys")]
    async fn get_signing_keys(&self, Data(users): Data<&Users>) -> Result<Response<Body<JsonWebKeySet>>, Problem> {
        let keys = super::key_set(users).await?;
        Ok(Response::new(Body(keys)).header("Cache-Control", "public, max-age=300"))
    }
}
