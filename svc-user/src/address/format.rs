//! How addresses of a country are written: public, for whoever asks people for one.

use nats::{
    http::Body,
    problem::Problem,
    types::{CountryCode, postal::AddressFormat},
};
use poem_openapi::{OpenApi, Tags, param::Path, payload::Response};

/// How long browsers and caches may keep a format: the rules change with a new version only.
const CACHED: &str = "public, max-age=86400";

#[derive(Tags)]
enum Tag {
    /// Where people live.
    Addresses,
}

/// The endpoint of address formats.
pub struct AddressFormatApi;

#[OpenApi(prefix_path = "/v1/countries", tag = "Tag::Addresses")]
impl AddressFormatApi {
    /// Read how addresses of a country are written
    ///
    /// Which parts an address has there and which it needs, what postal codes look like, which regions there are. Addresses
    /// that are sent to us have to be like that.
    #[oai(path = "/:code/address-format", method = "get", operation_id = "get_address_format")]
    async fn get_address_format(&self, code: Path<CountryCode>) -> Result<Response<Body<AddressFormat>>, Problem> {
        Ok(Response::new(Body(AddressFormat::of(code.0))).header("Cache-Control", CACHED))
    }
}
