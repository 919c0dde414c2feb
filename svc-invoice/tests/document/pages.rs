//! What is printed.

use super::*;

#[tokio::test]
async fn an_invoice_becomes_a_page_whose_text_can_be_found() {
    let pdf = renderer().pdf(page_of(&sample())).await.unwrap();
    let text = text_of(&pdf);
    for words in ["Rechnung WEB-2026-000042", "251,42 €", "Atelier Sud SARL", "LMP-1"] {
        assert!(text.contains(words), "{words} in:\n{text}");
    }
}

#[tokio::test]
async fn the_same_page_gives_the_same_bytes() {
    let server = renderer();
    let page = page_of(&sample());
    let (one, two) = tokio::join!(server.pdf(page.clone()), server.pdf(page.clone()));
    assert!(one.unwrap() == two.unwrap());
}

#[tokio::test]
async fn either_way_to_a_document_prints_the_same() {
    let page = page_of(&sample_of(20));
    let mut texts = Vec::new();
    for back_end in BACK_ENDS {
        let renderer = Renderer::new(RendererSettings { back_end, ..patient(program()) });
        texts.push(text_of(&renderer.pdf(page.clone()).await.unwrap()));
    }
    assert!(texts[0].contains("Übertrag"), "{}", texts[0]);
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn the_totals_never_stand_alone_on_a_page() {
    let renderer = renderer();
    for count in 8..=14 {
        let mut invoice = sample();
        invoice.lines = std::iter::repeat_n(invoice.lines[0].clone(), count).collect();
        let pdf = renderer.pdf(page_of(&invoice)).await.unwrap();
        let text = text_of(&pdf);
        let total = text.split('\u{c}').find(|page| page.contains("Zahlbetrag")).expect("a page with the total");
        assert!(total.contains("LMP-1"), "{count} lines: the total stands alone:\n{total}");
    }
}

#[tokio::test]
async fn a_page_break_carries_the_sum_over() {
    let invoice = sample_of(60);
    let pdf = renderer().pdf(page_of(&invoice)).await.unwrap();
    let text = text_of(&pdf);
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() >= 4, "{} pages", pages.len());
    let mut carried = None;
    for (index, page) in pages.iter().enumerate() {
        let number = format!("{}/{}", index + 1, pages.len());
        assert!(page.replace(' ', "").contains(&number), "the page's number:\n{page}");
        assert!(page.contains("Einzelpreis"), "the table's head is on every page:\n{page}");
        assert_eq!(last_word(page, |line| line.contains("Übertrag von der vorigen Seite")), carried, "{page}");
        carried = last_word(page, |line| line.contains("Übertrag") && !line.contains("vorigen Seite"));
        assert_eq!(carried.is_some(), index + 1 < pages.len(), "{page}");
    }
}

/// The last word of the line that is looked for.
fn last_word(page: &str, is_it: impl Fn(&str) -> bool) -> Option<&str> {
    page.lines().find(|line| is_it(line))?.split_whitespace().last()
}

#[tokio::test]
async fn every_language_is_printed_in_its_own_letters() {
    let renderer = renderer();
    for (locale, words) in [
        ("en-GB", ["Invoice", "Amount due", "€251.42"]),
        ("de-DE", ["Rechnung", "Zahlbetrag", "251,42 €"]),
        ("fr-FR", ["Facture", "Net à payer", "251,42 €"]),
        ("es-ES", ["Factura", "Total a pagar", "251,42 €"]),
        ("ja-JP", ["請求書", "ご請求金額", "€251.42"]),
        ("zh-CN", ["发票", "应付金额", "€251.42"]),
    ] {
        let pdf = renderer.pdf(page_of(&Invoice { locale: locale.to_owned(), ..sample() })).await.unwrap();
        let text = text_of(&pdf);
        assert!(words.iter().all(|word| text.contains(word)), "{locale}:\n{text}");
    }
    // Arabic comes out of a PDF in the order of the eye or in presentation forms, as the reader likes; the figures do not.
    let pdf = renderer.pdf(page_of(&Invoice { locale: "ar-AE".to_owned(), ..sample() })).await.unwrap();
    let text = text_of(&pdf);
    assert!(text.contains("251.42") && text.contains("12 rue de la Paix"), "{text}");
}

#[tokio::test]
async fn a_page_can_be_kept_and_read_aloud_in_every_language() {
    let folder = stack::scratch::Scratch::new("accessible").unwrap();
    let renderer = renderer();
    for locale in ["ar-AE", "de-DE", "en-GB", "es-ES", "fr-FR", "ja-JP", "zh-CN"] {
        let invoice = Invoice { locale: locale.to_owned(), ..sample_of(30) };
        let pdf = renderer.pdf(page_of(&invoice)).await.unwrap();
        std::fs::write(folder.path().join(format!("{locale}.pdf")), pdf).unwrap();
    }
    let verdicts = stack::validators::look_at(folder.path()).unwrap();
    assert_eq!(verdicts.len(), 7);
    for (name, verdict) in verdicts {
        assert_eq!(verdict.failures, Vec::<String>::new(), "{name}");
        assert!(
            verdict.xmp.contains("<pdfuaid:part>1<") && verdict.xmp.contains("pdfaid:part=\"3\""),
            "{name}: {}",
            verdict.xmp
        );
        assert_eq!(verdict.xmp.matches("<rdf:RDF").count(), 1, "{name}: one description of all");
    }
}
