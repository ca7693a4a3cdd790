//! Changes the settings of a running process: read again as a whole, checked as a whole, then put in force.

use std::sync::Arc;

use causeway_service::config::{Loaded, Origin, Problem};
use causeway_service::reload::{Change, Difference, Effective, ReloadResult};
use causeway_service::reload_signals::{ReloadSignals, Trigger};
use causeway_signal::RunningSignal;
use tokio::task::JoinError;

use crate::exit::Exit;
use crate::relay::RelayPart;
use crate::settings::{Settings, Source};

/// The settings of this process, and when to read them again.
pub struct Reloads {
    source: Source,
    effective: Effective<Settings>,
    signals: ReloadSignals,
}

/// The parts of a process that take new settings while they run.
pub struct Parts<'a> {
    /// The relay, where there is one.
    pub relay: Option<&'a RelayPart>,
    /// Rooms, where there are any.
    pub signal: Option<&'a RunningSignal>,
}

impl Reloads {
    /// Listens for reasons to read `source` again; `effective` is what it said at the start.
    ///
    /// # Errors
    /// [`Exit::Start`] if SIGHUP cannot be taken.
    pub fn listen(mut source: Source, effective: Effective<Settings>) -> Result<Self, Exit> {
        ReloadResult::describe();
        let signals = ReloadSignals::listen(source.watch.take())
            .map_err(|error| Exit::Start(format!("cannot take SIGHUP: {error}")))?;
        Ok(Self { source, effective, signals })
    }

    /// The settings in force.
    pub const fn settings(&self) -> &Settings {
        self.effective.settings()
    }

    /// Waits until the settings are to be read again. Cancel safe.
    pub async fn due(&mut self) -> Trigger {
        self.signals.next().await
    }

    /// Reads the settings again and puts them in force, or tells every mistake and leaves all as it is.
    pub async fn run(&mut self, trigger: Trigger, parts: Parts<'_>) {
        let load = Arc::clone(&self.source.load);
        let outcome = match tokio::task::spawn_blocking(move || load()).await {
            Ok(loaded) => self.put_in_force(loaded, &parts).await,
            Err(panicked) => Err(vec![unread(&panicked)]),
        };
        let trigger = trigger.as_str();
        match outcome {
            Ok(difference) if difference.is_empty() => {
                ReloadResult::Unchanged.count();
                tracing::info!(trigger, "configuration read again: {difference}");
            }
            Ok(difference) => {
                ReloadResult::Applied.count();
                tracing::info!(trigger, "configuration reloaded: {difference}");
            }
            Err(problems) => {
                ReloadResult::Refused.count();
                let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                tracing::error!(trigger, "configuration refused, the old one stays in force: {all}");
            }
        }
    }

    async fn put_in_force(
        &mut self,
        loaded: Loaded<Settings>,
        parts: &Parts<'_>,
    ) -> Result<Difference, Vec<Problem>> {
        // What waits for a restart is checked, too: better told today than at three in the morning.
        let wanted = crate::settings::checked(loaded)?;
        let Change { effective, difference } =
            self.effective.toward(&wanted, &Settings::live()).map_err(|problem| vec![problem])?;
        let settings = effective.settings();
        // Old and new values may be right for themselves and wrong together.
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        if !difference.applied.is_empty() {
            if let Some(relay) = parts.relay {
                relay.reconfigure(settings).await?;
            }
            if let Some(signal) = parts.signal {
                signal.reconfigure(&settings.signal);
            }
            settings.log.refilter();
        }
        self.effective = effective;
        Ok(difference)
    }
}

fn unread(panicked: &JoinError) -> Problem {
    let problem = format!("could not be read ({panicked}); please report this");
    Problem { origin: Origin::Together, key: String::new(), problem }
}
