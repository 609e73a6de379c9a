//! From figures to the text of `/metrics`. Called once a second, never on the way of a request: the
//! library behind it takes counters and gauges only, and histograms come as counters by bucket.

use super::metrics::{Kind, METRICS, Metric, STAGE_BUCKET, STAGE_COUNT, STAGE_SUM};
use addrd_sync::HistogramSnapshot;
use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::fmt;

/// Holds the last value of every metric.
pub struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Exporter {
    /// Without any value; knows the meaning of every metric.
    #[must_use]
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for metric in METRICS {
            let (name, meaning) = (KeyName::from(metric.name), SharedString::from(metric.meaning));
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, meaning),
                Kind::Gauge => recorder.describe_gauge(name, None, meaning),
            }
        }
        Self { handle: recorder.handle(), recorder }
    }

    /// Sets a counter to what was counted since the start; values of labels in their order.
    pub fn counter(&self, metric: &Metric, labels: &[&str], value: u64) {
        debug_assert_eq!(metric.kind, Kind::Counter);
        self.recorder.register_counter(&key(metric, labels), &METADATA).absolute(value);
    }

    /// Sets a gauge.
    pub fn gauge(&self, metric: &Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.kind, Kind::Gauge);
        self.recorder.register_gauge(&key(metric, labels), &METADATA).set(value);
    }

    /// Sets the histogram of a stage: one bucket a power of two.
    pub fn stage(&self, stage: &str, snapshot: &HistogramSnapshot) {
        let mut below = 0;
        for (at, count) in snapshot.counts.iter().enumerate() {
            below += count;
            // Four places are a power of two; the last one has no end.
            let end = HistogramSnapshot::upper_ns(at).filter(|_| at % 4 == 0);
            if let Some(ns) = end {
                let le = (ns as f64 / 1e9).to_string();
                self.counter(&STAGE_BUCKET, &[stage, &le], below);
            }
        }
        self.counter(&STAGE_BUCKET, &[stage, "+Inf"], below);
        self.counter(&STAGE_COUNT, &[stage], below);
        self.gauge(&STAGE_SUM, &[stage], snapshot.sum_ns as f64 / 1e9);
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

impl Default for Exporter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

static METADATA: Metadata<'static> = Metadata::new("addrd", Level::INFO, None);

fn key(metric: &Metric, labels: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{metric:?}");
    let pairs = metric.labels.iter().zip(labels);
    let labels: Vec<Label> =
        pairs.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{LIMIT, OPERATIONS};
    use super::*;

    #[test]
    fn values_are_rendered_with_their_labels_and_meaning() {
        let exporter = Exporter::new();
        exporter.counter(&OPERATIONS, &["allocate"], 7);
        exporter.counter(&OPERATIONS, &["allocate"], 9);
        exporter.gauge(&LIMIT, &["connections_max"], 10_000.0);
        let text = exporter.render();
        assert!(text.contains("addrd_operations_total{operation=\"allocate\"} 9\n"), "{text}");
        assert!(text.contains("addrd_limit{name=\"connections_max\"} 10000\n"), "{text}");
        assert!(text.contains("# TYPE addrd_operations_total counter\n"), "{text}");
        assert!(text.contains("# HELP addrd_limit each bound"), "{text}");
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let (mut writer, reader) = addrd_sync::histogram();
        writer.record_many(500, 3);
        writer.record_many(1_500, 4);
        writer.record(u64::MAX / 4);
        let exporter = Exporter::new();
        exporter.stage("apply", &reader.snapshot());
        let text = exporter.render();
        let bucket = |le: &str, count: u64| {
            format!("addrd_stage_seconds_bucket{{stage=\"apply\",le=\"{le}\"}} {count}\n")
        };
        assert!(text.contains(&bucket("0.000001024", 3)), "{text}");
        assert!(text.contains(&bucket("0.000002048", 7)), "{text}");
        assert!(text.contains(&bucket("+Inf", 8)), "{text}");
        assert!(text.contains("addrd_stage_seconds_count{stage=\"apply\"} 8\n"), "{text}");
    }
}
