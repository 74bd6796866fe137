//! The thread that writes a history.

use std::fs::File;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use elle_rs::history::file::Writer;

use super::{RecordError, Shared, lock};

/// What was recorded is handed to the kernel after at most this and the time of one write:
/// well under the 100 ms promised.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Writes until the recorder is closed or the disk fails. Returns the size of the file.
pub(super) fn run(shared: &Shared, file: File) -> io::Result<u64> {
    let report = ReportAtEnd {
        shared,
        done: false,
    };
    let result = write_all(shared, file);
    report.finish(&result);
    result
}

fn write_all(shared: &Shared, file: File) -> io::Result<u64> {
    let mut writer = Writer::new(file)?;
    let mut taken = Vec::new();
    loop {
        let closed = {
            let order = lock(&shared.order);
            let (mut order, _) = shared
                .work
                .wait_timeout_while(order, FLUSH_EVERY, |order| {
                    !order.closed && order.waiting.len() < super::WAITING_MAX / 2
                })
                .unwrap_or_else(PoisonError::into_inner);
            // The two buffers change places, so that none is ever allocated anew.
            std::mem::swap(&mut taken, &mut order.waiting);
            order.closed
        };
        shared.room.notify_all();
        if !taken.is_empty() {
            for event in taken.drain(..) {
                writer.append(&event)?;
            }
            writer.flush()?;
        }
        if closed {
            let file = writer.finish()?;
            file.sync_all()?;
            return Ok(file.metadata()?.len());
        }
    }
}

/// Tells everyone when the writer ends by an error or a panic: nobody may wait for it in vain.
struct ReportAtEnd<'a> {
    shared: &'a Shared,
    done: bool,
}

impl ReportAtEnd<'_> {
    fn finish(mut self, result: &io::Result<u64>) {
        self.done = true;
        if let Err(error) = result {
            self.report(error.to_string());
        }
    }

    fn report(&self, reason: String) {
        tracing::error!("failed to write the history: {reason}");
        lock(&self.shared.order).failed = Some(reason.clone());
        self.shared.room.notify_all();
        self.shared
            .failure
            .send_replace(Some(RecordError::Write(reason)));
    }
}

impl Drop for ReportAtEnd<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.report("the thread that writes it panicked".to_owned());
        }
    }
}
