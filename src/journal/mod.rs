//! Record format, batches, replay. Pure: knows no file and no thread.
