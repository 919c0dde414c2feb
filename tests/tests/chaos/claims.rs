//! docs/RELIABILITY.md names a test for each promise: each of them is there.

use stack::tools;

#[test]
fn every_test_that_the_page_names_is_there() {
    let page = std::fs::read_to_string(tools::root().join("docs/RELIABILITY.md")).unwrap();
    let named: Vec<(&str, &str)> = page.split('`').filter_map(|word| word.split_once(".rs::")).collect();
    assert!(named.len() > 30, "only {} tests are named", named.len());
    for (file, test) in named {
        let path = tools::root().join(format!("{file}.rs"));
        let code = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let is_a_test = code.split("#[").any(|item| {
            item.split_once(']')
                .is_some_and(|(attribute, rest)| attribute.contains("test") && rest.contains(&format!("fn {test}()")))
        });
        assert!(is_a_test, "{} has no test {test}", path.display());
    }
}
