//! Workers, sequencer, committer, checkpointer, jobs: step functions and their thread shells.
