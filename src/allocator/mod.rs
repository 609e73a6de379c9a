//! Pure state machine: free maps, strategies, indexes, apply. Knows no thread, socket, clock, file.
