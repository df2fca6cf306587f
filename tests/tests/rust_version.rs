//! The `rust-version` of each crate is no lower than that of anything it is built from.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

fn version(package: &Value) -> (u64, u64) {
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
        // The facade promises it for a set of features that README names.
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
