//! What a configuration that was read again changes in a running process, and the one sentence about it.

use std::collections::BTreeMap;
use std::fmt;

use metrics::{counter, describe_counter};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::config::{Loaded, Origin, Problem};

const RELOADS: &str = "causeway_config_reloads_total";

/// The settings that are in force, and how they were written. What was written holds secrets, so nothing shows it.
pub struct Effective<T> {
    settings: T,
    table: Table,
}

/// From the settings in force to those that were read, as far as a running process can go.
pub struct Change<T> {
    /// What is in force once the change is made: settings that need a restart keep their old value.
    pub effective: Effective<T>,
    /// What to tell about it.
    pub difference: Difference,
}

/// Which settings are different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Those that take effect, by name.
    pub applied: Vec<String>,
    /// Those that need a restart, by name.
    pub waiting: Vec<String>,
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.waiting.is_empty()
    }
}

impl<T> Effective<T> {
    /// The settings.
    pub const fn settings(&self) -> &T {
        &self.settings
    }
}

impl<T> From<Loaded<T>> for Effective<T> {
    fn from(Loaded { settings, table, problems: _ }: Loaded<T>) -> Self {
        Self { settings, table }
    }
}

impl<T: DeserializeOwned> Effective<T> {
    /// What changes if `wanted` is to be in force and only settings of `live` can change; a name in `live` stands for
    /// everything below it, too.
    ///
    /// # Errors
    /// The old and the new values together are no settings.
    pub fn toward(&self, wanted: &Self, live: &[String]) -> Result<Change<T>, Problem> {
        let (old, new) = (leaves(&self.table), leaves(&wanted.table));
        let mut table = self.table.clone();
        let (mut applied, mut waiting) = (Vec::new(), Vec::new());
        let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys.into_iter().filter(|key| old.get(*key) != new.get(*key)) {
            let name = key.join(".");
            if live.iter().any(|live| is_of(&name, live)) {
                put(&mut table, key, new.get(key).copied().cloned());
                applied.push(name);
            } else {
                waiting.push(name);
            }
        }
        let settings = table.clone().try_into::<T>().map_err(|error| Problem {
            origin: Origin::Together,
            key: String::new(),
            problem: format!("{}; restart the process to change all of them at once", error.message()),
        })?;
        Ok(Change { effective: Self { settings, table }, difference: Difference { applied, waiting } })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.applied.as_slice(), self.waiting.as_slice()) {
            ([], []) => f.write_str("nothing has changed"),
            (applied, []) => write!(f, "{} took effect", listed(applied)),
            ([], waiting) => f.write_str(&restart(waiting)),
            (applied, waiting) => write!(f, "{} took effect; {}", listed(applied), restart(waiting)),
        }
    }
}

fn restart(waiting: &[String]) -> String {
    let (need, keep) = if waiting.len() == 1 { ("needs", "keeps its") } else { ("need", "keep their") };
    format!("{} {need} a restart and {keep} old value until then", listed(waiting))
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn is_of(name: &str, live: &str) -> bool {
    name.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Every setting of a table under its path.
fn leaves(table: &Table) -> BTreeMap<Vec<String>, &Value> {
    let mut found = BTreeMap::new();
    collect(&mut Vec::new(), table, &mut found);
    found
}

fn collect<'a>(path: &mut Vec<String>, table: &'a Table, found: &mut BTreeMap<Vec<String>, &'a Value>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Table(below) => collect(path, below, found),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {
                found.insert(path.clone(), value);
            }
        }
        path.pop();
    }
}

/// Sets or removes one setting. A table that is empty then goes, too: it may be one of several of a kind, such as a key.
fn put(table: &mut Table, path: &[String], value: Option<Value>) {
    match path {
        [] => {}
        [last] => {
            match value {
                Some(value) => table.insert(last.clone(), value),
                None => table.remove(last),
            };
        }
        [section, rest @ ..] => {
            let below = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(below) = below else { return };
            put(below, rest, value);
            if below.is_empty() {
                table.remove(section);
            }
        }
    }
}

/// How a reload ended: the label of `causeway_config_reloads_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// Settings changed, or wait for a restart.
    Applied,
    /// Nothing was different.
    Unchanged,
    /// There were mistakes; the old configuration stays in force.
    Refused,
}

impl ReloadResult {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Applied, Self::Unchanged, Self::Refused];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }

    /// Has every result shown from the start, so that a rate of zero is zero and not absent.
    pub fn describe() {
        describe_counter!(RELOADS, "Times that the configuration was read again, by result");
        for result in Self::ALL {
            counter!(RELOADS, "result" => result.as_str()).increment(0);
        }
    }

    /// Counts one.
    pub fn count(self) {
        counter!(RELOADS, "result" => self.as_str()).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::config::Layers;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        port: u16,
        limits: Limits,
        users: Vec<String>,
        keys: BTreeMap<String, Limits>,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Limits {
        rate: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        burst: Option<u32>,
    }

    #[test]
    fn what_is_live_takes_effect_and_the_rest_keeps_its_value() {
        let old = effective("port = 1\nusers = ['a']\n");
        let change =
            old.toward(&effective("port = 2\nusers = ['a', 'b']\n[limits]\nrate = 5\n"), &live()).unwrap();
        assert_eq!(
            change.effective.settings,
            Settings {
                port: 1,
                limits: Limits { rate: 5, burst: None },
                users: vec!["a".into(), "b".into()],
                keys: BTreeMap::new(),
            }
        );
        assert_eq!(
            change.difference.to_string(),
            "limits.rate and users took effect; port needs a restart and keeps its old value until then"
        );
    }

    #[test]
    fn a_setting_that_waits_is_told_again_until_the_restart() {
        let old = effective("port = 1");
        let wanted = effective("port = 2");
        let now = old.toward(&wanted, &live()).unwrap().effective;
        assert_eq!(now.toward(&wanted, &live()).unwrap().difference.waiting, ["port"]);
        assert_eq!(now.toward(&old, &live()).unwrap().difference.to_string(), "nothing has changed");
    }

    #[test]
    fn a_setting_that_was_taken_out_goes_back_to_its_default() {
        let old = effective("[limits]\nrate = 3\nburst = 5");
        let change = old.toward(&effective(""), &live()).unwrap();
        assert_eq!(change.effective.settings, Settings::default());
        assert_eq!(change.difference.to_string(), "limits.burst and limits.rate took effect");
    }

    #[test]
    fn of_a_table_that_was_taken_out_nothing_stays() {
        let old = effective("[keys.one]\nrate = 3\n[keys.two]\nrate = 4");
        let change = old.toward(&effective("[keys.two]\nrate = 4"), &live()).unwrap();
        assert_eq!(change.effective.settings.keys.keys().collect::<Vec<_>>(), ["two"]);
        assert_eq!(change.difference.to_string(), "keys.one.rate took effect");
    }

    #[test]
    fn a_name_stands_for_what_is_below_it_and_for_nothing_that_begins_alike() {
        assert!(is_of("limits.rate", "limits") && is_of("limits", "limits"));
        assert!(!is_of("limits_of_others", "limits"));
    }

    fn live() -> Vec<String> {
        ["limits", "users", "keys"].map(str::to_owned).to_vec()
    }

    fn effective(text: &str) -> Effective<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("causeway.toml");
        std::fs::write(&path, text).unwrap();
        let loaded = Layers::new().file(&path).load::<Settings>();
        assert_eq!(loaded.problems, []);
        loaded.into()
    }
}
