//! Whether the certificate by which a connection was let in would be let in now: asked again when the files of TLS were
//! read again, and when a term ends. Ends nothing itself.
//!
//! Source: docs/decisions/0037-tls.md.

use super::material::term;
use super::{Tls, wall_clock};
use crate::limits;
use crate::planted::{Bug, is_planted};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The certificates that a client has shown, its own first.
///
/// Shape: at most [`limits::TLS_CHAIN_BYTES_MAX`] bytes.
#[derive(PartialEq, Eq, Hash)]
pub(in crate::server) struct Chain(Vec<CertificateDer<'static>>);

/// A chain that was let in: by which files, and until when nothing but other files can change that.
#[derive(Clone, Debug)]
pub(in crate::server) struct Standing {
    pub(in crate::server) chain: Arc<Chain>,
    /// Of the files by which it was judged last.
    generation: u64,
    /// The next end of a term in the chain, inclusive, seconds since the Unix epoch.
    next_end: u64,
}

impl Chain {
    /// Of what was let in; `None` of nothing.
    pub(super) fn of(shown: &[CertificateDer<'static>]) -> Option<Arc<Self>> {
        (!shown.is_empty()).then(|| Arc::new(Self(shown.to_vec())))
    }

    /// Whether a verifier lets it in at a time.
    pub(super) fn is_good(&self, verifier: &dyn ClientCertVerifier, now: UnixTime) -> bool {
        let Some((own, others)) = self.0.split_first() else { return false };
        verifier.verify_client_cert(own, others, now).is_ok() || is_planted(Bug::StruckStays)
    }

    /// The first end of a term that has not passed. Also one that is needed for nothing: who is judged once more than it
    /// must be loses nothing.
    fn next_end(&self, now: UnixTime) -> u64 {
        let ends = self.0.iter().filter_map(term).map(|term| term.not_after);
        ends.filter(|end| *end >= now.as_secs()).min().unwrap_or(u64::MAX)
    }
}

impl Standing {
    /// A chain that was let in by the files of a generation.
    pub(super) fn new(chain: Arc<Chain>, generation: u64, now: UnixTime) -> Self {
        let next_end = chain.next_end(now);
        Self { chain, generation, next_end }
    }

    /// Whether it must be judged again.
    pub(in crate::server) fn is_doubtful(&self, generation: u64, now_seconds: u64) -> bool {
        self.generation != generation || self.next_end < now_seconds
    }
}

impl Tls {
    /// The generation of the files that new connections are judged by, and the time, seconds since the Unix epoch.
    pub(in crate::server) fn judging(&self) -> (u64, u64) {
        (self.kept().generation, wall_clock().as_secs())
    }

    /// Judges chains by what new connections are judged by; `None`: it would not be let in now.
    ///
    /// Shape: two signatures or so for each chain that isn't the same as another, about 0.2 ms; not for a thread that
    /// serves sockets.
    pub(in crate::server) fn judge(
        &self,
        chains: Vec<(u64, Arc<Chain>)>,
    ) -> Vec<(u64, Option<Standing>)> {
        let (clients, generation) = {
            let kept = self.kept();
            (Arc::clone(&kept.live.clients), kept.generation)
        };
        let now = wall_clock();
        let mut known = HashMap::new();
        let mut judge = |chain: Arc<Chain>| {
            let standing = known.entry(Arc::clone(&chain)).or_insert_with(|| {
                chain.is_good(&*clients, now).then(|| Standing::new(chain, generation, now))
            });
            standing.clone()
        };
        chains.into_iter().map(|(number, chain)| (number, judge(chain))).collect()
    }
}

/// Whether what a client shows is short enough to be kept.
pub(super) fn fits(own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> bool {
    let bytes: usize = others.iter().map(|other| other.len()).sum();
    own.len() + bytes <= limits::TLS_CHAIN_BYTES_MAX
}

/// Certificates of clients are nobody's business in a log.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({} certificates)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::material::{Demand, verifier};
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd,
    };
    use std::time::Duration;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn ca_params(name: &str, ends: i32) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_after = date_time_ymd(ends, 1, 1);
        params
    }

    fn root(name: &str) -> Issuer {
        CertifiedIssuer::self_signed(ca_params(name, 4000), KeyPair::generate().unwrap()).unwrap()
    }

    fn between(name: &str, ends: i32, by: &Issuer) -> Issuer {
        let key = KeyPair::generate().unwrap();
        CertifiedIssuer::signed_by(ca_params(name, ends), key, by).unwrap()
    }

    fn client(ends: i32, by: &Issuer) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI("spiffe://x/a".try_into().unwrap())];
        params.not_after = date_time_ymd(ends, 1, 1);
        params.signed_by(&KeyPair::generate().unwrap(), by).unwrap().der().clone()
    }

    fn of_roots(roots: &[&Issuer], names: &[&str]) -> Arc<dyn ClientCertVerifier> {
        let pem: String = roots.iter().map(|root| root.pem()).collect();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        verifier(pem.as_bytes(), Demand { required: true, names: &names }, &provider).unwrap()
    }

    /// The first second of a year.
    fn year(year: i32) -> UnixTime {
        let seconds = date_time_ymd(year, 1, 1).unix_timestamp();
        UnixTime::since_unix_epoch(Duration::from_secs(seconds.cast_unsigned()))
    }

    #[test]
    fn who_was_let_in_is_judged_by_the_files_that_there_are_now() {
        let (ours, other) = (root("ours"), root("other"));
        let chain = Chain::of(&[client(2030, &ours)]).unwrap();
        let is_good = |roots: &[&Issuer], names: &[&str], at| {
            chain.is_good(&*of_roots(roots, names), year(at))
        };
        assert!(is_good(&[&ours], &[], 2029));
        assert!(is_good(&[&other, &ours], &["spiffe://x/b", "spiffe://x/a"], 2029));
        assert!(!is_good(&[&other], &[], 2029), "its CA was struck");
        // The same name, another key.
        assert!(!is_good(&[&root("ours")], &[], 2029), "its CA was replaced");
        assert!(!is_good(&[&ours], &["spiffe://x/b"], 2029), "its name was struck");
        assert!(!is_good(&[&ours], &[], 2031), "its term is over");
    }

    #[test]
    fn what_lies_between_is_needed_as_long_as_the_handshake_needed_it() {
        let ours = root("ours");
        let between = between("between", 2025, &ours);
        let chain = Chain::of(&[client(2030, &between), between.der().clone()]).unwrap();
        let verifier = of_roots(&[&ours], &[]);
        assert!(chain.is_good(&*verifier, year(2024)));
        assert!(!chain.is_good(&*verifier, year(2026)), "what signed it is over");
        // Who believes what lies between needs nothing above it.
        assert!(chain.is_good(&*of_roots(&[&between], &[]), year(2024)));
        // What is shown and needed for nothing ends nobody.
        let idle = Chain::of(&[client(2030, &ours), between.der().clone()]).unwrap();
        assert!(idle.is_good(&*verifier, year(2026)));
    }

    #[test]
    fn it_is_judged_again_at_each_end_and_when_files_are_others() {
        let ours = root("ours");
        let between = between("between", 2025, &ours);
        let chain = Chain::of(&[client(2030, &ours), between.der().clone()]).unwrap();
        let standing = |at| Standing::new(Arc::clone(&chain), 7, year(at));
        let is_doubtful = |standing: Standing, at| standing.is_doubtful(7, year(at).as_secs());
        // A term has its last second still.
        assert!(!is_doubtful(standing(2024), 2025));
        assert!(is_doubtful(standing(2024), 2026));
        assert!(!is_doubtful(standing(2026), 2030));
        assert!(is_doubtful(standing(2026), 2031));
        assert!(standing(2024).is_doubtful(8, year(2024).as_secs()));
    }

    #[test]
    fn more_than_can_be_kept_is_not_let_in() {
        let ours = root("ours");
        let own = client(2030, &ours);
        let verifier = of_roots(&[&ours], &[]);
        let with = |count: usize| {
            let others = vec![ours.der().clone(); count];
            verifier.verify_client_cert(&own, &others, year(2024)).is_ok()
        };
        let most = (limits::TLS_CHAIN_BYTES_MAX - own.len()) / ours.der().len();
        assert!(with(most));
        assert!(!with(most + 1));
    }
}
