//! A node's output, line by line into one file, with the time since the run began.
//!
//! A thread per stream reads whatever comes, so that a full pipe never holds a
//! node up; what can't be written (a full disk) is dropped and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// A longer line is cut here, and goes on in the next one.
pub const LINE_BYTES_MAX: u64 = 64 * 1024;

/// What stands in the place of a stream before a line of the suite itself.
const SUITE: &str = "---";

/// One node's log file, shared by its streams.
#[derive(Clone)]
pub struct NodeLog {
    inner: Arc<Mutex<Inner>>,
    started: Instant,
}

struct Inner {
    file: File,
    dropped: u64,
}

impl NodeLog {
    /// Opens `<dir>/<node>.log` for appending. Times count from `started`.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn open(dir: &Path, node: &str, started: Instant) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.join(format!("{node}.log")))?;
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner { file, dropped: 0 })),
            started,
        })
    }

    /// Reads a stream to its end on a thread of its own.
    pub(super) fn capture(
        &self,
        stream: &'static str,
        source: impl Read + Send + 'static,
    ) -> io::Result<()> {
        let log = self.clone();
        thread::Builder::new().name(format!("log-{stream}")).spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line), Ok(length) if length > 0) {
                log.write(stream, &line);
                line.clear();
            }
        })?;
        Ok(())
    }

    /// A line of the suite itself.
    pub fn note(&self, text: &str) {
        self.write(SUITE, text.as_bytes());
    }

    /// One line of a stream (`out`, `err`).
    pub fn write(&self, stream: &str, line: &[u8]) {
        let seconds = self.started.elapsed().as_secs_f64();
        let mut text = format!("{seconds:>10.4} {stream} ").into_bytes();
        text.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        text.push(b'\n');
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.dropped > 0 {
            let note = format!(
                "{seconds:>10.4} --- {} lines before this one could not be written\n",
                inner.dropped
            );
            if inner.file.write_all(note.as_bytes()).is_ok() {
                inner.dropped = 0;
            }
        }
        if inner.file.write_all(&text).is_err() {
            inner.dropped += 1;
        }
    }
}

/// What a node itself said in a line of its log; `None` for a line of the suite.
pub(super) fn own_words(line: &str) -> Option<&str> {
    let (_seconds, line) = line.trim_start().split_once(' ')?;
    let (stream, said) = line.split_once(' ')?;
    (stream != SUITE).then_some(said)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_carry_time_and_stream_and_long_ones_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let log = NodeLog::open(dir.path(), "n1", Instant::now()).unwrap();
        log.write("out", b"hello\n");
        log.note("bye");
        let text = fs::read_to_string(dir.path().join("n1.log")).unwrap();
        let lines = text
            .lines()
            .map(|line| line.trim().split_once(' ').unwrap())
            .collect::<Vec<_>>();
        assert_eq!(
            lines.iter().map(|line| line.1).collect::<Vec<_>>(),
            ["out hello", "--- bye"]
        );
        assert!(lines.iter().all(|line| line.0.parse::<f64>().is_ok()));
    }
}
