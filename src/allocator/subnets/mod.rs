//! Operations on subnets: create, change, exclude, delete. Reads are in `lists` and `lookup`.

mod change;
mod create;
mod delete;
pub(super) mod rules;
mod service;

pub(super) use change::{check_page_limit, in_use, no_subnet};
