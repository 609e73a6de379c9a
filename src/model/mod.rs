//! Pure nouns: handles, times, stored attributes, effects. No behaviour beyond validation.

mod asked;
mod catalogue;
mod departed;
mod effect;
mod handle;
mod host_lease;
mod port;
mod tick;

pub use addrd_protocol::prefix::number_of;
pub use addrd_protocol::{
    AddressScopeId, Family, Incarnation, Instance, JobId, Mac, NetworkId, OwnerId, PoolId, PortId,
    Prefix, PrincipalId, ProjectId, Range, Revision, SegmentId, Seq, ServerId, SessionId, Setting,
    Slot, Status, SubnetId, Text, TokenHash, TokenId,
};
pub use asked::{Asked, Asker};
pub use catalogue::{ObjectRef, PoolRow, PrincipalRow, ProjectRow, ScopeRow, TokenRow};
pub use departed::{HeldBy, ThingWas};
pub use effect::{
    AllocationExtras, AllocationPlace, AllocationRow, Effect, EffectSink, ExclusionRow, JobRow,
    LevelRow, NetworkRow, SubnetRow, Unasked,
};
pub use handle::{NetworkHandle, SubnetHandle, WorkerId, worker_of};
pub use host_lease::{HostLeaseRow, HostName};
pub use port::{HostRow, PinRow, PortRow, SegmentRow, Thing};
pub use tick::Tick;
