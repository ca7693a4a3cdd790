//! The process's metrics, for Prometheus.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Renders what the `metrics` macros have recorded in this process.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
    process: Collector,
}

static METRICS: OnceLock<Metrics> = OnceLock::new();

impl Metrics {
    /// The process's one recorder, installed at the first call. Handles taken before that record nothing.
    ///
    /// # Panics
    /// If something else has installed a recorder: there is one per process.
    pub fn install() -> Self {
        METRICS
            .get_or_init(|| {
                let recorder = PrometheusBuilder::new()
                    .install_recorder()
                    .expect("nothing else in this process installs a recorder");
                let process = Collector::default();
                process.describe();
                Self { recorder, process }
            })
            .clone()
    }

    /// All metrics in Prometheus' text format, with the process's memory, descriptors and CPU time.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        self.recorder.render()
    }

    /// Drains histograms, which otherwise wait for a scrape that may never come. Call it every few seconds.
    pub fn upkeep(&self) {
        self.recorder.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_beside_the_process_itself() {
        let metrics = Metrics::install();
        metrics::counter!("causeway_test_total").increment(3);
        let text = Metrics::install().render();
        assert!(text.contains("causeway_test_total 3"), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        metrics.upkeep();
    }
}
