//! The documents of one invoice in all formats, as their recipients read them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stack::{bed::Bed, scratch::Scratch, validators};

use crate::given;

/// Each format with its media type and the ending of its name.
const FORMATS: [(&str, &str, &str); 6] = [
    ("cii", "application/xml", "cii.xml"),
    ("csv", "text/csv; charset=utf-8; header=present", "csv"),
    ("facturx", "application/pdf", "facturx.pdf"),
    ("pdf", "application/pdf", "pdf"),
    ("ubl", "application/xml", "ubl.xml"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
];

#[tokio::test(flavor = "multi_thread")]
async fn one_upload_becomes_six_documents_that_are_valid_and_say_the_same() {
    let bed = Bed::start().await;
    let _running = given::service(&bed).await;
    let alice = bed.customer();
    let sample: Value = serde_json::from_str(given::SAMPLE).unwrap();
    let id = given::uploaded(&alice, &sample).await;
    let mut files = BTreeMap::new();
    for (format, media_type, ending) in FORMATS {
        let invoice = given::format(&alice, &id, format, "rendered").await;
        assert_eq!(invoice["documents"].as_array().unwrap().len(), FORMATS.len());
        let file = alice.get(&format!("/v1/invoices/{id}/documents/{format}")).send().await;
        assert_eq!(file.status, 200, "{file}");
        assert_eq!(file.header("content-type"), Some(media_type));
        let name = format!("attachment; filename=\"Rechnung-WEB-2026-000001.{ending}\"");
        assert_eq!(file.header("content-disposition"), Some(name.as_str()));
        files.insert(format, file.bytes);
    }

    let folder = Scratch::new("formats").unwrap();
    for (format, media_type, _) in FORMATS {
        if let Some(kind @ ("pdf" | "xml")) = media_type.strip_prefix("application/") {
            std::fs::write(folder.path().join(format!("{format}.{kind}")), &files[format]).unwrap();
        }
    }
    std::fs::write(folder.path().join("csv.csv"), &files["csv"]).unwrap();
    let verdicts = validators::look_at(folder.path()).unwrap();
    assert_eq!(verdicts.len(), 5);
    for (name, verdict) in &verdicts {
        assert!(verdict.failures.is_empty(), "{name}: {:#?}", verdict.failures);
    }

    let hybrid = &verdicts["facturx.pdf"];
    let cii = String::from_utf8(files["cii"].to_vec()).unwrap();
    assert_eq!(hybrid.attached, BTreeMap::from([("factur-x.xml".to_owned(), cii.clone())]));
    for said in [
        "<fx:DocumentType>INVOICE</fx:DocumentType>",
        "<fx:DocumentFileName>factur-x.xml</fx:DocumentFileName>",
        "<fx:Version>1.0</fx:Version>",
        "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>",
        "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#",
    ] {
        assert!(hybrid.xmp.contains(said), "{said} in {}", hybrid.xmp);
    }
    assert_eq!(hybrid.xmp.matches("<rdf:RDF").count(), 1, "strict readers look at the first only");
    assert!(verdicts["pdf.pdf"].attached.is_empty());

    let ubl = String::from_utf8(files["ubl"].to_vec()).unwrap();
    let rows = &verdicts["csv.csv"].rows;
    let records: Vec<&str> = rows.iter().map(|row| row["record"].as_str()).collect();
    assert_eq!(records, ["line", "line", "charge", "tax", "total", "due"]);
    assert!(cii.contains("<ram:GrandTotalAmount>225.74</ram:GrandTotalAmount>"), "{cii}");
    assert!(ubl.contains("<cbc:TaxInclusiveAmount currencyID=\"EUR\">225.74</cbc:TaxInclusiveAmount>"), "{ubl}");
    assert_eq!(["net", "tax", "gross"].map(|column| rows[4][column].as_str()), ["189.70", "36.04", "225.74"]);
    for pdf in ["pdf", "facturx"] {
        assert!(given::text_of(&files[pdf]).contains("225,74 €"), "{pdf}");
    }
    assert_eq!(given::text_of(&files["pdf"]), given::text_of(&files["facturx"]), "the same page");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_en_16931_knows_besides_is_taken_and_told() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut invoice = given::invoice();
    invoice["formats"] = json!(["ubl", "cii"]);
    invoice["lines"][0]["quantity"] = json!("250");
    invoice["lines"][0]["price_base_quantity"] = json!("100");
    invoice["ship_to"] = json!({
        "name": "Entrepôt", "address": {"line1": "Quai 1", "city": "Lyon", "postal_code": "69002", "country": "FR"},
    });
    invoice["seller"]["legal_id"] = json!("HRB 158210");
    (invoice["lines"][1]["tax_category"], invoice["lines"][1]["tax_rate"]) = (json!("E"), json!("0"));
    invoice["exemptions"] = json!([{"tax_category": "E", "reason": "Bildung", "code": "VATEX-EU-132-1I"}]);
    let id = given::uploaded(&alice, &invoice).await;
    let issued = given::format(&alice, &id, "ubl", "rendered").await;
    assert_eq!(issued["lines"][0]["price_base_quantity"], "100");
    assert_eq!(issued["lines"][0]["net"]["amount"], 12475, "250 × 49.90 ÷ 100");
    for field in ["ship_to", "exemptions"] {
        assert_eq!(issued[field], invoice[field], "{field}");
    }
    given::format(&alice, &id, "cii", "rendered").await;
    for (format, told) in [
        ("ubl", [">100</cbc:BaseQuantity>", "<cbc:CompanyID>HRB", ">Bildung<", ">VATEX-EU-132-1I<", ">Entrepôt<"]),
        ("cii", [">100</ram:BasisQuantity>", "<ram:ID>HRB", ">Bildung<", ">VATEX-EU-132-1I<", ">Entrepôt<"]),
    ] {
        let file = alice.get(&format!("/v1/invoices/{id}/documents/{format}")).send().await;
        let text = String::from_utf8(file.bytes.to_vec()).unwrap();
        for words in told {
            assert!(text.contains(words), "{words} in {text}");
        }
    }
}
