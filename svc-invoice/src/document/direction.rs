//! Which way a text is written, told by its first letter, as `dir=auto` in a browser would.
//!
//! The trap: WeasyPrint sets a text in the direction of the box around it, so on an Arabic page `12 rue de la Paix` would
//! read `rue de la Paix 12`. The template says the direction of every text that comes from outside.

use handlebars::handlebars_helper;

handlebars_helper!(dir_of: |text: str| if is_right_to_left(text) { "rtl" } else { "ltr" });

fn is_right_to_left(text: &str) -> bool {
    text.chars().find(|letter| letter.is_alphabetic()).is_some_and(|letter| {
        // Hebrew, Arabic, Syriac, Thaana, N'Ko and the like, with their presentation forms.
        matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_tells() {
        for text in ["شارع 12", "12 شارع", "שלום", "«المنارة» LMP-1"] {
            assert!(is_right_to_left(text), "{text}");
        }
        for text in ["12 rue de la Paix", "LMP-1 المنارة", "+49 40", "", "請求書"] {
            assert!(!is_right_to_left(text), "{text}");
        }
    }
}
