//! What is known of a server and of the lines read so far: whether a further line agrees with all
//! of it. Asks nobody.
//!
//! Memory: about 390 bytes a line, measured with a million allocations.

use super::identity::{self, Identity, Net};
use super::line::{self, InProject, Line};
use super::reader::Sink;
use super::rehearsal::Rehearsal;
use crate::cli::fault::Fault;
use addrd_protocol::message::ProjectCreate;
use addrd_protocol::{Prefix, ProjectId, Text};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// What a line adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The server has nothing under its key.
    New,
    /// The server has it, as the line says.
    There,
}

/// Where an object was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Server,
    Line(u64),
}

/// An object.
#[derive(Clone, Debug)]
struct Entry {
    origin: Origin,
    content: Content,
}

/// What the server has of an object.
#[derive(Clone, Debug)]
enum Content {
    /// Of those that there may be millions of.
    Digest(u64),
    /// The line.
    Text(Box<str>),
    /// It is of a line: nobody compares with it.
    Unkept,
}

/// Objects and addresses.
#[derive(Default)]
pub(super) struct Known {
    objects: HashMap<Identity, Entry>,
    nets: HashMap<Net, Contents>,
    rehearsal: Rehearsal,
}

/// What is taken in a network by the first address, as numbers: it is disjoint.
type Contents = BTreeMap<u128, Taken>;

#[derive(Clone, Copy, Debug)]
struct Taken {
    last: u128,
    origin: Origin,
    /// The port that has it: what the address has besides is a line of its own.
    port: Option<uuid::Uuid>,
}

impl Known {
    /// A line of the file. `Err` says what it contradicts.
    pub(super) fn file(&mut self, line: &Line, number: u64) -> Result<Seen, String> {
        let Some(identity) = Identity::of(line) else { return Ok(Seen::New) };
        if let Some(Entry { origin, content }) = self.objects.get(&identity) {
            if let Origin::Line(other) = origin {
                return Err(format!("{identity}: line {other} says it already"));
            }
            match differing(line, content)? {
                None => return Ok(Seen::There),
                // Every server has the default project: as long as nobody named it, the file does.
                Some(_) if is_first_project(content)? => {}
                Some(what) => {
                    return Err(format!("{identity}: the server has it, with another {what}"));
                }
            }
        }
        let mac = mac_of(line);
        if let Some(mac) = &mac
            && let Some(entry) = self.objects.get(mac)
        {
            return Err(format!("{mac}: in use {}", entry.origin.told()));
        }
        // What a port of the server's has is there, and its lease as it is.
        if line.is_bare_lease() && self.is_of_port_there(line) {
            return Ok(Seen::There);
        }
        self.takes(line)?;
        self.rehearsal.line(line)?;
        let entry = Entry { origin: Origin::Line(number), content: Content::Unkept };
        self.note(identity, mac, line, entry);
        Ok(Seen::New)
    }

    /// Whether the address of a line is that of its owner, a port that the server has.
    fn is_of_port_there(&self, line: &Line) -> bool {
        let contents = identity::net_of(line).and_then(|net| self.nets.get(&net));
        let first = identity::taken_by(line).first().map(|(address, _)| number(*address));
        let taken = contents.zip(first).and_then(|(contents, first)| contents.get(&first));
        taken.is_some_and(|taken| taken.origin == Origin::Server && completes(line, taken))
    }

    /// Whether the addresses of a line are free: by whom they are taken the server wouldn't say.
    fn takes(&self, line: &Line) -> Result<(), String> {
        let net = identity::net_of(line).and_then(|net| self.nets.get(&net));
        let Some(contents) = net else { return Ok(()) };
        for (address, length) in identity::taken_by(line) {
            let (first, last) = span(address, length)?;
            let before = contents.range(..=last).next_back();
            let taken = before.map(|(_, taken)| taken).filter(|taken| taken.last >= first);
            if let Some(taken) = taken.filter(|taken| !completes(line, taken)) {
                return Err(format!("{address}: taken {}", taken.origin.told()));
            }
        }
        Ok(())
    }

    fn note(&mut self, identity: Identity, mac: Option<Identity>, line: &Line, entry: Entry) {
        if let Some(net) = identity::net_of(line) {
            let contents = self.nets.entry(net).or_default();
            for (address, length) in identity::taken_by(line) {
                if let Ok((first, last)) = span(address, length) {
                    let port = match line {
                        Line::Port(port) => Some(port.object.port_id.0),
                        _ => None,
                    };
                    let taken = Taken { last, origin: entry.origin, port };
                    contents.entry(first).or_insert(taken);
                }
            }
        }
        let of_mac = Entry { origin: entry.origin, content: Content::Unkept };
        self.objects.extend(mac.map(|mac| (mac, of_mac)));
        self.objects.insert(identity, entry);
    }
}

/// Lines of the server are believed.
impl Sink for Known {
    fn object(&mut self, line: &Line) -> Result<(), Fault> {
        self.rehearsal.believe(line);
        if let Some(identity) = Identity::of(line) {
            let content = Content::of(line).map_err(Fault::Internal)?;
            let entry = Entry { origin: Origin::Server, content };
            self.note(identity, mac_of(line), line, entry);
        }
        Ok(())
    }
}

impl Content {
    fn of(line: &Line) -> Result<Self, String> {
        Ok(match line {
            Line::Allocation(_) | Line::Prefix(_) => Self::Digest(digest(line)?),
            line => Self::Text(text(line)?.into()),
        })
    }
}

impl Origin {
    pub(super) fn told(self) -> String {
        match self {
            Self::Server => "on the server".to_owned(),
            Self::Line(number) => format!("by line {number}"),
        }
    }
}

/// Whether a line says what an address has besides its port.
fn completes(line: &Line, taken: &Taken) -> bool {
    matches!(line, Line::Allocation(held) if taken.port == Some(held.object.owner.0))
}

fn mac_of(line: &Line) -> Option<Identity> {
    let Line::Port(port) = line else { return None };
    Some(Identity::Mac(Net(port.home(), port.network_id), port.object.mac?))
}

/// An address of either family as one number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn span(address: IpAddr, length: Option<u8>) -> Result<(u128, u128), String> {
    let Some(length) = length else { return Ok((number(address), number(address))) };
    let block = Prefix::new(address, length);
    let block = block.ok_or_else(|| format!("{address}/{length} is no block of addresses"))?;
    Ok((number(block.first()), number(block.last())))
}

/// The first member that a line gives and the server has otherwise.
fn differing(line: &Line, content: &Content) -> Result<Option<String>, String> {
    match content {
        Content::Unkept => Ok(None),
        Content::Digest(known) => {
            let differs = digest(line)? != *known;
            Ok(differs.then(|| "address, length, instance or text".to_owned()))
        }
        Content::Text(known) => {
            let fault = |error: serde_json::Error| error.to_string();
            let known = line::members(known).map_err(fault)?;
            let given = line::members(&text(line)?).map_err(fault)?;
            let differs = |(name, value): &(String, Value)| known.get(name) != Some(value);
            let mut given = given.into_iter().filter(|(name, value)| says(name, value));
            Ok(given.find(differs).map(|(name, _)| name))
        }
    }
}

/// Whether it is the default project as it is on a new server.
fn is_first_project(content: &Content) -> Result<bool, String> {
    let Content::Text(known) = content else { return Ok(false) };
    let object = ProjectCreate { name: Text::new("default").ok(), ..ProjectCreate::default() };
    let first = Line::Project(InProject { project_id: ProjectId::DEFAULT, object });
    Ok(text(&first)? == **known)
}

/// Whether a member says something about the object: `allow_gateway` is a permission for the
/// request, and the strategy `default` leaves the choice to the server.
fn says(name: &str, value: &Value) -> bool {
    name != "allow_gateway" && !(name == "strategy" && value == "default")
}

fn text(line: &Line) -> Result<String, String> {
    line.without_lease().text().map_err(|error| error.to_string())
}

fn digest(line: &Line) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    text(line)?.hash(&mut hasher);
    Ok(hasher.finish())
}
