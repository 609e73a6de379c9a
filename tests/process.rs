//! Whole-process tests: the real binary with a data directory of its own, over real sockets,
//! killed, stopped, flooded and started again. They assert what a user is promised (docs, SPEC),
//! and never look inside the server.
//!
//! Sizes fit a change; environment variables scale them up:
//!
//! | variable | means | default |
//! |---|---|---|
//! | `ADDRD_SEED` | seed of every random choice, printed by each test | from the clock |
//! | `ADDRD_ROUNDS` | kills under load | 20 |
//! | `ADDRD_BACKUPS` | backups under load that are restored | 2 |
//! | `ADDRD_HISTORIES` | histories of which all orders are tried (T10) | 100 |
//! | `ADDRD_FRAMES` | malformed frames | 100,000 |
//! | `ADDRD_PEERS` | bad peers of each kind: idle, slow, half handshakes (T8, T9) | 500 |
//! | `ADDRD_ISOLATION` | rounds of each worker of two projects side by side | 120 |
//! | `ADDRD_SECONDS` | seconds of overload, and of bad peers and frames together (T9) | 10 |
//! | `ADDRD_BINARY` | the program under test | the one that cargo built |

#[path = "support/mod.rs"]
mod support;

#[path = "process/access.rs"]
mod access;
#[path = "process/auditing.rs"]
mod auditing;
#[path = "process/backups.rs"]
mod backups;
#[path = "process/canary.rs"]
mod canary;
#[path = "process/checkers.rs"]
mod checkers;
#[path = "process/checkers_of_time.rs"]
mod checkers_of_time;
#[path = "process/crash.rs"]
mod crash;
#[path = "process/endurance.rs"]
mod endurance;
#[path = "process/fairness.rs"]
mod fairness;
#[path = "process/fencing.rs"]
mod fencing;
#[path = "process/frames.rs"]
mod frames;
#[path = "process/guessing.rs"]
mod guessing;
#[path = "process/history.rs"]
mod history;
#[path = "process/holding.rs"]
mod holding;
#[path = "process/hosts.rs"]
mod hosts;
#[path = "process/isolation.rs"]
mod isolation;
#[path = "process/leasing.rs"]
mod leasing;
#[path = "process/levels.rs"]
mod levels;
#[path = "process/linear.rs"]
mod linear;
#[path = "process/overload.rs"]
mod overload;
#[path = "process/peers.rs"]
mod peers;
#[path = "process/pods.rs"]
mod pods;
#[path = "process/quotas.rs"]
mod quotas;
#[path = "process/rates.rs"]
mod rates;
#[path = "process/reconciling.rs"]
mod reconciling;
#[path = "process/repeats.rs"]
mod repeats;
#[path = "process/secured.rs"]
mod secured;
#[path = "process/sessions.rs"]
mod sessions;
#[path = "process/shutdown.rs"]
mod shutdown;
#[path = "process/starts.rs"]
mod starts;
#[path = "process/struck.rs"]
mod struck;
#[path = "process/supervised.rs"]
mod supervised;
#[path = "process/tls.rs"]
mod tls;
#[path = "process/upgrades.rs"]
mod upgrades;
#[path = "process/watching.rs"]
mod watching;
