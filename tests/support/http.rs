//! One HTTP/1.1 GET over a fresh connection, and the figures of `/metrics`. Not a client for
//! anything else.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks for a path.
///
/// # Errors
/// Those of the socket, and `InvalidData` for what is no answer.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Answer::read(&bytes)
}

impl Answer {
    /// Reads all that came.
    ///
    /// # Errors
    /// `InvalidData` for what is no answer.
    pub(crate) fn read(bytes: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer");
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(wrong)?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(wrong)?;
        Ok(Self { status, body: body.to_owned() })
    }
}

/// Figures by name and labels, as they stand in the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    values: BTreeMap<String, f64>,
}

impl Figures {
    /// Reads the text format of Prometheus; lines that are no figure are left out.
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let figure = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self { values: lines.filter_map(figure).collect() }
    }

    /// A figure by its name with labels, as `name{label="value"}`.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// Gauges with the bound that belongs to each: the gauge `addrd_x` to `x_max` among the
    /// values of `addrd_limit`. As (name, value, bound).
    pub(crate) fn bounded(&self) -> Vec<(&str, f64, f64)> {
        let bound = |name: &str| {
            let plain = name.split('{').next().unwrap_or(name).strip_prefix("addrd_")?;
            self.get(&format!("addrd_limit{{name=\"{plain}_max\"}}"))
        };
        let values = self.values.iter();
        values.filter_map(|(name, value)| Some((name.as_str(), *value, bound(name)?))).collect()
    }
}
