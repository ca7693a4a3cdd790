//! A relay whose metrics can be read.

use causeway_turn::TurnSettings;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::relay::TestRelay;

/// Starts a relay, and what shows its metrics. They are complete once the relay has stopped.
pub fn measured(settings: &TurnSettings) -> (TestRelay, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let relay = metrics::with_local_recorder(&recorder, || TestRelay::start(settings));
    (relay, recorder.handle())
}

/// What stands behind the series' name.
#[track_caller]
pub fn value(metrics: &PrometheusHandle, series: &str) -> u64 {
    let text = metrics.render();
    let line =
        text.lines().find_map(|line| line.strip_prefix(series)).expect("the series exists from the start");
    line.trim().parse().expect("a whole number")
}
