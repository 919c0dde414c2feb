//! A JSON body together with its bytes.

use nats::{
    http::{Body, LARGEST_BODY},
    problem::{Code, Problem},
};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaRequest, Registry},
    types::Type,
};
use serde::de::DeserializeOwned;

/// What [`Body`] reads, and the bytes that it was read from.
pub(crate) struct Raw<T> {
    /// The body as it was sent, byte for byte.
    pub(crate) bytes: Vec<u8>,
    /// What it says.
    pub(crate) value: T,
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for Raw<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Body<T> as ApiExtractor>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        <Body<T> as ApiExtractor>::request_meta()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes_limit(LARGEST_BODY).await.map_err(|_too_long_or_broken_off| {
            Problem::new(Code::PayloadTooLarge, format!("An invoice may have at most {LARGEST_BODY} bytes of JSON."))
        })?;
        let mut again = RequestBody::new(poem::Body::from_bytes(bytes.clone()));
        let Body(value) = Body::<T>::from_request(request, &mut again, options).await?;
        Ok(Self { bytes: bytes.into(), value })
    }
}
