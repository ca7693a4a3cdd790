//! `causeway.example.toml` names every setting with its documentation and its default, and cannot rot: it is made from
//! the settings' own source, here.
//!
//! ```sh
//! UPDATE_EXAMPLE=1 cargo test -p causeway --test example   # writes it anew
//! ```
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::BINARY;
use toml::{Table, Value};

const HEAD: &str = "\
# Every setting of Causeway with its default. Take the # away from what you change, and start with
#   causeway serve --config causeway.toml
# Environment variables (CAUSEWAY_TURN__PORT=3478) and flags override this file. Made by `make example`.
";

/// Where settings are defined: the binary's own first, then the parts'.
const SOURCES: [&str; 4] = ["crates/causeway/src", "crates/service/src", "turn/src", "signal/src"];

#[test]
fn the_example_is_up_to_date() {
    let (path, expected) = (example(), made());
    if std::env::var_os("UPDATE_EXAMPLE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let difference = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "run `make example`; the first difference: {difference:?}");
}

#[test]
fn with_every_setting_taken_it_loads_and_means_the_defaults() {
    let text: String = made()
        .lines()
        .filter(|line| !line.ends_with('='))
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n"
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("causeway.toml");
    fs::write(&path, &text).unwrap();
    assert_eq!(printed(&["--config", path.to_str().unwrap()]), printed(&[]), "{text}");
}

#[test]
fn every_default_is_in_it() {
    let example = made();
    for name in leaves(&printed(&[]), "") {
        let key = name.rsplit('.').next().unwrap();
        assert!(example.contains(&format!("\n#{key} = ")), "{name} is missing");
    }
}

fn example() -> PathBuf {
    root().join("causeway.example.toml")
}

/// The whole file.
fn made() -> String {
    let sources = SOURCES.map(structs);
    let mut text = HEAD.to_owned();
    write_section(&mut text, &sources, (0, "Settings"), "", &printed(&[]));
    text
}

/// One struct's settings, then those of the structs in it.
fn write_section(text: &mut String, sources: &[Structs], at: (usize, &str), path: &str, defaults: &Table) {
    let (source, name) = at;
    let fields = &sources[source][name];
    if !path.is_empty() {
        write!(text, "\n[{path}]\n").unwrap();
    }
    let below = |field: &Field| find(sources, source, &field.kind);
    let named = |field: &Field| {
        named_kind(&field.kind).and_then(|kind| Some((find(sources, source, kind)?, kind.to_owned())))
    };
    for field in fields.iter().filter(|field| below(field).is_none() && named(field).is_none()) {
        for line in &field.documentation {
            writeln!(text, "# {line}").unwrap();
        }
        match defaults.get(&field.name) {
            Some(value) => writeln!(text, "#{} = {}", field.name, value).unwrap(),
            None => writeln!(text, "#{} =", field.name).unwrap(),
        }
    }
    for field in fields {
        let Some(source) = below(field) else { continue };
        let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
        let empty = Table::new();
        let defaults = defaults.get(&field.name).and_then(Value::as_table).unwrap_or(&empty);
        write_section(text, sources, (source, &field.kind), &path, defaults);
    }
    for field in fields {
        let Some((source, kind)) = named(field) else { continue };
        write_named(text, field, &sources[source][&kind], path);
    }
}

/// Tables of which the operator chooses number and names: there is none by default, so all of it is a comment.
fn write_named(text: &mut String, field: &Field, fields: &[Field], path: &str) {
    text.push('\n');
    for line in &field.documentation {
        writeln!(text, "# {line}").unwrap();
    }
    writeln!(text, "# [{path}.{}.NAME]", field.name).unwrap();
    let defaults = printed_with_key();
    for field in fields {
        for line in &field.documentation {
            writeln!(text, "#   # {line}").unwrap();
        }
        match defaults.get(&field.name).filter(|value| value.as_str() != Some("(hidden)")) {
            Some(value) => writeln!(text, "#   {} = {}", field.name, value).unwrap(),
            None => writeln!(text, "#   {} =", field.name).unwrap(),
        }
    }
}

/// The type of the tables in a `BTreeMap` of them.
fn named_kind(kind: &str) -> Option<&str> {
    kind.strip_prefix("BTreeMap<")?.strip_suffix('>')?.split(", ").nth(1)
}

/// What a key has that is given no more than it needs.
fn printed_with_key() -> Table {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("causeway.toml");
    fs::write(&path, "[signal.api_keys.NAME]\nsecret = '0123456789abcdef0123456789abcdef'\n").unwrap();
    let table = printed(&["--config", path.to_str().unwrap()]);
    table["signal"]["api_keys"]["NAME"].as_table().unwrap().clone()
}

/// Where a struct of settings is defined, as seen from a source.
fn find(sources: &[Structs], from: usize, kind: &str) -> Option<usize> {
    let has = |source: &usize| kind.ends_with("Settings") && sources[*source].contains_key(kind);
    [from].into_iter().chain(0..sources.len()).find(has)
}

struct Field {
    name: String,
    kind: String,
    documentation: Vec<String>,
}

type Structs = BTreeMap<String, Vec<Field>>;

/// The public fields of every struct in a folder's files.
fn structs(folder: &str) -> Structs {
    let mut found = Structs::new();
    for file in rust_files(&root().join(folder)) {
        let text = fs::read_to_string(&file).unwrap();
        let (mut open, mut documentation) = (None, Vec::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("pub struct ") {
                open = rest.strip_suffix(" {").map(str::to_owned);
                documentation.clear();
            } else if line == "}" {
                open = None;
            } else if let Some(text) = line.trim_start().strip_prefix("///") {
                documentation.push(text.trim().replace("[`", "`").replace("`]", "`"));
            } else if let (Some(name), Some(field)) = (&open, line.trim_start().strip_prefix("pub ")) {
                let Some((field, kind)) = field.trim_end_matches(',').split_once(": ") else { continue };
                let documentation = std::mem::take(&mut documentation);
                let field = Field { name: field.to_owned(), kind: kind.to_owned(), documentation };
                found.entry(name.clone()).or_default().push(field);
            }
        }
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The effective settings as the binary prints them.
fn printed(arguments: &[&str]) -> Table {
    let output = Command::new(BINARY).args(["config", "print"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

/// The names of every setting in a table.
fn leaves(table: &Table, path: &str) -> Vec<String> {
    let named = |(key, value): (&String, &Value)| {
        let name = format!("{path}{key}");
        match value.as_table() {
            Some(below) => leaves(below, &format!("{name}.")),
            None => vec![name],
        }
    };
    table.iter().flat_map(named).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap()
}
