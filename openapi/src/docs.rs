//! The interactive reference, the document itself, and a page per problem code. Works without any other host.

use std::fmt::Write as _;

use nats::problem::{Code, Problem};
use poem::{
    Endpoint, IntoResponse, Request, Response, handler,
    http::header,
    web::{Html, Path, Redirect},
};
use poem_openapi::OpenApiService;

use crate::OPENAPI;

/// Scripts and styles of the pages are inline; nothing else is loaded.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; frame-ancestors 'none'";

/// `GET /openapi.json`
#[handler]
pub(crate) fn document() -> Response {
    Response::builder()
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "public, max-age=60")
        .body(OPENAPI)
}

/// `GET /`: people are led to the reference.
pub(crate) fn home() -> Response {
    Redirect::see_other("/docs").into_response()
}

/// `GET /docs`: Swagger UI, its assets and the document in one page.
pub struct Reference {
    page: String,
}

impl Reference {
    /// Builds the page once.
    pub fn new() -> Self {
        // poem-openapi brings the assets, but takes the document from a service of its own: an empty one, exchanged here.
        let empty = OpenApiService::new((), "Argosy", env!("CARGO_PKG_VERSION"));
        let page = empty.swagger_ui_html().replacen(&empty.spec(), &OPENAPI.replace("</", "<\\/"), 1);
        Self { page: page.replacen("<title>Swagger UI</title>", "<title>Argosy API</title>", 1) }
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl Endpoint for Reference {
    type Output = Response;

    async fn call(&self, _request: Request) -> poem::Result<Response> {
        Ok(page(self.page.clone()))
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
        .with_header(header::CACHE_CONTROL, "public, max-age=60")
        .into_response()
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} – Argosy</title><style>body{{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;\
         padding:0 1rem;color:#1c2733}}code{{background:#eef2f6;padding:.1em .35em;border-radius:4px}}a{{color:#0b5fa5}}</style>{body}</html>"
    )
}
