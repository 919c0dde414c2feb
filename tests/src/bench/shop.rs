//! The system under load: a thousand articles, a customer, and what the load generator is to send.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use nats::topology::OPERATOR;
use reqwest::Method;
use serde_json::{Value, json};

use super::orders::Goods;
use crate::{
    Result, StackError,
    error::Doing,
    seed::{ACCOUNTS, Api, accounts},
    system::System,
};

const PRODUCTS: usize = 100;
const VARIANTS: usize = 10;
/// More than any run sells.
const ON_HAND: u32 = 1_000_000_000;

/// Sends orders; each has a key of its own.
const ORDERS: &str = r#"
local count, run = 0, tostring(os.time()) .. "-" .. tostring(math.random(1000000000))
local head = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer %TOKEN"}
function request()
  count = count + 1
  head["Idempotency-Key"] = run .. "-" .. count
  local a, b = %GOODS
  return wrk.format("POST", "/v1/orders", head, '{"lines":[{"sku":"' .. a .. '","quantity":1},{"sku":"' .. b ..
    '","quantity":1}],"shipping_address":{"name":"Clara Kunde","line1":"Speicherstadt 4","city":"Hamburg",' ..
    '"postal_code":"20457","country":"DE"},"payment_method":"sandbox_ok","currency":"EUR"}')
end
"#;

const PRODUCT: &str = r#"
local ids = {%IDS}
function request() return wrk.format("GET", "/v1/products/" .. ids[math.random(#ids)]) end
"#;

/// A shop to put load on.
pub(super) struct Shop {
    /// The gateway.
    pub(super) url: String,
    products: Vec<String>,
    directory: PathBuf,
}

impl Shop {
    /// Puts accounts, articles and stock in.
    pub(super) async fn open(system: &System, directory: &Path, progress: &impl Fn(&str)) -> Result<Self> {
        progress("accounts and a thousand articles");
        let url = system.gateway_url();
        accounts(&url, &system.settings(OPERATOR)).await?;
        let [_, _, admin] = ACCOUNTS;
        let api = Api::login(&url, admin).await?;
        let products = stream::iter(0..PRODUCTS).map(|number| article(&api, number)).buffer_unordered(8);
        Ok(Self { products: products.try_collect().await?, url, directory: directory.to_owned() })
    }

    /// Where one of the products is.
    pub(super) fn product_url(&self) -> String {
        format!("{}/v1/products/{}", self.url, self.products.first().map_or("", String::as_str))
    }

    /// Reads any product.
    pub(super) fn products_script(&self) -> Result<PathBuf> {
        let ids: Vec<String> = self.products.iter().map(|id| format!("{id:?}")).collect();
        self.script("product.lua", &PRODUCT.replace("%IDS", &ids.join(", ")))
    }

    /// Orders, as a customer who has just signed in.
    pub(super) async fn orders_script(&self, goods: Goods) -> Result<PathBuf> {
        let [customer, ..] = ACCOUNTS;
        let credentials = json!({ "email": customer.email, "password": customer.password });
        let answer = Api::anonymous(&self.url).send(Method::POST, "/v1/auth/login", Some(&credentials), None).await?;
        let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
        let any = |from: usize, to: usize| {
            let last = PRODUCTS - 1;
            format!(r#""BENCH-" .. math.random(0, {last}) .. "-" .. math.random({from}, {to})"#)
        };
        let goods = match goods {
            Goods::Hot => r#""BENCH-0-0", "BENCH-1-1""#.to_owned(),
            Goods::Spread => format!("{}, {}", any(0, VARIANTS / 2 - 1), any(VARIANTS / 2, VARIANTS - 1)),
        };
        self.script("orders.lua", &ORDERS.replace("%TOKEN", token).replace("%GOODS", &goods))
    }

    fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.directory.join(name);
        std::fs::write(&file, text).doing(|| format!("write {}", file.display()))?;
        Ok(file)
    }
}

/// Puts one product and its stock in; its id.
async fn article(api: &Api, number: usize) -> Result<String> {
    let sku = |variant: usize| format!("BENCH-{number}-{variant}");
    let variants: Vec<Value> = (0..VARIANTS)
        .map(|variant| {
            let price = json!({ "amount": 1999, "currency": "EUR" });
            json!({ "sku": sku(variant), "price": price, "tax_category": "S", "weight_g": 100 })
        })
        .collect();
    let body =
        json!({ "name": format!("Article {number}"), "description": "For the benchmark.", "variants": variants });
    let product = api.send(Method::POST, "/v1/products", Some(&body), None).await?;
    for variant in 0..VARIANTS {
        let level = json!({ "on_hand": ON_HAND, "reorder_point": 0 });
        api.send(Method::PUT, &format!("/v1/stock/{}", sku(variant)), Some(&level), None).await?;
    }
    let id = product.get("id").and_then(Value::as_str).map(str::to_owned);
    id.ok_or_else(|| StackError::new(format!("the product has no id: {product}")))
}
