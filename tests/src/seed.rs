//! Demo data, put in through the public API as anyone would: accounts, categories, products, stock.

use std::time::Duration;

use nats::{
    config::Settings,
    connect::connect,
    contracts::user::GrantRole,
    identity::Role,
    invoke::{CallError, Caller},
    topology::OPERATOR,
};
use reqwest::{Client, Method, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Result, StackError, error::Doing};

const CATALOG: &str = include_str!("../seed/catalog.json");
/// How long a gateway that had too many requests is waited for at a time.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A demo account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// What it is for, in upper case: the prefix of its variables.
    pub role: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its e-mail address.
    pub email: &'static str,
    /// Its password; demo data is not a secret.
    pub password: &'static str,
}

/// The demo accounts.
pub const ACCOUNTS: [Account; 3] = [
    Account { role: "CUSTOMER", name: "Clara Kunde", email: "clara@example.com", password: "clara-sails-at-dawn" },
    Account { role: "STAFF", name: "Stefan Lager", email: "stefan@example.com", password: "stefan-counts-the-stock" },
    Account { role: "ADMIN", name: "Ada Admin", email: "ada@example.com", password: "ada-keeps-the-keys" },
];

#[derive(Deserialize)]
struct Catalog {
    categories: Vec<Value>,
    products: Vec<Product>,
}

#[derive(Deserialize)]
struct Product {
    name: String,
    description: String,
    category: String,
    variants: Vec<Value>,
}

/// A session at the gateway.
pub struct Api {
    client: Client,
    url: String,
    token: Option<String>,
}

impl Api {
    /// Without a token.
    pub fn anonymous(url: &str) -> Self {
        Self { client: Client::new(), url: url.to_owned(), token: None }
    }

    /// Signed in as this account.
    ///
    /// # Errors
    /// What the gateway answered.
    pub async fn login(url: &str, account: Account) -> Result<Self> {
        let mut api = Self::anonymous(url);
        let credentials = json!({ "email": account.email, "password": account.password });
        let answer = api.send(Method::POST, "/v1/auth/login", Some(&credentials), None).await?;
        api.token = answer.get("access_token").and_then(Value::as_str).map(str::to_owned);
        Ok(api)
    }

    /// Sends a request and reads the JSON of a successful answer.
    ///
    /// # Errors
    /// What the gateway answered otherwise.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> Result<Value> {
        let (status, answer) = self.try_send(method.clone(), path, body, key).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(StackError::new(format!("{method} {path} answered {status}: {answer}")))
    }

    async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        loop {
            let attempt = request.try_clone().ok_or_else(|| StackError::new(format!("{path} cannot be sent twice")))?;
            let answer = attempt.send().await.doing(|| format!("ask the gateway for {path}"))?;
            let status = answer.status();
            let wait = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
            match wait.map(Duration::from_secs) {
                // So much at once is more than one person may send; what is put in here is worth waiting for.
                Some(wait) if status == StatusCode::TOO_MANY_REQUESTS && wait <= LONGEST_WAIT => {
                    tokio::time::sleep(wait).await;
                }
                _ => return Ok((status, answer.json().await.unwrap_or(Value::Null))),
            }
        }
    }
}

/// Puts in what is not there yet. `progress` is told each step.
///
/// # Errors
/// The first request that is refused.
pub async fn seed(url: &str, operator: &Settings, progress: impl Fn(&str)) -> Result<()> {
    progress("accounts");
    accounts(url, operator).await?;
    let [_, _, admin] = ACCOUNTS;
    let api = Api::login(url, admin).await?;
    let products = api.send(Method::GET, "/v1/products?limit=1", None, None).await?;
    if products.pointer("/data/0").is_some() {
        return Ok(());
    }
    progress("catalogue and stock");
    catalogue(&api).await
}

/// As a program of its own: for a system that something else started.
///
/// # Errors
/// The first request that is refused, or a setting that is missing.
pub fn run() -> Result<()> {
    let settings = Settings::from_environment();
    let url = settings.require("GATEWAY_URL").doing(|| "put in the demo data".to_owned())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.doing(|| "start".to_owned())?.block_on(seed(&url, &settings, |_| ()))
}

/// Registers the demo accounts that are not there yet, and gives each its role.
///
/// # Errors
/// The first request that is refused.
pub async fn accounts(url: &str, operator: &Settings) -> Result<()> {
    let api = Api::anonymous(url);
    for account in ACCOUNTS {
        let body = json!({ "email": account.email, "password": account.password, "name": account.name });
        let (status, answer) = api.try_send(Method::POST, "/v1/auth/register", Some(&body), None).await?;
        if !status.is_success() && status != StatusCode::CONFLICT {
            return Err(StackError::new(format!("registering {} was answered {status}: {answer}", account.email)));
        }
    }
    let client = connect(operator, OPERATOR).await.doing(|| "connect to NATS as the operator".to_owned())?;
    let caller = Caller::new(client);
    for (account, role) in ACCOUNTS.iter().zip([Role::CUSTOMER, Role::STAFF, Role::ADMIN]) {
        let email = account.email.parse().doing(|| format!("read {}", account.email))?;
        let granted: std::result::Result<_, CallError<_>> = caller.call(&GrantRole { email, role }).await;
        granted.doing(|| format!("give {} its role", account.email))?;
    }
    Ok(())
}

async fn catalogue(api: &Api) -> Result<()> {
    let catalog: Catalog = serde_json::from_str(CATALOG).doing(|| "read the demo catalogue".to_owned())?;
    let mut categories = std::collections::BTreeMap::new();
    for category in &catalog.categories {
        let made = api.send(Method::POST, "/v1/categories", Some(category), None).await?;
        let slug = category.get("slug").and_then(Value::as_str).unwrap_or_default();
        categories.insert(slug.to_owned(), made.get("id").cloned().unwrap_or_default());
    }
    for product in catalog.products {
        let variants: Vec<Value> = product.variants.iter().map(without_stock).collect();
        let body = json!({
            "name": product.name,
            "description": product.description,
            "category_id": categories.get(&product.category),
            "variants": variants,
        });
        api.send(Method::POST, "/v1/products", Some(&body), None).await?;
        for variant in &product.variants {
            let sku = variant.get("sku").and_then(Value::as_str).unwrap_or_default();
            let level = json!({ "on_hand": variant.get("on_hand"), "reorder_point": variant.get("reorder_point") });
            api.send(Method::PUT, &format!("/v1/stock/{sku}"), Some(&level), None).await?;
        }
    }
    Ok(())
}

/// A variant as the catalogue takes it: stock is put in on its own.
fn without_stock(variant: &Value) -> Value {
    let mut variant = variant.clone();
    if let Some(fields) = variant.as_object_mut() {
        fields.remove("on_hand");
        fields.remove("reorder_point");
        fields.retain(|_, value| !value.is_null());
    }
    variant
}
