//! Signing in with Google, through the gateway: a browser, cookies, and a provider that is a real one.

use reqwest::{Client, redirect::Policy};
use serde_json::json;
use stack::{openid::OpenIdProvider, ports, postgres::Data, scratch::Scratch, system::Options};

use crate::shop::{Answer, Person, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_and_the_shop_gets_tokens() {
    let (scratch, at_provider) = (Scratch::new("system").unwrap(), Scratch::new("openid").unwrap());
    let port = ports::free().unwrap();
    let callback = format!("http://127.0.0.1:{port}/v1/auth/google/callback");
    let provider = OpenIdProvider::start(at_provider.path(), &callback).await.unwrap();
    let mut options = Options { port: Some(port), ..Options::new(scratch.path(), Data::Scratch) };
    for (name, value) in provider.settings() {
        options = options.with(name, &value);
    }
    let shop = Shop::open_with(options, scratch).await;
    let browser = Client::builder().redirect(Policy::none()).build().unwrap();
    let url = shop.system.gateway_url();
    // What a browser would have besides: of other software on this host, and of ours.
    let cookies = |ours: &str| format!("theme=dark; {ours}; session=somebody-elses");

    let begun = browser.get(format!("{url}/v1/auth/google?return_to=/orders")).send().await.unwrap();
    assert_eq!(begun.status(), 303);
    let header = |answer: &reqwest::Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let cookie = header(&begun, "set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(
        (header(&begun, "cache-control"), header(&begun, "referrer-policy")),
        ("no-store".into(), "no-referrer".into())
    );
    let claims =
        [("sub", "ada"), ("email", "countess@example.com"), ("email_verified", "true"), ("name", "Ada Lovelace")];
    let back = provider.sign_in(&header(&begun, "location"), &claims).await.unwrap();
    assert!(back.starts_with(&callback), "{back}");

    let without = browser.get(&back).send().await.unwrap();
    assert_eq!(header(&without, "location"), format!("{url}/sign-in#error=expired"));
    let arrived = browser.get(&back).header("Cookie", cookies(&cookie)).send().await.unwrap();
    let page = header(&arrived, "location");
    let fragment = page.strip_prefix(&format!("{url}/sign-in#code=")).unwrap_or_else(|| panic!("{page}"));
    let (code, return_to) = fragment.split_once("&return_to=").unwrap();
    assert_eq!(return_to, "%2Forders");

    let nobody = shop.nobody();
    let stolen = nobody.post("/v1/auth/exchange", &json!({ "code": code })).await;
    stolen.problem("invalid_request");
    let exchange = browser.post(format!("{url}/v1/auth/exchange")).header("Cookie", cookies(&cookie));
    let tokens = Answer::of(exchange.json(&json!({ "code": code }))).await;
    assert_eq!(tokens.status, 200, "{tokens}");
    let ada = Person { token: Some(tokens.text("/access_token")), ..nobody };
    let me = ada.get("/v1/users/me").await;
    assert_eq!(
        (me.status, me.at("/email"), me.at("/name")),
        (200, &json!("countess@example.com"), &json!("Ada Lovelace")),
        "{me}"
    );
    shop.mail("countess@example.com", "Welcome").await;
}
