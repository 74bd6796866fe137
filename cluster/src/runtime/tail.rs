//! What a node says from a moment on: the lines that its log gets.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::log::own_words;

/// Reads the lines that are written to a node's log from the moment this is made.
///
/// Lines of the suite itself (a start, an end) are passed over: they are not the node's.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    read: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl LogTail {
    /// From the end that `<dir>/<node>.log` has now; a log that is not there yet is read from
    /// its beginning.
    pub fn from_now(dir: &Path, node: &str) -> Self {
        let path = dir.join(format!("{node}.log"));
        let read = path.metadata().map_or(0, |about| about.len());
        Self {
            path,
            read,
            rest: Vec::new(),
        }
    }

    /// What the node has said since the last time, line by line, without time and stream.
    ///
    /// # Errors
    /// When the log can't be read; a log that is not there has no lines.
    pub fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.read))?;
        self.read += file.read_to_end(&mut self.rest)? as u64;
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            return Ok(Vec::new());
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let text = String::from_utf8_lossy(&whole);
        let said = text.lines().filter_map(own_words).map(str::to_owned);
        Ok(said.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::runtime::NodeLog;

    #[test]
    fn only_what_the_node_says_from_now_on_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut early = LogTail::from_now(dir.path(), "n1");
        assert_eq!(early.lines().unwrap(), [] as [&str; 0]);
        let log = NodeLog::open(dir.path(), "n1", Instant::now()).unwrap();
        log.note("started n1 as pid 7, release 6f");
        log.write("out", b"serving\n");
        let mut late = LogTail::from_now(dir.path(), "n1");
        log.write("err", b"ERROR  two  spaces stay\n");
        assert_eq!(
            early.lines().unwrap(),
            ["serving", "ERROR  two  spaces stay"]
        );
        assert_eq!(late.lines().unwrap(), ["ERROR  two  spaces stay"]);
        assert_eq!(late.lines().unwrap(), [] as [&str; 0]);
    }

    #[test]
    fn half_a_line_is_not_read_yet() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = LogTail::from_now(dir.path(), "n1");
        let path = dir.path().join("n1.log");
        std::fs::write(&path, "    0.0100 out half ").unwrap();
        assert_eq!(tail.lines().unwrap(), [] as [&str; 0]);
        std::fs::write(&path, "    0.0100 out half a line\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["half a line"]);
    }
}
