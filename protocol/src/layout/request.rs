//! Which request body belongs to which operation: the one table for both directions.

use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::message::Request;
use crate::opcode::Opcode;
use crate::wire::{Reader, Writer};

macro_rules! requests {
    ($($opcode:ident => $variant:ident;)*) => {
        impl Request {
            /// The operation that this body belongs to.
            #[must_use]
            pub const fn opcode(&self) -> Opcode {
                match self {
                    $(Self::$variant(_) => Opcode::$opcode,)*
                    Self::ServerStatus => Opcode::SERVER_STATUS,
                }
            }

            /// Reads the body of an operation up to its end.
            #[inline]
            pub(crate) fn read(opcode: Opcode, reader: &mut Reader<'_>) -> Read<Self> {
                match opcode {
                    $(Opcode::$opcode => Layout::read(reader).map(Self::$variant),)*
                    Opcode::SERVER_STATUS => reader.no_tags().map(|()| Self::ServerStatus),
                    Opcode(value) => {
                        Err(DecodeError::new(Fault::Unknown { value: value.into() }, "opcode"))
                    }
                }
            }

            /// Appends the body.
            #[inline]
            pub(crate) fn write(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Self::$variant(body) => body.write(writer),)*
                    Self::ServerStatus => {}
                }
            }
        }
    };
}

requests! {
    ALLOCATE => Allocate;
    RELEASE => Release;
    HELLO => Hello;
    PING => Ping;
    JOB_GET => JobGet;
    JOB_LIST => JobList;
    CLOCK_ACCEPT => ClockAccept;
    SERVER_ADOPT => ServerAdopt;
    BACKUP_READ => BackupRead;
    WATCH => Watch;
    UNWATCH => Unwatch;
    HISTORY => History;
    NETWORK_CREATE => NetworkCreate;
    NETWORK_GET => NetworkGet;
    NETWORK_LIST => NetworkList;
    NETWORK_UPDATE => NetworkUpdate;
    NETWORK_DELETE => NetworkDelete;
    NETWORK_FIND => NetworkFind;
    SUBNET_CREATE => SubnetCreate;
    SUBNET_GET => SubnetGet;
    SUBNET_LIST => SubnetList;
    SUBNET_UPDATE => SubnetUpdate;
    SUBNET_DELETE => SubnetDelete;
    SUBNET_EXCLUDE => SubnetExclude;
    SUBNET_INCLUDE => SubnetInclude;
    USAGE => Usage;
    FREE_RANGES => FreeRanges;
    SUBNET_ONBOARD => SubnetOnboard;
    ALLOCATION_UPDATE => AllocationUpdate;
    BATCH => Batch;
    TRANSACTION => Transaction;
    ALLOCATION_GET => AllocationGet;
    ALLOCATION_LIST => AllocationList;
    LOOKUP => Lookup;
    RENEW => Renew;
    RENEW_OWNER => RenewOwner;
    HOLD_CONFIRM => HoldConfirm;
    HOLD_CANCEL => HoldCancel;
    HOLD_RELEASE => HoldRelease;
    TRANSFER => Transfer;
    RECONCILE => Reconcile;
    SUSPECT_LIST => SuspectList;
    MANAGER_LIST => ManagerList;
    RENEW_HOST => RenewHost;
    END_HOST => EndHost;
    HOST_LEASE_LIST => HostLeaseList;
    PROJECT_CREATE => ProjectCreate;
    PROJECT_GET => ProjectGet;
    PROJECT_LIST => ProjectList;
    PROJECT_UPDATE => ProjectUpdate;
    PROJECT_DELETE => ProjectDelete;
    PRINCIPAL_CREATE => PrincipalCreate;
    PRINCIPAL_GET => PrincipalGet;
    PRINCIPAL_LIST => PrincipalList;
    PRINCIPAL_UPDATE => PrincipalUpdate;
    PRINCIPAL_DELETE => PrincipalDelete;
    TOKEN_CREATE => TokenCreate;
    TOKEN_REVOKE => TokenRevoke;
    SCOPE_CREATE => ScopeCreate;
    SCOPE_GET => ScopeGet;
    SCOPE_LIST => ScopeList;
    SCOPE_UPDATE => ScopeUpdate;
    SCOPE_DELETE => ScopeDelete;
    POOL_CREATE => PoolCreate;
    POOL_GET => PoolGet;
    POOL_LIST => PoolList;
    POOL_UPDATE => PoolUpdate;
    POOL_DELETE => PoolDelete;
    POOL_PREVIEW => PoolPreview;
    SEGMENT_CREATE => SegmentCreate;
    SEGMENT_GET => SegmentGet;
    SEGMENT_LIST => SegmentList;
    SEGMENT_UPDATE => SegmentUpdate;
    SEGMENT_DELETE => SegmentDelete;
    SEGMENT_HOSTS => SegmentHosts;
    HOST_LIST => HostList;
    PORT_CREATE => PortCreate;
    PORT_GET => PortGet;
    PORT_LIST => PortList;
    PORT_UPDATE => PortUpdate;
    PORT_DELETE => PortDelete;
    PIN_CREATE => PinCreate;
    PIN_DELETE => PinDelete;
    PIN_LIST => PinList;
}
