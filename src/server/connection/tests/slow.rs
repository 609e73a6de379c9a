//! Slow requests: counted, and logged with the time that each stage took.

use super::super::super::decider::Decider;
use super::super::super::testing::{FakeDecider, Stage, release, settle};
use crate::config::Bounds;
use crate::engine::{Parcel, Stages};
use crate::telemetry::log::{Format, subscriber};
use crate::telemetry::reactors::Count;
use addrd_protocol::Status;
use addrd_protocol::codec::encode_reply;
use addrd_protocol::message::Reply;
use bytes::BytesMut;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer(parcel: &Parcel, stages: Stages) {
    let mut frames = BytesMut::new();
    for one in &parcel.operations {
        let status = Status::NOT_HELD;
        encode_reply(one.opcode, one.request_id, status, &Reply::Empty, &mut frames);
    }
    parcel.outlet.deliver(frames.freeze(), parcel.operations.len() as u32, stages);
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_is_logged_with_its_stages_and_a_fast_one_is_not() {
    const MS: u64 = 1_000_000;
    let page = Page::default();
    let out = page.clone();
    let (subscriber, _log) = subscriber(tracing::Level::WARN, Format::Json, move || out.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let bounds = Bounds { slow_request: Duration::from_millis(8), ..Bounds::default() };
    let stage = Stage::bounded(FakeDecider::holding(), bounds);
    let mut peer = stage.greeted().await;
    // In all 15 ms, and 6 ms.
    for (id, [pushed, ring, apply, wait, commit]) in [(2, [5, 1, 2, 3, 4]), (3, [1, 1, 1, 1, 2])] {
        let begun_ns = stage.shared.decider.clock().monotonic_ns();
        peer.send(&release(id, 0)).await;
        settle().await;
        let (_, parcel) = stage.decider.take().remove(0);
        let mut passed_ns = begun_ns;
        let mut after = |ms: u64| {
            passed_ns += ms * MS;
            passed_ns
        };
        let stages = Stages {
            pushed_ns: after(pushed),
            began_ns: after(ring),
            handed_ns: after(apply),
            commit_ns: after(wait),
            durable_ns: after(commit),
        };
        answer(&parcel, stages);
        assert_eq!(peer.status().await, (id, Status::NOT_HELD));
    }
    assert_eq!(stage.shared.reactors.snapshot().count(Count::SlowRequests), 1);
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!((&line["message"], &line["operation"]), (&"slow request".into(), &"release".into()));
    let told = ["ring_us", "apply_us", "commit_wait_us", "commit_us"].map(|name| &line[name]);
    assert_eq!(told, [1_000, 2_000, 3_000, 4_000].map(serde_json::Value::from).each_ref());
    // Kept in units of 1,024 ns.
    let near = |name: &str, us: u64| line[name].as_u64().unwrap().abs_diff(us) <= 2;
    assert!(near("total_us", 15_000) && near("decode_us", 5_000), "{line}");
}
