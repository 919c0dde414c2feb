//! Who and what a run needs: staff, buyers with and without carts, and a few SKUs, put in through the API.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex as AsyncMutex;

use super::{
    client::{Client, Person},
    history::Lines,
};
use crate::{
    Result, StackError,
    seed::{ACCOUNTS, Api},
};

/// Of these there is enough for every run.
const PLENTIFUL: usize = 24;
const PLENTY: i64 = 1_000_000;
/// Of these a run sells out, again and again.
const SCARCE: usize = 4;
const FEW: i64 = 60;
/// The one that everybody wants.
const HOT_UNITS: i64 = 40;
/// How many acknowledged orders are kept at hand, to be read, canceled and refunded.
const REMEMBERED: usize = 300;
const PASSWORD: &str = "correct horse battery";

/// Everybody and everything.
#[derive(Debug)]
pub struct World {
    /// The way to the gateway.
    pub client: Client,
    /// Restocks, refunds, and looks at the end.
    pub staff: Arc<Person>,
    /// Buy by lines.
    pub buyers: Vec<Arc<Person>>,
    /// Buy by cart.
    pub carts: Vec<Arc<CartOwner>>,
    /// SKUs of which there is enough.
    pub plentiful: Vec<String>,
    /// SKUs of which there is not, the hot one first.
    pub scarce: Vec<String>,
    /// How much of each SKU was there at the beginning.
    pub initial: BTreeMap<String, i64>,
    placed: Mutex<VecDeque<Placed>>,
}

/// Somebody who buys what is in the cart.
#[derive(Debug)]
pub struct CartOwner {
    /// Who.
    pub person: Arc<Person>,
    /// What must be in the cart, by the answers so far; nothing once an answer is missing, since nobody knows then.
    pub cart: AsyncMutex<Option<Lines>>,
}

/// An acknowledged order.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Whose.
    pub buyer: Arc<Person>,
    /// Which.
    pub id: String,
}

/// How many people and things there are.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Who buy by lines.
    pub buyers: usize,
    /// Who buy by cart.
    pub carts: usize,
}

impl World {
    /// Puts everything in; the demo accounts must be there.
    ///
    /// # Errors
    /// The first request that is refused.
    pub async fn create(url: &str, client: Client, size: Size) -> Result<Self> {
        let [_, staff, _] = ACCOUNTS;
        let api = Api::login(url, staff).await?;
        let plentiful = (0..PLENTIFUL).map(|n| (format!("CHAOS-{n:02}"), PLENTY));
        let scarce = (0..=SCARCE).map(|n| (format!("CHAOS-FEW-{n}"), if n == 0 { HOT_UNITS } else { FEW }));
        let initial: BTreeMap<String, i64> = plentiful.chain(scarce).collect();
        for (sku, units) in &initial {
            stock(&api, sku, *units).await?;
        }
        let few = |sku: &&String| sku.starts_with("CHAOS-FEW");
        let staff = Arc::new(Person::new("staff", staff.email, staff.password));
        client.sign_in(&staff).await?;
        let buyers = people(url, "buyer", size.buyers).await?;
        let owners = people(url, "cart", size.carts).await?;
        let owner = |person| Arc::new(CartOwner { person, cart: AsyncMutex::new(Some(Lines::new())) });
        Ok(Self {
            client,
            staff,
            buyers,
            carts: owners.into_iter().map(owner).collect(),
            plentiful: initial.keys().filter(|sku| !few(sku)).cloned().collect(),
            scarce: initial.keys().filter(few).cloned().collect(),
            initial,
            placed: Mutex::default(),
        })
    }

    /// Everybody, to be signed in again.
    pub fn everybody(&self) -> impl Iterator<Item = &Arc<Person>> {
        let owners = self.carts.iter().map(|owner| &owner.person);
        std::iter::once(&self.staff).chain(&self.buyers).chain(owners)
    }

    /// Keeps an acknowledged order at hand.
    pub fn remember(&self, buyer: &Arc<Person>, id: &str) {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        if placed.len() == REMEMBERED {
            placed.pop_front();
        }
        placed.push_back(Placed { buyer: Arc::clone(buyer), id: id.to_owned() });
    }

    /// One of the orders at hand: the `n`th, counted around.
    pub fn some_order(&self, n: usize) -> Option<Placed> {
        let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = n.checked_rem(placed.len())?;
        placed.get(at).cloned()
    }
}

/// Puts a new article into the catalogue, with this stock.
///
/// # Errors
/// What the gateway answered.
pub async fn stock(staff: &Api, sku: &str, units: i64) -> Result<()> {
    let product = json!({
        "name": format!("A thing to break things with ({sku})"), "description": "It is there to be ordered.",
        "variants": [{ "sku": sku, "price": { "amount": 1999, "currency": "EUR" }, "tax_category": "S", "weight_g": 300 }],
    });
    staff.send(Method::POST, "/v1/products", Some(&product), None).await?;
    let level = json!({ "on_hand": units, "reorder_point": 0 });
    staff.send(Method::PUT, &format!("/v1/stock/{sku}"), Some(&level), None).await?;
    Ok(())
}

/// Registers so many people; they are signed in then.
///
/// # Errors
/// The first request that is refused.
pub async fn people(url: &str, role: &str, count: usize) -> Result<Vec<Arc<Person>>> {
    let api = Api::anonymous(url);
    let mut people = Vec::with_capacity(count);
    for n in 1..=count {
        let (name, email) = (format!("{role}-{n}"), format!("{role}-{n}@chaos.example.com"));
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ines Shopper" });
        let answer = api.send(Method::POST, "/v1/auth/register", Some(&body), None).await?;
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| StackError::new(format!("registering {email} brought no token")))?;
        people.push(Arc::new(Person::new(&name, &email, PASSWORD).with_token(token)));
    }
    Ok(people)
}
