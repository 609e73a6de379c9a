//! What is known of whether a network is shared, and what follows for those who use it. One request
//! about that is on its way at a time.

/// Of one network.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// `None`: something was asked that was not answered.
    shared: Option<bool>,
    /// The first request that was sent when it surely was shared already.
    since: u64,
    /// Guests surely have nothing, and have asked for nothing, since it was to be unshared.
    is_quiet: bool,
}

impl Sharing {
    pub(super) fn asked(&mut self, guests_have_nothing: bool) {
        self.shared = None;
        self.is_quiet = guests_have_nothing;
    }

    /// A guest asks for something.
    pub(super) fn guest_asks(&mut self) {
        self.is_quiet = false;
    }

    /// It is so from now on, for requests from `next` on.
    pub(super) fn is(&mut self, shared: bool, next: u64) {
        self.shared = Some(shared);
        self.since = next;
    }

    /// The end of the sharing was refused, since guests have something.
    pub(super) fn in_use(&mut self, next: u64) {
        assert!(!self.is_quiet, "guests have nothing, and it can't be unshared");
        self.is(true, next);
    }

    /// A guest's request was answered as if the network weren't there.
    pub(super) fn is_hidden_from(&self, request: u64) {
        let is_shown = self.shared == Some(true) && request >= self.since;
        assert!(!is_shown, "request {request} of a guest does not find the network");
    }

    /// A guest got something.
    pub(super) fn is_used(&self) {
        assert_ne!(self.shared, Some(false), "a guest has something of what is not shared");
    }

    /// The process is gone.
    pub(super) fn recovered(&mut self, shared: bool, next: u64) {
        assert!(self.shared.is_none_or(|known| known == shared), "shared after recovery: {shared}");
        self.is(shared, next);
    }
}
