//! A file as the body of a request: what it says it is must be what it is.

use nats::{
    http::LARGEST_BODY,
    problem::{Code, Problem},
};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};

/// The kinds of file that are taken, and how each begins.
const KINDS: [(&str, &[u8]); 3] =
    [("application/pdf", b"%PDF-"), ("image/png", b"\x89PNG\r\n\x1a\n"), ("image/jpeg", b"\xff\xd8\xff")];

/// A PDF, PNG or JPEG.
pub(crate) struct File {
    /// What it is, by how it begins.
    pub(crate) media_type: &'static str,
    pub(crate) content: Vec<u8>,
}

impl File {
    /// The file that says of itself that it is `declared`.
    fn of(declared: &str, content: Vec<u8>) -> Result<Self, Problem> {
        let kinds = KINDS.map(|(kind, _)| kind).join(", ");
        let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let Some((kind, beginning)) = KINDS.into_iter().find(|(kind, _)| *kind == essence) else {
            let detail = format!("Send the file itself as the body, with its `Content-Type`: {kinds}.");
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        };
        if content.is_empty() {
            return Err(Problem::new(Code::MalformedRequest, "The request needs a file as its body and has none."));
        }
        if !content.starts_with(beginning) {
            let detail = format!("The file is no {kind}, as its `Content-Type` says; taken are {kinds}.");
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        Ok(Self { media_type: kind, content })
    }
}

impl<'a> ApiExtractor<'a> for File {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let binary = || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let content = KINDS.map(|(content_type, _)| MetaMediaType { content_type, schema: binary() }).into();
        Some(MetaRequest { description: Some("The file itself"), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes_limit(LARGEST_BODY).await.map_err(|_too_long_or_broken_off| {
            Problem::new(Code::PayloadTooLarge, format!("A document may have at most {LARGEST_BODY} bytes."))
        })?;
        Ok(Self::of(request.content_type().unwrap_or_default(), bytes.into())?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_says() {
        for (declared, content, code) in [
            ("application/pdf", b"%PDF-1.7\n".as_slice(), None),
            ("Application/PDF; name=x", b"%PDF-1.7\n", None),
            ("image/png", b"\x89PNG\r\n\x1a\n....", None),
            ("image/jpeg", b"\xff\xd8\xff\xe0....", None),
            ("image/jpeg", b"%PDF-1.7\n", Some(Code::UnsupportedMediaType)),
            ("application/pdf", b"<script>", Some(Code::UnsupportedMediaType)),
            ("application/pdf", b"", Some(Code::MalformedRequest)),
            ("text/html", b"<p>", Some(Code::UnsupportedMediaType)),
            ("", b"%PDF-1.7\n", Some(Code::UnsupportedMediaType)),
        ] {
            let read = File::of(declared, content.to_vec());
            assert_eq!(read.map(|file| file.content.len()).map_err(|problem| problem.code()).err(), code, "{declared}");
        }
    }
}
