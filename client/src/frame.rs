//! Places in an encoded request that are filled in when it is sent. Knows no message.

use addrd_protocol::codec::BATCH_BYTES_MAX;
use std::time::Duration;

/// Longest frame that is sent or taken, bytes. SPEC.md section 11.
pub(crate) const FRAME_BYTES_MAX: usize = BATCH_BYTES_MAX as usize;

/// Where the request id stands in a request. SPEC.md section 2.
const REQUEST_ID_AT: usize = 8;
/// Where the time-out stands in a request. SPEC.md section 2.
const TIMEOUT_AT: usize = 16;

/// Writes request id and time left into an encoded request.
pub(crate) fn address(frame: &mut [u8], request_id: u64, left: Duration) {
    put(frame, REQUEST_ID_AT, &request_id.to_be_bytes());
    put(frame, TIMEOUT_AT, &timeout_ms(left).to_be_bytes());
}

/// At least 1, since 0 means "no limit".
fn timeout_ms(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use addrd_protocol::codec::{decode_request_slice, encode_request};
    use addrd_protocol::message::{Ping, Request, RequestHeader};
    use addrd_protocol::{NetworkId, Opcode, ProjectId};
    use bytes::BytesMut;

    #[test]
    fn id_and_time_out_land_where_the_codec_reads_them() {
        let header = RequestHeader {
            opcode: Opcode::PING,
            request_id: 1,
            timeout_ms: 0,
            project: ProjectId::DEFAULT,
            network: NetworkId::NIL,
            pool: false,
            network_project: None,
            restoring: false,
        };
        let mut frame = BytesMut::new();
        encode_request(&header, &Request::Ping(Ping {}), &mut frame).unwrap();
        address(&mut frame, 0x0102_0304_0506_0708, Duration::from_millis(1_500));
        let (read, body) = decode_request_slice(&frame).unwrap();
        assert_eq!((read.request_id, read.timeout_ms), (0x0102_0304_0506_0708, 1_500));
        assert_eq!(body, Ok(Request::Ping(Ping {})));
        assert_eq!(timeout_ms(Duration::from_micros(3)), 1);
        assert_eq!(timeout_ms(Duration::MAX), u32::MAX);
    }
}
