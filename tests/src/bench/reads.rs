//! Reading the catalogue.

use super::{Better, Options, Workload, by_turns, limit::bare_server, load::requests, shop::Shop};
use crate::{Result, error::Doing};

/// A product's page, by its id, through the gateway.
pub(super) const PRODUCT: &str = "product by id";
const CONNECTIONS: u32 = 32;

/// Against a web server that serves the same bytes and does nothing else.
pub(super) async fn product(shop: &Shop, options: &Options, progress: &impl Fn(&str)) -> Result<Workload> {
    progress(PRODUCT);
    let body = options.directory.join("product.json");
    let answer = reqwest::get(shop.product_url()).await.doing(|| "read a product".to_owned())?;
    let bytes = answer.bytes().await.doing(|| "read a product".to_owned())?;
    std::fs::write(&body, &bytes).doing(|| format!("write {}", body.display()))?;
    let (_server, bare) = bare_server(&body, &options.directory.join("bare.log")).await?;
    let script = shop.products_script()?;
    let mut p99 = std::time::Duration::ZERO;
    let ours = async || {
        let measured = requests(&shop.url, CONNECTIONS, options.slice, Some(&script)).await?;
        p99 = measured.p99;
        Ok(measured.per_second)
    };
    let peers = async || Ok(requests(&bare, CONNECTIONS, options.slice, None).await?.per_second);
    let (ours, peer) = by_turns(options.rounds, ours, peers).await?;
    Ok(Workload {
        name: PRODUCT.to_owned(),
        ratio: ours / peer,
        target: 0.30,
        better: Better::Higher,
        ours,
        peer,
        unit: "requests/s".to_owned(),
        notes: format!("{} bytes; p99 {} ms", bytes.len(), p99.as_millis()),
    })
}
