//! The ceiling of the wire: frames as long as an allocation and its reply, and no work between
//! them. `serve` prints its port and answers until it is ended; `load PORT CONNECTIONS IN_FLIGHT
//! SECONDS` prints how many replies came and in how many seconds. One thread each. It reads the
//! length of each frame and nothing else of it, and listens on loopback only.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "what it prints is what it is run for")]

use std::io::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Bytes of an allocate without label (protocol/SPEC.md, sections 2 and 9).
const REQUEST_BYTES: usize = 96;
/// Bytes of its reply.
const REPLY_BYTES: usize = 80;
/// Bytes read at once; 700 requests.
const READ_BYTES: usize = 65_536;

fn frame(bytes: usize) -> Vec<u8> {
    let mut frame = vec![0; bytes];
    frame[..4].copy_from_slice(&(bytes as u32).to_be_bytes());
    frame
}

/// Whole frames that a connection has read.
struct Frames {
    bytes: Vec<u8>,
    filled: usize,
    each: usize,
}

impl Frames {
    fn of(each: usize) -> Self {
        Self { bytes: vec![0; READ_BYTES], filled: 0, each }
    }

    /// Reads once; how many frames are whole now. `None` at the end of the stream.
    async fn read(&mut self, stream: &mut TcpStream) -> Result<Option<usize>> {
        let read = stream.read(&mut self.bytes[self.filled..]).await?;
        if read == 0 {
            return Ok(None);
        }
        self.filled += read;
        let (mut at, mut count) = (0, 0);
        while let Some(length) = self.bytes[at..self.filled].first_chunk::<4>() {
            if u32::from_be_bytes(*length) as usize != self.each {
                return Err(Error::new(ErrorKind::InvalidData, "a frame of another length"));
            }
            if at + self.each > self.filled {
                break;
            }
            (at, count) = (at + self.each, count + 1);
        }
        self.bytes.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(Some(count))
    }
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let replies = frame(REPLY_BYTES).repeat(READ_BYTES / REQUEST_BYTES + 1);
    let mut requests = Frames::of(REQUEST_BYTES);
    while let Some(count) = requests.read(&mut stream).await? {
        stream.write_all(&replies[..count * REPLY_BYTES]).await?;
    }
    Ok(())
}

async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(answer(stream));
    }
}

async fn drive(port: u16, in_flight: usize, end: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let requests = frame(REQUEST_BYTES).repeat(in_flight);
    let mut replies = Frames::of(REPLY_BYTES);
    stream.write_all(&requests).await?;
    let mut answered = 0;
    while Instant::now() < end {
        let Some(count) = replies.read(&mut stream).await? else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        answered += count as u64;
        stream.write_all(&requests[..count * REQUEST_BYTES]).await?;
    }
    Ok(answered)
}

async fn load(port: u16, connections: usize, in_flight: usize, seconds: u64) -> Result<()> {
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let mut crew = JoinSet::new();
    for _ in 0..connections {
        crew.spawn(drive(port, in_flight, end));
    }
    let mut answered = 0;
    while let Some(driven) = crew.join_next().await {
        answered += driven.map_err(Error::other)??;
    }
    println!("{answered} {}", began.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = words.iter().skip(1).map_while(|word| word.parse().ok()).collect();
    match (words.first().map(String::as_str), numbers.as_slice()) {
        (Some("serve"), []) => serve().await,
        (Some("load"), [port, connections @ 1..=1024, in_flight @ 1..=1024, seconds @ 1..=600]) => {
            let port = u16::try_from(*port).map_err(Error::other)?;
            load(port, *connections as usize, *in_flight as usize, *seconds).await
        }
        _ => Err(Error::new(
            ErrorKind::InvalidInput,
            "serve | load PORT CONNECTIONS(1..1024) IN_FLIGHT(1..1024) SECONDS(1..600)",
        )),
    }
}
