//! Pure state machine: free maps, strategies, indexes, apply. Knows no thread, socket, clock, file.

mod free_map;
mod index;
mod slab;
