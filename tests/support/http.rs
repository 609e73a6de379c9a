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
    let text = String::from_utf8_lossy(&bytes);
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(wrong)?;
    Ok(Answer { status, body: body.to_owned() })
}

/// Figures by name; those of one name with several labels are added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    sums: BTreeMap<String, f64>,
}

impl Figures {
    /// Reads the text format of Prometheus; lines that are no figure are left out.
    pub(crate) fn read(text: &str) -> Self {
        let mut sums = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let name = name.split('{').next().unwrap_or(name);
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
        Self { sums }
    }

    /// The sum of a figure, if there is one of that name.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.sums.get(name).copied()
    }

    /// All names with their sums.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.sums.iter().map(|(name, value)| (name.as_str(), *value))
    }
}
