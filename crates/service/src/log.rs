//! Logs: fields on standard error, as text for people or as JSON for collectors.

use std::io::IsTerminal;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The filter of this process's logs, which can be replaced.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The `log` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: LogFormat,
    /// What is logged, as `tracing` directives, such as `info,causeway_turn=debug`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,actix_server=warn,dimpl=error".to_owned() }
    }
}

impl LogSettings {
    /// What is wrong with the filter, in one sentence.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let error = EnvFilter::try_new(&self.filter).err()?;
        Some(format!(
            "`{}` is no log filter ({error}); write for example `info,causeway_turn=debug`",
            self.filter
        ))
    }

    /// Sends this process's logs to standard error. The first call counts; a bad filter counts as `info`.
    pub fn init(&self) {
        let (filter, handle) = reload::Layer::new(self.parsed());
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match self.format {
            LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let logs = Registry::default().with(filter).with(lines);
        match tracing::subscriber::set_global_default(logs) {
            Ok(()) => drop(FILTER.set(handle)),
            Err(_second_call) => tracing::debug!("logs were already set up"),
        }
    }

    /// Replaces the filter of this process's logs, if [`LogSettings::init`] was called; the format stays.
    pub fn refilter(&self) {
        if let Some(Err(error)) = FILTER.get().map(|handle| handle.reload(self.parsed())) {
            tracing::warn!(%error, "the log filter could not be replaced");
        }
    }

    fn parsed(&self) -> EnvFilter {
        EnvFilter::try_new(&self.filter).unwrap_or_else(|_checked_before| EnvFilter::new("info"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_told() {
        assert_eq!(LogSettings::default().problem(), None);
        let bad = LogSettings { filter: "info,a=b=c".to_owned(), ..LogSettings::default() };
        assert!(bad.problem().unwrap().contains("a=b=c"));
    }
}
