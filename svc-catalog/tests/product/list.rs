use serde_json::json;

use crate::shop::Shop;

/// Name, description, SKU, price in EUR, price in USD.
type Goods = (&'static str, &'static str, &'static str, Option<i64>, Option<i64>);

const GOODS: [Goods; 7] = [
    ("Desk Lamp", "Two arms and a shade.", "LMP-1", Some(4990), Some(5500)),
    ("Storm Lantern", "Burns in any wind, a lamp for boats.", "LAN-1", Some(4200), None),
    ("anchor", "Galvanised.", "ANC-1", Some(4990), Some(100)),
    ("Boat Hook", "Ash.", "HOK-1", Some(1500), None),
    ("Cup", "Enamel.", "CUP-1", None, Some(900)),
    ("Desk Lamp", "The other one.", "LMP-2", Some(4990), None),
    ("Zinc Bucket", "Holds ten litres.", "BKT-1", None, None),
];

async fn stocked() -> Shop {
    let shop = Shop::open().await;
    let category =
        shop.staff.post("/v1/categories", &json!({"slug": "lamps", "name": "Lamps"})).send().await.text("/id");
    for (name, description, sku, euros, dollars) in GOODS {
        let price =
            |amount: Option<i64>, currency: &str| amount.map(|amount| json!({"amount": amount, "currency": currency}));
        let mut prices: Vec<_> = price(euros, "EUR").into_iter().chain(price(dollars, "USD")).collect();
        if prices.is_empty() {
            prices.push(json!({"amount": 1, "currency": "CHF"}));
        }
        let mut body = json!({"name": name, "description": description, "variants": [{"sku": sku, "prices": prices}]});
        if name.contains("Lamp") {
            body["category_id"] = json!(category);
        }
        let answer = shop.staff.post("/v1/products", &body).send().await;
        assert_eq!(answer.status, 201, "{answer}");
    }
    shop
}

/// The SKUs of all pages, two products each.
async fn walk(shop: &Shop, query: &str) -> Vec<String> {
    let (mut skus, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop.nobody.get(&format!("/v1/products?limit=2&{query}{cursor}")).send().await;
        assert_eq!(page.status, 200, "{page}");
        let data = page.at("/data").as_array().unwrap();
        assert!(data.len() <= 2, "{page}");
        skus.extend(data.iter().map(|one| one["variants"][0]["sku"].as_str().unwrap().to_owned()));
        match page.at("/next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return skus,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sort_visits_every_product_once() {
    let shop = stocked().await;
    assert_eq!(walk(&shop, "").await, ["BKT-1", "LMP-2", "CUP-1", "HOK-1", "ANC-1", "LAN-1", "LMP-1"], "newest first");
    assert_eq!(walk(&shop, "sort=newest").await, walk(&shop, "").await);
    assert_eq!(
        walk(&shop, "sort=name").await,
        ["ANC-1", "HOK-1", "CUP-1", "LMP-1", "LMP-2", "LAN-1", "BKT-1"],
        "by name, whatever the case; equals by age"
    );
    assert_eq!(
        walk(&shop, "sort=price").await,
        ["HOK-1", "LAN-1", "LMP-1", "ANC-1", "LMP-2", "CUP-1", "BKT-1"],
        "what has no price comes last"
    );
    assert_eq!(walk(&shop, "sort=-price").await, ["LMP-1", "ANC-1", "LMP-2", "LAN-1", "HOK-1", "CUP-1", "BKT-1"]);
    assert_eq!(walk(&shop, "sort=price&currency=USD").await[..3], ["ANC-1", "CUP-1", "LMP-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    let shop = stocked().await;
    assert_eq!(walk(&shop, "search=lamps&sort=name").await, ["LMP-1", "LMP-2", "LAN-1"], "words, not letters");
    assert_eq!(walk(&shop, "search=lamp+-boats&sort=name").await, ["LMP-1", "LMP-2"]);
    assert_eq!(walk(&shop, "search=CUP-1").await, ["CUP-1"], "a SKU is found as well");
    assert_eq!(walk(&shop, "search=submarine").await, [""; 0]);
    assert_eq!(walk(&shop, "search=").await.len(), 7, "no words, no filter");
    assert_eq!(walk(&shop, "category=lamps&sort=name").await, ["LMP-1", "LMP-2"]);
    assert_eq!(walk(&shop, "category=nothing").await, [""; 0]);
    assert_eq!(walk(&shop, "min_price=1500&max_price=4200&sort=price").await, ["HOK-1", "LAN-1"]);
    assert_eq!(walk(&shop, "max_price=1000&currency=USD&sort=price").await, ["ANC-1", "CUP-1"]);
    assert_eq!(walk(&shop, "category=lamps&search=shade&min_price=4990&sort=-price").await, ["LMP-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_pointed_at() {
    let shop = stocked().await;
    let page = shop.nobody.get("/v1/products?limit=1&sort=price").send().await;
    let cursor = page.text("/next_cursor");
    assert_eq!(page.header("cache-control"), Some("public, max-age=5, stale-if-error=600"));
    let link = format!("</v1/products?limit=1&sort=price&cursor={cursor}>; rel=\"next\"");
    assert_eq!(page.header("link"), Some(link.as_str()));
    for (query, code, pointer) in [
        ("limit=0", "malformed_request", "?limit"),
        ("limit=101", "malformed_request", "?limit"),
        ("sort=colour", "malformed_request", "?sort"),
        ("currency=euro", "malformed_request", "?currency"),
        ("category=No+Slug", "malformed_request", "?category"),
        ("min_price=cheap", "malformed_request", "?min_price"),
        ("min_price=-1", "invalid_request", "?min_price"),
        ("min_price=2&max_price=1", "invalid_request", "?max_price"),
        ("cursor=!", "malformed_request", "?cursor"),
        // {"name":["\u0000", "prd_…"]}: well-formed, and nothing that we would have sent.
        (
            "sort=name&cursor=eyJuYW1lIjogWyJcdTAwMDAiLCAicHJkXzAxaDQ1NXZiNHBleDV2c2tuazA4NHNuMDJxIl19",
            "malformed_request",
            "?cursor",
        ),
        ("cursor=bm9uc2Vuc2U", "malformed_request", "?cursor"),
        (&format!("sort=name&cursor={cursor}"), "malformed_request", "?cursor"),
    ] {
        shop.nobody.get(&format!("/v1/products?{query}")).send().await.problem(code, pointer);
    }
    for hostile in ["%27%29%3B+drop+table+product%3B--", "%22", "%26+%7C+%21+%3A%2A", "%2B%2B%2B"] {
        let answer = shop.nobody.get(&format!("/v1/products?search={hostile}")).send().await;
        assert_eq!(answer.status, 200, "any text is only a text: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_name_fits_into_a_cursor() {
    let shop = Shop::open().await;
    for (sku, letter) in [("A", "\u{1F600}"), ("B", "\u{1F601}"), ("C", "\"")] {
        let body =
            json!({"name": letter.repeat(200), "variants": [{"sku": sku, "price": {"amount": 1, "currency": "EUR"}}]});
        let answer = shop.staff.post("/v1/products", &body).send().await;
        assert_eq!(answer.status, 201, "{answer}");
    }
    let mut skus = walk(&shop, "sort=name").await;
    skus.sort_unstable();
    assert_eq!(skus, ["A", "B", "C"]);
}
