//! XML, element by element: what e-invoices are written with.
//!
//! The trap: a text from outside may have signs that no XML can hold, escaped or not. Each goes through `clean`, and one
//! of which nothing is left is a dash where the standard wants an element, and no element where it does not.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use rust_decimal::Decimal;

use super::file_error::FileError;
use super::model::Amount;
use super::view::ViewError;
use super::written::{clean, number};

/// What writing an element comes to.
pub(super) type Written = Result<(), FileError>;

/// A document being written.
pub(super) struct Xml {
    writer: Writer<Vec<u8>>,
}

impl Xml {
    /// A whole document: what `body` writes, in a root element with these attributes.
    pub(super) fn document(
        root: &str,
        attributes: &[(&str, &str)],
        body: impl FnOnce(&mut Self) -> Written,
    ) -> Result<Vec<u8>, FileError> {
        let mut xml = Self { writer: Writer::new_with_indent(Vec::new(), b' ', 2) };
        xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let mut start = BytesStart::new(root);
        for attribute in attributes {
            start.push_attribute(*attribute);
        }
        xml.event(Event::Start(start))?;
        body(&mut xml)?;
        xml.event(Event::End(BytesEnd::new(root)))?;
        let mut bytes = xml.writer.into_inner();
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// An element that holds what `body` writes.
    pub(super) fn within(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Written) -> Written {
        self.event(Event::Start(BytesStart::new(name)))?;
        body(self)?;
        self.event(Event::End(BytesEnd::new(name)))
    }

    /// An element with nothing in it.
    pub(super) fn empty(&mut self, name: &str) -> Written {
        self.event(Event::Empty(BytesStart::new(name)))
    }

    /// An element that must be there.
    pub(super) fn text(&mut self, name: &str, value: &str) -> Written {
        self.leaf(BytesStart::new(name), value)
    }

    /// An element that is there when there is something to say.
    pub(super) fn optional(&mut self, name: &str, value: Option<&str>) -> Written {
        match value.filter(|value| visible(value).is_some()) {
            Some(value) => self.leaf(BytesStart::new(name), value),
            None => Ok(()),
        }
    }

    /// An element with an attribute that must be there.
    pub(super) fn with(&mut self, name: &str, attribute: (&str, &str), value: &str) -> Written {
        let mut start = BytesStart::new(name);
        start.push_attribute(attribute);
        self.leaf(start, value)
    }

    fn leaf(&mut self, start: BytesStart<'_>, value: &str) -> Written {
        let end = start.to_end().into_owned();
        self.event(Event::Start(start))?;
        self.event(Event::Text(BytesText::new(visible(value).as_deref().unwrap_or("–"))))?;
        self.event(Event::End(end))
    }

    fn event(&mut self, event: Event<'_>) -> Written {
        Ok(self.writer.write_event(event).map_err(io::Error::other)?)
    }
}

/// The text as XML can hold it; `None` when nothing of it is left.
fn visible(value: &str) -> Option<String> {
    Some(clean(value)).filter(|kept| !kept.is_empty())
}

/// An amount in major units with all the digits of its currency.
pub(super) fn major(amount: &Amount, at: impl FnOnce() -> String) -> Result<Decimal, FileError> {
    let refused = || ViewError { pointer: at(), value: format!("{amount:?}") };
    Ok(amount.major().ok_or_else(refused)?)
}

/// A quantity, price or rate, without zeros at its end.
pub(super) fn plain(value: &str, at: impl FnOnce() -> String) -> Result<String, FileError> {
    Ok(number(value, at)?.normalize().to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use quick_xml::{Reader, escape::unescape};

    use super::*;

    fn written(body: impl FnOnce(&mut Xml) -> Written) -> String {
        String::from_utf8(Xml::document("r", &[("xmlns", "urn:x")], body).unwrap()).unwrap()
    }

    #[test]
    fn texts_are_escaped_and_cleaned() {
        let text = written(|xml| xml.text("t", "<b>&\"'\u{0}\u{202e}\u{ffff}]]></t>"));
        assert!(text.contains("<t>&lt;b&gt;&amp;"), "{text}");
        assert!(!text.contains("<b>") && !text.contains('\u{0}') && !text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn nothing_is_a_dash_or_no_element() {
        assert!(written(|xml| xml.text("t", "\u{202e} ")).contains("<t>–</t>"));
        assert!(!written(|xml| xml.optional("t", Some("\u{ffff}"))).contains("<t>"));
        assert!(!written(|xml| xml.optional("t", None)).contains("<t>"));
    }

    proptest! {
        #[test]
        fn whatever_is_written_can_be_read(value in any::<String>()) {
            let text = written(|xml| xml.text("t", &value));
            let mut reader = Reader::from_str(&text);
            let mut texts = String::new();
            loop {
                match reader.read_event().unwrap() {
                    Event::Text(read) => texts.push_str(&read),
                    Event::GeneralRef(read) => texts.push_str(&unescape(&format!("&{};", &*read)).unwrap()),
                    Event::Eof => break,
                    _ => {}
                }
            }
            let expected = visible(&value).unwrap_or_else(|| "–".to_owned());
            prop_assert_eq!(texts.trim(), expected.trim());
        }
    }
}
