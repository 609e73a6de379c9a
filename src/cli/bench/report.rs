//! The figures of a run, for eyes and for programs. Judges nothing.

use super::super::fault::Fault;
use super::super::global::Format;
use super::super::output;
use super::super::session::Session;
use super::plan::Plan;
use super::{Bench, Outcome, Workload};
use addrd_client::protocol::Status;
use serde_json::{Value, json};

/// Quantiles that are reported, with their names.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)];

pub(super) fn print(
    session: &Session,
    bench: &Bench,
    plan: &Plan,
    outcome: &Outcome,
) -> Result<(), Fault> {
    let rate = outcome.tally.operations as f64 / outcome.measured.as_secs_f64().max(1e-9);
    if session.global.quiet {
        return output::text(&format!("{rate:.0}\n"));
    }
    match session.global.output {
        Format::Json => output::json(&figures(bench, plan, outcome, rate)),
        Format::Jsonl => output::text(&format!("{}\n", figures(bench, plan, outcome, rate))),
        Format::Table | Format::Plain => output::text(&table(bench, outcome, rate)),
    }
}

fn figures(bench: &Bench, plan: &Plan, outcome: &Outcome, rate: f64) -> Value {
    let tally = &outcome.tally;
    let round = |number: f64| (number * 10.0).round() / 10.0;
    let mut latency: serde_json::Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, quantile)| ((*name).to_owned(), json!(round(tally.quantile_us(*quantile)))))
        .collect();
    latency.insert("max".to_owned(), json!(round(tally.max_us())));
    latency.insert("mean".to_owned(), json!(round(tally.mean_us())));
    let errors: serde_json::Map<String, Value> = tally
        .errors
        .iter()
        .map(|(status, count)| (Status(*status).name().to_owned(), json!(count)))
        .collect();
    json!({
        "workload": match bench.workload {
            Workload::Churn => "churn",
            Workload::Allocate => "allocate",
            Workload::Ports => "ports",
            Workload::PortUpdates => "port-updates",
            Workload::Subnets => "subnets",
        },
        "loop": if bench.rate.is_some() { "open" } else { "closed" },
        "rate": bench.rate,
        "connections": bench.connections,
        "in_flight": bench.in_flight,
        "live": bench.live(),
        "capacity": plan.capacity(),
        "networks": plan.networks,
        "subnets": plan.subnets,
        "duration_s": outcome.measured.as_secs_f64(),
        "prefill_s": outcome.prefill.as_secs_f64(),
        "operations": tally.operations,
        "operations_per_second": round(rate),
        "busy": tally.busy,
        "errors": tally.errors_total(),
        "errors_by_status": errors,
        "latency_us": latency,
    })
}

fn table(bench: &Bench, outcome: &Outcome, rate: f64) -> String {
    let tally = &outcome.tally;
    let from =
        if bench.rate.is_some() { "from the intended start" } else { "from the first sending" };
    let mut lines = vec![
        format!("operations        {}", thousands(tally.operations)),
        format!("a second          {}", thousands(rate as u64)),
        format!("busy, repeated    {}", thousands(tally.busy)),
        format!("errors            {}", thousands(tally.errors_total())),
    ];
    for (status, count) in &tally.errors {
        lines.push(format!("  {:<16}{}", Status(*status).name(), thousands(*count)));
    }
    lines.push(format!("latency, us, {from}"));
    for (name, quantile) in QUANTILES {
        lines.push(format!("  {name:<16}{:.1}", tally.quantile_us(quantile)));
    }
    lines.push(format!("  {:<16}{:.1}", "max", tally.max_us()));
    lines.push(String::new());
    lines.join("\n")
}

/// A number that can be read at a glance.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_can_be_read() {
        let shown: Vec<String> = [0, 12, 999, 1_000, 1_234_567].map(thousands).to_vec();
        assert_eq!(shown, ["0", "12", "999", "1,000", "1,234,567"]);
    }
}
