//! Layouts of jobs.

use super::list::{read_cursor, read_items, read_page, write_cursor, write_items, write_page};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{JobId, Seq};
use crate::message::{Job, JobGet, JobList, JobPage};
use crate::wire::{Reader, Writer};

/// Bytes of a job.
pub(super) const JOB_BYTES: usize = 64;

impl Layout for Job {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let job_id = JobId(reader.u64("job_id")?);
        let kind = reader.numbered("kind")?;
        let state = reader.numbered("state")?;
        reader.zero::<6>("reserved")?;
        let network_id = reader.id("network_id")?;
        let subnet_id = reader.id("subnet_id")?;
        let done = reader.u64("done")?;
        let total = reader.u64("total")?;
        reader.no_tags()?;
        Ok(Self { job_id, kind, state, network_id, subnet_id, done, total })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.job_id.0);
        writer.numbered(self.kind);
        writer.numbered(self.state);
        writer.slice(&[0; 6]);
        writer.slice(self.network_id.as_bytes());
        writer.slice(self.subnet_id.as_bytes());
        writer.u64(self.done);
        writer.u64(self.total);
    }
}

impl Layout for JobGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let job_id = JobId(reader.u64("job_id")?);
        reader.no_tags()?;
        Ok(Self { job_id })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.job_id.0);
    }
}

impl Layout for JobList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut page = read_page(reader)?;
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                page.cursor = read_cursor(value, "cursor")?;
            }
            Ok(tag == 0x8001)
        })?;
        Ok(Self { page })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_page(&self.page, writer);
        write_cursor(0x8001, self.page.cursor.as_ref(), writer);
    }
}

impl Layout for JobPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        match read_items(reader, JOB_BYTES)? {
            (Seq(0), items, next) => Ok(Self { items, next }),
            _ => Err(DecodeError::new(Fault::Reserved, "reserved")),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(Seq(0), &self.items, self.next.as_ref(), writer);
    }
}
