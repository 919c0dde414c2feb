//! The seller's colours and logo.
//!
//! The trap: a colour goes into the style sheet, where HTML escaping does not protect, and a logo into every document. So a
//! colour is six hexadecimal digits and nothing else, and a logo is a small picture, told by its first bytes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A larger one would be most of every document.
const LARGEST_LOGO: usize = 256 << 10;
/// Text on a colour lighter than this is dark: of 255, weighted as the eye does (ITU-R BT.709).
const LIGHT: u32 = 150;

/// How the seller's documents look.
#[derive(Clone, Debug)]
pub struct Theme {
    /// Names, headings and the amount due.
    pub brand: Color,
    /// The mark of the payment.
    pub accent: Color,
    /// In place of the shop's mark and name.
    pub logo: Option<Logo>,
}

impl Default for Theme {
    fn default() -> Self {
        Self { brand: Color([0x12, 0x30, 0x4f]), accent: Color([0x2f, 0x7f, 0x8f]), logo: None }
    }
}

/// Red, green and blue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Color([u8; 3]);

impl Color {
    /// White or ink, whichever can be read on this one.
    pub fn text(self) -> Self {
        let [red, green, blue] = self.0.map(u32::from);
        let light = (2126 * red + 7152 * green + 722 * blue) / 10_000 > LIGHT;
        Self(if light { [0x1b, 0x27, 0x33] } else { [0xff; 3] })
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Color {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] = value.ok_or_else(|| format!("{text:?} is no color such as #12304f"))?.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

/// A picture as a `data:` URI.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logo(String);

impl Logo {
    /// A picture in SVG, PNG or JPEG.
    ///
    /// # Errors
    /// It is something else, or too large.
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LARGEST_LOGO {
            return Err(format!("the logo has {} bytes, of which {LARGEST_LOGO} are allowed", bytes.len()));
        }
        let text = bytes.trim_ascii_start();
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let kind = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            "png"
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            "jpeg"
        } else if text.starts_with(b"<svg") || text.starts_with(b"<?xml") {
            "svg+xml"
        } else {
            return Err("the logo is neither SVG nor PNG nor JPEG".to_owned());
        };
        Ok(Self(format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))))
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_color_is_six_digits_and_nothing_else() {
        assert_eq!("#C8963e".parse::<Color>().unwrap().to_string(), "#c8963e");
        for text in ["", "#", "c8963e", "#c8963", "#c8963e;", "red", "#+8963e", "#ｃ8963", "#fff}*{"] {
            assert!(text.parse::<Color>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_can_be_read_on_any_color() {
        let text_on = |color: &str| color.parse::<Color>().unwrap().text().to_string();
        assert_eq!(text_on("#12304f"), "#ffffff");
        assert_eq!(text_on("#ff0000"), "#ffffff");
        assert_eq!(text_on("#ffd400"), "#1b2733");
        assert_eq!(text_on("#ffffff"), "#1b2733");
    }

    #[test]
    fn a_logo_is_a_small_picture() {
        assert_eq!(Logo::new(b"\n<svg/>").unwrap().as_str(), "data:image/svg+xml;base64,CjxzdmcvPg==");
        assert!(Logo::new(b"\x89PNG\r\n\x1a\n..").unwrap().as_str().starts_with("data:image/png;"));
        assert!(Logo::new(b"GIF89a").unwrap_err().contains("neither SVG"));
        assert!(Logo::new(&[0; LARGEST_LOGO + 1]).unwrap_err().contains("262145 bytes"));
    }
}
