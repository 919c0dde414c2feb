//! Postal rules by country: which parts an address has there, which it needs, and what a postal code looks like.
//!
//! The rules are data, Google's address metadata (`postal/README.md` says where they are from). Of regions only the names of
//! countries that need one are compared; what a country's addresses do not have is not judged.
//!
//! Trap: an [`Address`] that was stored is parsed without these rules, which change with the data. They are for what people
//! send us: call [`check`] there, and nowhere else.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use poem_openapi::{Enum, Object};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Address, CountryCode};
use crate::problem::{Code, Problem};

static RULES: LazyLock<BTreeMap<String, Rules>> =
    LazyLock::new(|| serde_json::from_str(include_str!("postal/formats.json")).unwrap_or_default());

/// For a country of which the data say nothing.
static ANYWHERE: LazyLock<Rules> = LazyLock::new(|| Rules {
    fields: vec![
        AddressField::Name,
        AddressField::Company,
        AddressField::Line1,
        AddressField::Line2,
        AddressField::PostalCode,
        AddressField::City,
        AddressField::Region,
    ],
    ..Rules::default()
});

/// A part of an address: the name of its field in [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AddressField {
    /// The recipient.
    Name,
    /// The recipient's company.
    Company,
    /// Street and house number.
    Line1,
    /// Floor, building, care of.
    Line2,
    /// City or town.
    City,
    /// Postal code.
    PostalCode,
    /// State, province or canton.
    Region,
}

/// The rules of one country, as they stand in the data.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    fields: Vec<AddressField>,
    region_required: bool,
    postal_code_required: bool,
    postal_code_name: Option<String>,
    postal_code_pattern: Option<String>,
    postal_code_examples: Vec<String>,
    region_name: Option<String>,
    regions: Vec<Region>,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
}

#[derive(Debug, Deserialize)]
struct Region {
    code: String,
    name: String,
    also: Vec<String>,
}

impl Rules {
    fn of(country: CountryCode) -> &'static Self {
        RULES.get(country.as_str()).unwrap_or(&ANYWHERE)
    }

    /// Whether the country has such a postal code.
    fn has_postal_code(&self, code: &str) -> bool {
        let pattern = || Regex::new(&anchored(self.postal_code_pattern.as_deref()?)).ok();
        self.compiled.get_or_init(pattern).as_ref().is_none_or(|pattern| pattern.is_match(code))
    }

    /// Whether the country has such a region, by its code or one of its names.
    fn has_region(&self, region: &str) -> bool {
        let wanted = region.to_lowercase();
        let is = |name: &String| name.to_lowercase() == wanted;
        let names = |known: &Region| is(&known.code) || is(&known.name) || known.also.iter().any(is);
        self.regions.is_empty() || self.regions.iter().any(names)
    }
}

/// As the whole of a text, letters in whatever case; digits and letters are those of ASCII.
fn anchored(pattern: &str) -> String {
    format!("(?i-u)^(?:{pattern})$")
}

/// Refuses an address that the post of its country could not deliver; `at` is the JSON Pointer to it in the request.
///
/// # Errors
/// `invalid_request` that points at each part that is missing or wrong.
pub fn check(address: &Address, at: &str) -> Result<(), Problem> {
    let rules = Rules::of(address.country);
    let mut faults = Vec::new();
    let country = address.country.name();
    match &address.postal_code {
        None if rules.postal_code_required => {
            faults.push(("postal_code", format!("an address in {country} needs a postal code{}", example(rules))));
        }
        Some(code) if !rules.has_postal_code(code) => {
            faults.push(("postal_code", format!("this is no postal code of {country}{}", example(rules))));
        }
        _ => {}
    }
    match &address.region {
        None if rules.region_required => {
            let what = rules.region_name.as_deref().unwrap_or("region").replace('_', "/");
            faults.push(("region", format!("an address in {country} needs a region ({what})")));
        }
        Some(region) if rules.region_required && !rules.has_region(region) => {
            faults.push(("region", format!("{country} has no such region; its address format lists those it has")));
        }
        _ => {}
    }
    if faults.is_empty() {
        return Ok(());
    }
    let refused = Problem::new(Code::InvalidRequest, format!("The address is not complete for {country}."));
    Err(faults.into_iter().fold(refused, |problem, (field, detail)| problem.at(format!("{at}/{field}"), detail)))
}

fn example(rules: &Rules) -> String {
    rules.postal_code_examples.first().map(|example| format!(", such as `{example}`")).unwrap_or_default()
}

/// How addresses of a country are written, for whoever asks people for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AddressFormat {
    /// The country.
    pub country: CountryCode,
    /// Its English short name.
    pub name: String,
    /// The parts that an address has there, in the order in which they are written.
    pub fields: Vec<AddressField>,
    /// The parts that it needs.
    pub required: Vec<AddressField>,
    /// What its postal codes are like; null where there are none.
    #[oai(nullable)]
    pub postal_code: Option<PostalCodeFormat>,
    /// What its regions are; null where addresses have none.
    #[oai(nullable)]
    pub region: Option<RegionFormat>,
}

/// Postal codes of a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct PostalCodeFormat {
    /// What they are called there: `postal`, `zip`, `eircode` or `pin`.
    pub label: String,
    /// The regular expression (ECMA-262) of the whole code, letters in whatever case; null where any will do.
    #[oai(nullable)]
    pub pattern: Option<String>,
    /// Codes of this form.
    pub examples: Vec<String>,
}

/// Regions of a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct RegionFormat {
    /// What they are called there, such as `state`, `province` or `prefecture`.
    pub label: String,
    /// Those that there are; empty where any name will do.
    pub options: Vec<RegionOption>,
}

/// A region that an address may be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct RegionOption {
    /// Its code, such as `CA`; taken in addresses like its name.
    pub code: String,
    /// Its name in the language of the country.
    pub name: String,
}

impl AddressFormat {
    /// The format of this country's addresses.
    pub fn of(country: CountryCode) -> Self {
        let rules = Rules::of(country);
        let mut required = vec![AddressField::Name, AddressField::Line1, AddressField::City];
        required.extend(rules.postal_code_required.then_some(AddressField::PostalCode));
        required.extend(rules.region_required.then_some(AddressField::Region));
        let has = |field| rules.fields.contains(&field);
        let postal_code = has(AddressField::PostalCode).then(|| PostalCodeFormat {
            label: rules.postal_code_name.clone().unwrap_or_else(|| "postal".to_owned()),
            pattern: rules.postal_code_pattern.as_deref().map(|pattern| format!("^(?:{pattern})$")),
            examples: rules.postal_code_examples.clone(),
        });
        let option = |region: &Region| RegionOption { code: region.code.clone(), name: region.name.clone() };
        let region = has(AddressField::Region).then(|| RegionFormat {
            label: rules.region_name.clone().unwrap_or_else(|| "province".to_owned()),
            options: rules.regions.iter().map(option).collect(),
        });
        Self { country, name: country.name().to_owned(), fields: rules.fields.clone(), required, postal_code, region }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn address(country: &str, postal_code: Option<&str>, region: Option<&str>) -> Address {
        let parts = json!({"name": "Ada", "line1": "1 High Street", "city": "Town", "country": country,
                           "postal_code": postal_code, "region": region});
        serde_json::from_value(parts).unwrap()
    }

    /// Where the faults are.
    fn faults(country: &str, postal_code: Option<&str>, region: Option<&str>) -> Vec<String> {
        let checked = check(&address(country, postal_code, region), "/shipping_address");
        let Err(problem) = checked else { return Vec::new() };
        assert_eq!(problem.code(), Code::InvalidRequest);
        let document: serde_json::Value = serde_json::from_slice(&read(problem.response("", "").into_body())).unwrap();
        let errors = document["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }

    fn read(body: poem::Body) -> Vec<u8> {
        futures_util::FutureExt::now_or_never(body.into_vec()).unwrap().unwrap()
    }

    #[test]
    fn what_the_post_can_deliver_is_taken() {
        for (country, postal_code, region) in [
            ("DE", Some("20457"), None),
            ("DE", Some("20457"), Some("Hamburg")),
            ("FR", Some("75002"), None),
            ("FR", Some("75 002"), None),
            ("GB", Some("EC1Y 8SY"), None),
            ("GB", Some("ec1y8sy"), None),
            ("CA", Some("H3Z 2Y7"), Some("QC")),
            ("CA", Some("h3z2y7"), Some("quebec")),
            ("US", Some("95014"), Some("CA")),
            ("US", Some("22162-1010"), Some("virginia")),
            ("ES", Some("29001"), Some("Malaga")),
            ("ES", Some("29001"), Some("Málaga")),
            ("JP", Some("154-0023"), Some("Tokyo")),
            ("JP", Some("154-0023"), Some("東京都")),
            ("JP", Some("154-0023"), Some("13")),
            ("AE", None, Some("Dubai")),
            ("IE", None, Some("Dublin")),
            ("IE", Some("A65 F4E2"), None),
            ("AQ", None, None),
            ("HK", Some("000"), Some("Kowloon")),
        ] {
            assert!(faults(country, postal_code, region).is_empty(), "{country} {postal_code:?} {region:?}");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_pointed_at() {
        let (code, region) = ("/shipping_address/postal_code", "/shipping_address/region");
        for (country, given_code, given_region, expected) in [
            ("DE", None, None, vec![code]),
            ("DE", Some("2045"), None, vec![code]),
            ("DE", Some("204570"), None, vec![code]),
            ("DE", Some("2045A"), None, vec![code]),
            ("DE", Some("٢٠٤٥٧"), None, vec![code]),
            ("GB", Some("12345"), None, vec![code]),
            ("US", Some("95014"), None, vec![region]),
            ("US", None, None, vec![code, region]),
            ("US", Some("9501"), Some("Ontario"), vec![code, region]),
            ("CA", Some("H3Z 2Y7"), Some("Texas"), vec![region]),
            ("AE", None, None, vec![region]),
        ] {
            assert_eq!(
                faults(country, given_code, given_region),
                expected,
                "{country} {given_code:?} {given_region:?}"
            );
        }
    }

    #[test]
    fn every_country_of_the_data_is_one_of_ours_and_takes_its_own_examples() {
        assert!(RULES.len() > 240, "the data are there");
        for (code, rules) in RULES.iter() {
            let country: CountryCode = code.parse().unwrap_or_else(|_| panic!("{code} is no country"));
            assert_eq!(rules.postal_code_pattern.is_some(), rules.compiles(), "{code}: the pattern");
            for example in &rules.postal_code_examples {
                assert!(rules.has_postal_code(example), "{code}: {example}");
            }
            for region in &rules.regions {
                assert!(rules.has_region(&region.code) && rules.has_region(&region.name), "{code}: {region:?}");
            }
            let format = AddressFormat::of(country);
            assert!(format.required.iter().all(|field| format.fields.contains(field)), "{code}: {format:?}");
        }
    }

    impl Rules {
        fn compiles(&self) -> bool {
            self.postal_code_pattern.as_deref().is_some_and(|pattern| Regex::new(&anchored(pattern)).is_ok())
        }
    }

    #[test]
    fn a_format_says_what_to_ask_for() {
        let format = AddressFormat::of("US".parse().unwrap());
        let written = serde_json::to_value(&format).unwrap();
        assert_eq!(written["fields"], json!(["name", "company", "line1", "line2", "city", "region", "postal_code"]));
        assert_eq!(written["required"], json!(["name", "line1", "city", "postal_code", "region"]));
        assert_eq!((&written["postal_code"]["label"], &written["region"]["label"]), (&json!("zip"), &json!("state")));
        assert!(
            written["region"]["options"].as_array().unwrap().contains(&json!({"code": "CA", "name": "California"}))
        );
        let format = AddressFormat::of("AE".parse().unwrap());
        assert_eq!(format.postal_code, None);
    }
}
