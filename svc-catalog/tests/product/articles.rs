use nats::{
    contracts::catalog::GetArticles,
    types::{Currency, Money, OrderId, Sku},
};

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn articles_have_names_prices_and_what_is_available() {
    let shop = Shop::open().await;
    let id = shop.product(&["A", "B"]).await;
    shop.set("A", 5).await;
    shop.reserve(OrderId::new(), &[("A", 2)]).await.unwrap();
    let skus: Vec<Sku> = ["A", "unknown"].iter().map(|sku| sku.parse().unwrap()).collect();
    let articles = shop.bed.call(&GetArticles { skus: skus.clone(), currency: Currency::EUR }).await.unwrap().articles;
    assert_eq!(articles.len(), 1, "unknown SKUs are left out: {articles:?}");
    let article = &articles[0];
    assert_eq!((article.sku.as_str(), article.name.as_str(), article.available), ("A", "Lamp, Brass", 3));
    assert_eq!((article.product_id.to_string(), article.unit_price), (id, Money::new(1000, Currency::EUR)));
    let yen = shop.bed.call(&GetArticles { skus, currency: Currency::JPY }).await.unwrap();
    assert_eq!(yen.articles, [], "no price in yen, no article");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_skus_are_refused() {
    let shop = Shop::open().await;
    let skus = (0..101).map(|index| format!("S{index}").parse().unwrap()).collect();
    assert!(shop.bed.call(&GetArticles { skus, currency: Currency::EUR }).await.is_err());
    assert_eq!(shop.bed.call(&GetArticles { skus: vec![], currency: Currency::EUR }).await.unwrap().articles, []);
}
