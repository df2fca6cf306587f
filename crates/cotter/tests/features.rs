//! What is written of the features, held against what there is.
#![allow(clippy::unwrap_used, reason = "it is a test")]

use std::collections::BTreeSet;

const README: &str = include_str!("../../../README.md");
const FRONT_PAGE: &str = include_str!("../src/lib.rs");
const MANIFEST: &str = include_str!("../Cargo.toml");

/// The rows between the heading of the features and the next line without one.
fn table(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start_matches("//!").trim());
    let rows = lines.skip_while(|line| !line.starts_with("| feature |"));
    rows.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

/// What the manifest says that a feature turns on, of features that one can name.
fn turned_on() -> Vec<(String, BTreeSet<String>)> {
    let features = MANIFEST.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
    let lines = features.lines().filter(|line| !line.starts_with('#'));
    let entries = lines.filter_map(|line| line.split_once(" = ["));
    let named = |list: &str| {
        let all =
            list.trim_end_matches(']').split(", ").map(|one| one.trim_matches('"').to_owned());
        all.filter(|one| !one.is_empty() && !one.contains([':', '/'])).collect()
    };
    entries.map(|(name, list)| (name.to_owned(), named(list))).collect()
}

#[test]
fn readme_and_front_page_have_the_same_table() {
    assert!(table(README).len() > 10);
    assert_eq!(table(README), table(FRONT_PAGE));
}

#[test]
fn every_feature_is_in_the_table_with_all_that_it_turns_on() {
    let rows = table(README);
    let (mut looked, mut defaults) = (0, BTreeSet::new());
    for (name, others) in turned_on() {
        if name == "default" {
            defaults = others;
            continue;
        }
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(row.contains("| yes |"), defaults.contains(&name), "{row}");
        for other in &others {
            let told = row.split("turns on").nth(1).unwrap_or_default();
            assert!(told.contains(&format!("`{other}`")), "{name} turns on {other}: {row}");
        }
        looked += 1;
    }
    assert_eq!(looked, rows.len() - 2);
}
