//! Settings from four layers: defaults < file < environment < flags, with every mistake told at once.
//!
//! A layer is a list of single settings (leaves). Each leaf is tried on its own against the settings' type, so
//! that one mistake does not hide the next, and every mistake names where it was made.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Environment variables that are settings start with this and name the path in capitals, joined by two
/// underscores: `CAUSEWAY_TURN__PORT` is `turn.port`. Variables without `__` are no settings.
pub const ENVIRONMENT_PREFIX: &str = "CAUSEWAY_";

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file.
    File(PathBuf),
    /// An environment variable of this name.
    Environment(String),
    /// A flag of this name.
    Flag(&'static str),
    /// Settings that are valid one by one but not together, or a default that does not fit this machine.
    Together,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Together => f.write_str("settings"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was made.
    pub origin: Origin,
    /// The setting, such as `turn.port`; empty if the whole file is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.origin, self.problem)
        } else {
            write!(f, "{}: {}: {}", self.origin, self.key, self.problem)
        }
    }
}

/// Settings as the layers have them.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The settings; those with a problem keep what an earlier layer said.
    pub settings: T,
    /// Every mistake.
    pub problems: Vec<Problem>,
    /// The settings as they were written, secrets included.
    pub(crate) table: Table,
}

/// One setting of one layer.
#[derive(Clone, Debug)]
struct Leaf {
    path: Vec<String>,
    /// The readings of the text, in the order in which they are tried.
    readings: Vec<Value>,
    origin: Origin,
}

/// Collects the layers. Later ones win.
#[derive(Default)]
pub struct Layers {
    leaves: Vec<Leaf>,
    problems: Vec<Problem>,
}

impl Layers {
    /// No layer yet: the defaults alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a TOML file. A file that cannot be read or parsed is a problem, told by [`Layers::load`].
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        let origin = Origin::File(path.to_owned());
        let table = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot be read ({error}); check the path and its permissions"))
            .and_then(|text| text.parse::<Table>().map_err(|error| format!("is not valid TOML: {error}")));
        match table {
            Ok(table) => flatten(&mut Vec::new(), table, &origin, &mut self.leaves),
            Err(problem) => {
                let problem = problem.trim_end().to_owned();
                self.problems.push(Problem { origin, key: String::new(), problem });
            }
        }
        self
    }

    /// Adds those of `variables` that are settings.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut found: Vec<_> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let path = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_lowercase();
                path.contains("__").then(|| Leaf {
                    path: path.split("__").map(str::to_owned).collect(),
                    readings: readings(&value),
                    origin: Origin::Environment(name),
                })
            })
            .collect();
        // The environment has no order of its own, and messages should.
        found.sort_by(|a, b| a.path.cmp(&b.path));
        self.leaves.extend(found);
        self
    }

    /// Adds a flag that was given: its name, the setting it stands for, its value.
    #[must_use]
    pub fn flag(mut self, name: &'static str, key: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.leaves.push(Leaf {
                path: key.split('.').map(str::to_owned).collect(),
                readings: vec![value.into()],
                origin: Origin::Flag(name),
            });
        }
        self
    }

    /// The settings, and every problem on the way to them. A leaf with a problem is left out of the settings.
    #[must_use]
    pub fn load<T: Serialize + DeserializeOwned + Default>(self) -> Loaded<T> {
        let Self { leaves, mut problems } = self;
        let mut settings = T::default();
        let mut table = Table::try_from(&settings).expect("settings' defaults are plain TOML");
        for leaf in leaves {
            match apply(&table, &leaf) {
                Ok((better, parsed)) => (table, settings) = (better, parsed),
                Err(problem) => {
                    problems.push(Problem { origin: leaf.origin, key: leaf.path.join("."), problem });
                }
            }
        }
        Loaded { settings, problems, table }
    }
}

/// The table with the leaf in it, if one of its readings fits the settings' type.
fn apply<T: DeserializeOwned>(table: &Table, leaf: &Leaf) -> Result<(Table, T), String> {
    let mut first_problem = None;
    for reading in &leaf.readings {
        let mut candidate = table.clone();
        let attempt = place(&mut candidate, &leaf.path, reading.clone())
            .and_then(|()| candidate.clone().try_into::<T>().map_err(|error| without_value(error.message())));
        match attempt {
            Ok(parsed) => return Ok((candidate, parsed)),
            Err(problem) => {
                first_problem.get_or_insert(problem);
            }
        }
    }
    Err(first_problem.unwrap_or_default())
}

/// A mistake about the kind of a value needs no value to be understood, and the value may be a secret:
/// ``invalid type: string "…", expected a sequence``.
fn without_value(message: &str) -> String {
    let Some(found) = message.strip_prefix("invalid type: ") else { return message.to_owned() };
    let kind = found.split(['"', '`', ',']).next().unwrap_or_default().trim_end();
    match found.rsplit_once(", expected ") {
        Some((_, expected)) => format!("invalid type: {kind}, expected {expected}"),
        None => format!("invalid type: {kind}"),
    }
}

fn place(table: &mut Table, path: &[String], value: Value) -> Result<(), String> {
    match path {
        [] => Err("no setting is named".to_owned()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let below = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            match below {
                Value::Table(below) => place(below, rest, value),
                Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Array(_) => Err(format!("`{section}` is a setting and has none below it")),
            }
        }
    }
}

fn flatten(path: &mut Vec<String>, table: Table, origin: &Origin, leaves: &mut Vec<Leaf>) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(below) => flatten(path, below, origin, leaves),
            value => leaves.push(Leaf { path: path.clone(), readings: vec![value], origin: origin.clone() }),
        }
        path.pop();
    }
}

/// How text from the environment can be meant: as TOML (numbers, booleans, lists), as plain text, as a list
/// with commas. TOML comes first only where it is not text anyway.
fn readings(text: &str) -> Vec<Value> {
    let plain = Value::String(text.to_owned());
    let list = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let list = Value::Array(list.map(|item| Value::String(item.to_owned())).collect());
    let toml = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    [Some(plain), toml, Some(list)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        turn: Turn,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Turn {
        port: u16,
        realm: String,
        listen: Vec<std::net::IpAddr>,
        quota: Option<u32>,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { turn: Turn { port: 3478, realm: "causeway".into(), listen: vec![], quota: None } }
        }
    }

    impl Default for Turn {
        fn default() -> Self {
            Settings::default().turn
        }
    }

    #[test]
    fn later_layers_win() {
        let (_folder, path) = file("[turn]\nport = 1\nrealm = 'file'\nquota = 5\n");
        let Loaded { settings, problems, .. } = Layers::new()
            .file(&path)
            .environment(variables(&[("CAUSEWAY_TURN__PORT", "2"), ("CAUSEWAY_TURN__REALM", "env")]))
            .flag("--port", "turn.port", Some(3))
            .flag("--realm", "turn.realm", None::<String>)
            .load::<Settings>();
        assert_eq!(problems, []);
        assert_eq!(settings.turn, Turn { port: 3, realm: "env".into(), listen: vec![], quota: Some(5) });
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_origin() {
        let (_folder, path) = file("[turn]\nport = 99999\nrelm = 'typo'\nquota = 7\n");
        let Loaded { settings, problems, .. } = Layers::new()
            .file(&path)
            .environment(variables(&[("CAUSEWAY_TURN__LISTEN", "nowhere"), ("CAUSEWAY_TUNR__PORT", "1")]))
            .load::<Settings>();
        let keys: Vec<_> = problems.iter().map(|p| (p.key.as_str(), &p.origin)).collect();
        assert_eq!(
            keys,
            [
                ("turn.port", &Origin::File(path.clone())),
                ("turn.relm", &Origin::File(path)),
                ("tunr.port", &Origin::Environment("CAUSEWAY_TUNR__PORT".into())),
                ("turn.listen", &Origin::Environment("CAUSEWAY_TURN__LISTEN".into())),
            ]
        );
        assert_eq!(settings.turn.quota, Some(7), "what is right still counts");
    }

    #[test]
    fn a_number_that_is_meant_as_text_stays_text() {
        let Loaded { settings, problems, .. } =
            Layers::new().environment(variables(&[("CAUSEWAY_TURN__REALM", "123")])).load::<Settings>();
        assert_eq!(problems, []);
        assert_eq!(settings.turn.realm, "123");
    }

    #[test]
    fn lists_may_be_written_with_commas_or_as_toml() {
        for text in ["127.0.0.1, ::1", "['127.0.0.1', '::1']"] {
            let Loaded { settings, problems, .. } =
                Layers::new().environment(variables(&[("CAUSEWAY_TURN__LISTEN", text)])).load::<Settings>();
            assert_eq!(problems, [], "{text}");
            assert_eq!(settings.turn.listen.len(), 2, "{text}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_not_shown() {
        let (_folder, path) = file("[turn]\nlisten = 'sword, expected fish'\nport = 'x'\n");
        let problems = Layers::new().file(&path).load::<Settings>().problems;
        let said: Vec<_> = problems.iter().map(|problem| problem.problem.as_str()).collect();
        assert_eq!(said, ["invalid type: string, expected a sequence", "invalid type: string, expected u16"]);
    }

    #[test]
    fn a_missing_file_is_a_problem_and_not_a_default() {
        let Loaded { problems, .. } =
            Layers::new().file(Path::new("/nonexistent/causeway.toml")).load::<Settings>();
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].to_string().starts_with("/nonexistent/causeway.toml: cannot be read"),
            "{problems:?}"
        );
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let Loaded { problems, .. } =
            Layers::new().environment(variables(&[("CAUSEWAY_BIN", "x"), ("PATH", "y")])).load::<Settings>();
        assert_eq!(problems, []);
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("causeway.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }
}
