//! The interactive reference, the document itself, and a page per problem code. Works without any other host.

use std::fmt::Write as _;

use bytes::Bytes;
use nats::problem::{Code, Problem};
use poem::{
    Endpoint, IntoResponse, Request, Response, handler,
    http::{HeaderValue, header},
    web::{Html, Path, Redirect},
};
use poem_openapi::OpenApiService;
use tokio::sync::OnceCell;

use crate::{
    OPENAPI,
    compress::{self, Coding},
};

/// How long browsers may keep a page: a new build may change it.
const CACHED: &str = "public, max-age=60";

/// Scripts and styles of the pages are inline; nothing else is loaded.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; frame-ancestors 'none'";

/// `GET /`: people are led to the reference.
pub(crate) fn home() -> Response {
    Redirect::see_other("/docs").into_response()
}

/// A large page that never changes. Each form is compressed once, when somebody first asks for it.
pub struct Page {
    kind: &'static str,
    policy: Option<&'static str>,
    plain: Bytes,
    coded: [OnceCell<Bytes>; Coding::ALL.len()],
}

impl Page {
    /// `GET /openapi.json`
    pub fn document() -> Self {
        Self::new("application/json", None, OPENAPI)
    }

    /// `GET /docs`: Swagger UI, its assets and the document in one page.
    pub fn reference() -> Self {
        // poem-openapi brings the assets, but takes the document from a service of its own: an empty one, exchanged here.
        let empty = OpenApiService::new((), "Argosy", env!("CARGO_PKG_VERSION"));
        let page = empty.swagger_ui_html().replacen(&empty.spec(), &OPENAPI.replace("</", "<\\/"), 1);
        let page = page.replacen("<title>Swagger UI</title>", "<title>Argosy API</title>", 1);
        Self::new("text/html; charset=utf-8", Some(PAGE_POLICY), page)
    }

    fn new(kind: &'static str, policy: Option<&'static str>, plain: impl Into<Bytes>) -> Self {
        Self { kind, policy, plain: plain.into(), coded: [const { OnceCell::const_new() }; Coding::ALL.len()] }
    }

    /// The page in the form that the client wants, and what that is.
    async fn form(&self, request: &Request) -> (Bytes, Option<Coding>) {
        let Some(wanted) = Coding::wanted(request.headers()) else { return (self.plain.clone(), None) };
        let place = Coding::ALL.into_iter().zip(&self.coded).find(|(coding, _)| *coding == wanted);
        let Some((coding, place)) = place else { return (self.plain.clone(), None) };
        match place.get_or_try_init(|| coding.whole(self.plain.clone())).await {
            Ok(coded) => (coded.clone(), Some(coding)),
            Err(error) => {
                tracing::error!(%error, "a page cannot be compressed");
                (self.plain.clone(), None)
            }
        }
    }
}

impl Endpoint for Page {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (body, coding) = self.form(&request).await;
        let mut response = Response::builder()
            .content_type(self.kind)
            .header(header::CACHE_CONTROL, CACHED)
            .header(header::VARY, "Accept-Encoding")
            .body(body);
        if let Some(policy) = self.policy {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        if let Some(coding) = coding {
            compress::mark(response.headers_mut(), coding);
        }
        Ok(response)
    }
}

/// `GET /problems`: every code.
#[handler]
pub(crate) fn problems() -> Response {
    let mut list = String::new();
    for code in Code::ALL {
        let (name, title) = (code.as_str(), code.title());
        // Writing to a String cannot fail.
        let _ = write!(
            list,
            "<li><a href=\"/problems/{name}\"><code>{name}</code></a> {} {title}</li>",
            code.status().as_u16()
        );
    }
    page(frame("Problems", &format!("<h1>Problems</h1><ul>{list}</ul>")))
}

/// `GET /problems/<code>`: what it means and what to do.
#[handler]
pub(crate) fn problem_page(Path(name): Path<String>) -> Result<Response, Problem> {
    let code = Code::ALL.iter().find(|code| code.as_str() == name).ok_or_else(|| Problem::not_found("problem code"))?;
    let body = format!(
        "<p><a href=\"/problems\">Problems</a></p><h1>{}</h1><p><code>{}</code>, HTTP status {}</p><p>{}</p>",
        code.title(),
        code.as_str(),
        code.status().as_u16(),
        code.page().trim().replace('\n', " "),
    );
    Ok(page(frame(code.title(), &body)))
}

fn page(html: String) -> Response {
    Html(html)
        .with_header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
        .with_header(header::CACHE_CONTROL, CACHED)
        .into_response()
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} – Argosy</title><style>body{{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;\
         padding:0 1rem;color:#1c2733}}code{{background:#eef2f6;padding:.1em .35em;border-radius:4px}}a{{color:#0b5fa5}}</style>{body}</html>"
    )
}
