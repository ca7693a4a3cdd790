//! Logs: fields on standard error, as text for people or as JSON for collectors.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

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
        let filter =
            EnvFilter::try_new(&self.filter).unwrap_or_else(|_checked_before| EnvFilter::new("info"));
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let installed = match self.format {
            LogFormat::Text => {
                let color = std::io::stderr().is_terminal();
                tracing::subscriber::set_global_default(lines.with_ansi(color).finish())
            }
            LogFormat::Json => {
                tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish())
            }
        };
        if installed.is_err() {
            tracing::debug!("logs were already set up");
        }
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
