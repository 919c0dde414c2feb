//! What people wrote, made fit for a mail.

/// The longest subject; longer ones are cut.
const LONGEST: usize = 150;
/// The longest name that a mail greets with.
const LONGEST_NAME: usize = 60;

/// `text` as a single line: control characters and whatever else breaks a line or turns its direction become spaces.
/// A header cannot be ended, and no other header begun, by what is left.
pub fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if is_breaking(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}

/// What to call someone; `None` for what is no name.
///
/// Anyone may register anyone's address under any name, so a name that is an advertisement (a link, an address, a text)
/// would make us its sender.
pub fn name(text: &str) -> Option<String> {
    let name = one_line(text);
    let lower = name.to_lowercase();
    let advertises = ["://", "www.", "http", "@", "/", "\\"].iter().any(|sign| lower.contains(sign));
    let domain = lower.split(' ').any(|word| {
        // "J.R.R. Tolkien" is a name, "casino.example" is not.
        word.split_once('.').is_some_and(|(before, after)| before.chars().count() > 2 && after.chars().count() > 1)
    });
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
    (fits && !advertises && !domain).then_some(name)
}

/// A plain text body: no line ends in spaces, no more than one blank line at a time, one line end at the end.
/// The signature's `-- ` keeps its space (RFC 3676).
pub fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut blank = 0;
    for line in text.trim().lines() {
        let line = if line == "-- " { line } else { line.trim_end() };
        blank = if line.is_empty() { blank + 1 } else { 0 };
        if blank < 2 {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy
}

fn is_breaking(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line() {
        for (text, line) in [
            ("Order A-1 is confirmed", "Order A-1 is confirmed"),
            ("Hi\r\nBcc: all@example.com", "Hi Bcc: all@example.com"),
            ("a\u{85}b\u{2028}c\0d\te", "a b c d e"),
            ("  evil\u{202e}gpj  ", "evil gpj"),
            ("\r\n", ""),
        ] {
            assert_eq!(one_line(text), line, "{text:?}");
        }
        let long = one_line(&"ä".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn only_names_are_greeted() {
        for text in [
            "Ada Lovelace",
            "Zoë",
            "J.R.R. Tolkien",
            "Dr. Müller",
            "O'Neil",
            "李小龍",
            "<b>Bob</b>".replace('/', "").as_str(),
        ] {
            assert!(name(text).is_some(), "{text}");
        }
        assert_eq!(name("Eve\r\nBcc: victim"), Some("Eve Bcc: victim".to_owned()));
        let long = "x".repeat(61);
        for text in ["", " ", "Win! https://spam.example", "casino.example", "www.spam", "me@spam.example", &long] {
            assert_eq!(name(text), None, "{text}");
        }
    }

    #[test]
    fn texts_are_tidy() {
        assert_eq!(tidy("\n a  \n\n\n\nb\n-- \nc\n\n"), "a\n\nb\n-- \nc\n");
    }
}
