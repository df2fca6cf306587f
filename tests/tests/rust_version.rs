//! The `rust-version` of each crate is no lower than that of anything it is built from.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

fn version(package: &Value) -> Rust {
    let text = package["rust_version"].as_str().unwrap_or("1.0");
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap_or(0))
}

/// Whether `dependency` is one of a build, and not of tests alone.
fn is_built(dependency: &Value) -> bool {
    dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev")
}

#[test]
#[ignore = "needs the packages of all platforms; .ci/run fetches them and runs it"]
fn no_crate_promises_an_older_rust_than_its_dependencies_need() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--all-features"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let by_id = |list: &'static str, of: &'_ Value| -> BTreeMap<String, Value> {
        let list = of[list].as_array().unwrap().iter();
        list.map(|entry| (entry["id"].as_str().unwrap().to_owned(), entry.clone())).collect()
    };
    let packages = by_id("packages", &all);
    let nodes = by_id("nodes", &all["resolve"]);
    let mut looked = 0;
    for id in all["workspace_members"].as_array().unwrap() {
        let root = id.as_str().unwrap();
        // The facade's depends on the features; see below.
        if packages[root]["name"] == "cotter" {
            continue;
        }
        let (mut seen, mut left) = (BTreeSet::new(), vec![root.to_owned()]);
        while let Some(next) = left.pop() {
            let dependencies = nodes[&next]["deps"].as_array().unwrap().iter();
            left.extend(
                dependencies
                    .filter(|dependency| is_built(dependency))
                    .map(|dependency| dependency["pkg"].as_str().unwrap().to_owned())
                    .filter(|id| !seen.contains(id)),
            );
            let (ours, theirs) = (version(&packages[root]), version(&packages[&next]));
            let name = |id: &str| packages[id]["name"].as_str().unwrap().to_owned();
            // A dependency that is built with the promise is one of ours, or knows.
            if name(&next) != "cotter" {
                assert!(theirs <= ours, "{} needs {theirs:?} for {}", name(root), name(&next));
            }
            seen.insert(next);
            looked += 1;
        }
    }
    assert!(looked > 100, "{looked}");
}

/// Major and minor.
type Rust = (u64, u64);

/// What README says of the facade's features: which Rust some need, where the rest needs the first one.
fn promised() -> (Rust, Vec<(String, Rust)>) {
    let readme = include_str!("../../README.md").replace('\n', " ");
    let sentence = readme.split("Rust 1.").nth(1).unwrap().split(").").next().unwrap();
    let parse = |text: &str| {
        let digits = text.chars().take_while(char::is_ascii_digit).collect::<String>();
        (1, digits.parse().unwrap())
    };
    let mut named = Vec::new();
    for group in
        sentence.split("except for").nth(1).unwrap().split("(1.").collect::<Vec<_>>().windows(2)
    {
        let features = group[0].split('`').skip(1).step_by(2);
        named.extend(features.map(|feature| (feature.to_owned(), parse(group[1]))));
    }
    (parse(sentence), named)
}

#[test]
#[ignore = "needs the packages of all platforms; .ci/run fetches them and runs it"]
fn the_facade_needs_no_newer_rust_than_readme_says_of_each_feature() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let all = run(&["metadata", "--locked", "--format-version", "1", "--all-features"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let mut needs = BTreeMap::new();
    let mut features = Vec::new();
    for package in all["packages"].as_array().unwrap() {
        let text = |field: &str| package[field].as_str().unwrap().to_owned();
        if text("name") == "cotter" {
            features = package["features"].as_object().unwrap().keys().cloned().collect();
            continue;
        }
        needs.insert(format!("{} v{}", text("name"), text("version")), version(package));
    }
    let (enough, named) = promised();
    assert_eq!((enough, named.len()), ((1, 85), 5), "README is not understood");
    features.retain(|feature| feature != "default");
    assert!(features.len() > 10);
    for feature in features {
        let promise = named.iter().find(|(name, _)| *name == feature).map_or(enough, |(_, at)| *at);
        let tree = run(&[
            "tree",
            "--locked",
            "-p",
            "cotter",
            "--no-default-features",
            "--features",
            &feature,
            "--target",
            "all",
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "--no-dedupe",
        ]);
        let built =
            tree.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
        for package in
            built.filter(|package| !package.is_empty() && !package.starts_with("cotter v"))
        {
            let needed = needs[&package];
            assert!(
                needed <= promise,
                "{feature} needs {needed:?} for {package}, README says {promise:?}"
            );
        }
    }
}
