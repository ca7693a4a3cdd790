//! The table of clauses in docs/protocol.md and the tests that it names agree with each other.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const SECTION: &str = "## Clause by clause";

#[test]
fn every_test_that_the_table_names_exists() {
    let tests = tests_of(&rust_files(&root()));
    let missing: Vec<_> = named().into_iter().filter(|name| !tests.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new(), "named in docs/protocol.md, but no test");
}

#[test]
fn the_table_names_every_test_of_the_clause_files() {
    let files = rust_files(&root().join("turn/core/tests"));
    let clause_files: Vec<_> = files.into_iter().filter(|path| is_of_clauses(path)).collect();
    assert!(clause_files.len() > 5, "the files are where they were: {clause_files:?}");
    let named = named();
    let missing: Vec<_> = tests_of(&clause_files).into_iter().filter(|test| !named.contains(test)).collect();
    assert_eq!(missing, Vec::<String>::new(), "tests of clauses that docs/protocol.md does not name");
}

fn is_of_clauses(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.starts_with("rfc8656_") || name.starts_with("rfc8489_")
}

/// The tests in backquotes: names of several words in snake case.
fn named() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let table = text.split_once(SECTION).expect("docs/protocol.md has the table").1;
    let named: BTreeSet<String> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| {
            name.contains('_')
                && name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        .map(str::to_owned)
        .collect();
    assert!(named.len() > 50, "the table has its rows: {}", named.len());
    named
}

/// The names of functions below a test attribute, or within `proptest!`.
fn tests_of(files: &[PathBuf]) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let mut attributed = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") || line.starts_with("#[actix")
            {
                attributed = true;
            } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))
                && std::mem::take(&mut attributed)
            {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                tests.insert(name.to_owned());
            }
        }
    }
    tests
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | "node_modules" | "dist") && !name.starts_with('.') {
                found.extend(rust_files(&path));
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
