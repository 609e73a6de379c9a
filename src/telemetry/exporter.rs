//! From figures to the text of `/metrics`. Called once a second, never on the way of a request.
//! Counters and gauges are the library's; histograms are counted elsewhere already, and the library
//! would count them anew from samples, so their text is written here.

use super::metrics::{Kind, METRICS, Metric};
use addrd_sync::{HistogramSnapshot, SizesSnapshot};
use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Holds the last value of every metric.
pub struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Text of each histogram by name and labels: no more of them than the table has words for.
    histograms: Mutex<BTreeMap<&'static str, BTreeMap<String, String>>>,
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
                Kind::Histogram => {}
            }
        }
        Self { handle: recorder.handle(), recorder, histograms: Mutex::default() }
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
    pub fn stage(&self, metric: &Metric, stage: &str, snapshot: &HistogramSnapshot) {
        // Four places are a power of two.
        let end = |at| HistogramSnapshot::upper_ns(at).filter(|_| at % 4 == 0);
        let ends = (0..snapshot.counts.len()).map(|at| end(at).map(|ns| seconds(ns).to_string()));
        let sum = seconds(snapshot.sum_ns);
        self.histogram(metric, &[stage], snapshot.counts.iter().copied().zip(ends), sum);
    }

    /// Sets a histogram of sizes.
    pub fn sizes(&self, metric: &Metric, snapshot: &SizesSnapshot) {
        let end = |at| SizesSnapshot::upper(at).map(|end| end.to_string());
        let ends = (0..snapshot.counts.len()).map(end);
        self.histogram(metric, &[], snapshot.counts.iter().copied().zip(ends), snapshot.sum as f64);
    }

    /// Sets a histogram: the count of each place, and its upper end if a bucket ends there.
    fn histogram(
        &self,
        metric: &Metric,
        labels: &[&str],
        places: impl Iterator<Item = (u64, Option<String>)>,
        sum: f64,
    ) {
        debug_assert_eq!(metric.kind, Kind::Histogram);
        debug_assert_eq!(metric.labels.len(), labels.len(), "{metric:?}");
        let (name, mut text, mut below) = (metric.name, String::new(), 0);
        // Labels are the server's own words: nothing in them needs an escape.
        let named: Vec<String> = metric
            .labels
            .iter()
            .zip(labels)
            .map(|(label, word)| format!("{label}=\"{word}\""))
            .collect();
        let begin: String = named.iter().map(|label| format!("{label},")).collect();
        let whole =
            if named.is_empty() { String::new() } else { format!("{{{}}}", named.join(",")) };
        for (count, end) in places {
            below += count;
            if let Some(end) = end {
                text += &format!("{name}_bucket{{{begin}le=\"{end}\"}} {below}\n");
            }
        }
        text += &format!("{name}_bucket{{{begin}le=\"+Inf\"}} {below}\n");
        text += &format!("{name}_sum{whole} {sum}\n{name}_count{whole} {below}\n");
        let mut histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        histograms.entry(metric.name).or_default().insert(whole, text);
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        let histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        for metric in METRICS {
            let Some(series) = histograms.get(metric.name) else { continue };
            let (name, meaning) = (metric.name, metric.meaning);
            text += &format!("# HELP {name} {meaning}\n# TYPE {name} histogram\n");
            series.values().for_each(|lines| text += lines);
            text.push('\n');
        }
        text
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

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn key(metric: &Metric, labels: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{metric:?}");
    let pairs = metric.labels.iter().zip(labels);
    let labels: Vec<Label> =
        pairs.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{COMMIT_SIZE, LIMIT, OPERATIONS, STAGE};
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
        exporter.stage(&STAGE, "apply", &reader.snapshot());
        exporter.stage(&STAGE, "ring", &HistogramSnapshot::empty());
        let text = exporter.render();
        let bucket = |le: &str, count: u64| {
            format!("addrd_stage_seconds_bucket{{stage=\"apply\",le=\"{le}\"}} {count}\n")
        };
        assert!(text.contains(&bucket("0.000001024", 3)), "{text}");
        assert!(text.contains(&bucket("0.000002048", 7)), "{text}");
        assert!(text.contains(&bucket("+Inf", 8)), "{text}");
        assert!(text.contains("addrd_stage_seconds_count{stage=\"apply\"} 8\n"), "{text}");
        let head =
            "# TYPE addrd_stage_seconds histogram\naddrd_stage_seconds_bucket{stage=\"apply\",";
        assert!(text.contains(head), "{text}");
        assert_eq!(text.matches("# TYPE addrd_stage_seconds ").count(), 1, "{text}");
    }

    #[test]
    fn sizes_have_inclusive_ends_and_their_sum() {
        let (mut writer, reader) = addrd_sync::sizes();
        [0, 1, 128, 128, 1_024].into_iter().for_each(|size| writer.record(size));
        let exporter = Exporter::new();
        exporter.sizes(&COMMIT_SIZE, &reader.snapshot());
        let text = exporter.render();
        for line in [
            "addrd_commit_operations_bucket{le=\"0\"} 1",
            "addrd_commit_operations_bucket{le=\"1\"} 2",
            "addrd_commit_operations_bucket{le=\"127\"} 2",
            "addrd_commit_operations_bucket{le=\"255\"} 4",
            "addrd_commit_operations_bucket{le=\"+Inf\"} 5",
            "addrd_commit_operations_sum 1281",
            "addrd_commit_operations_count 5",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }
}
