//! Why a process ended by itself, from what it wrote last.
//!
//! The real store says its errors in sentences, the reference store puts the error's name before
//! them; both are read alike. Sentences are those of the contract, chapters 6 and 7.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A node's log may be long; its last words are not.
const READ_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Sentences of the store, and the name of the error each belongs to.
const SENTENCES: [(&str, &str); 17] = [
    (
        "sidecar present on disk but --encryption-enabled is not set",
        "ErrSidecarPresentWithoutFlag",
    ),
    (
        "--encryption-enabled is set but no KEK source",
        "ErrKEKRequiredWithFlag",
    ),
    ("configured KEK cannot unwrap", "ErrKEKMismatch"),
    ("reached local_epoch=0xFFFF", "ErrLocalEpochExhausted"),
    (
        "does not support durable directory sync",
        "ErrUnsupportedFilesystem",
    ),
    // The same probe, where not even its file can be made.
    ("for fsync support", "ErrUnsupportedFilesystem"),
    (
        "requested index is unavailable due to compaction",
        "ErrSidecarBehindRaftLog",
    ),
    // These have no name in its design.
    ("failed to load KEK from", "kek-unusable"),
    ("encryption: parse sidecar", "sidecar-unreadable"),
    (
        "raft_applied_index is behind the raftengine",
        "ErrSidecarBehindRaftLog",
    ),
    ("hash to the same 16-bit node_id", "ErrNodeIDCollision"),
    ("writer-registry uint16 collision", "ErrNodeIDCollision"),
    (
        "raft envelope cutover index differs between",
        "ErrEnvelopeCutoverDivergence",
    ),
    ("KEK not configured on this node", "ErrKEKNotConfigured"),
    ("raft envelope unwrap failed", "ErrRaftUnwrapFailed"),
    ("active but no cipher configured", "ErrRaftUnwrapFailed"),
    (
        "writer-registry's last_seen_local_epoch",
        "ErrLocalEpochRollback",
    ),
];

/// Epoch refusals are worded in several ways; each has these two pieces.
const EPOCHS: [(&str, &str); 4] = [
    ("local_epoch rollback", "registry"),
    ("writer-registry has no row", ""),
    ("is not ahead of registry last_seen", ""),
    ("is behind registry last_seen", ""),
];

/// What says that an entry was met that can't be applied.
const HALTS: [&str; 5] = [
    "apply requested halt",
    "FSM apply failed; halting apply",
    "unwrap failed; halting apply",
    "no cipher configured; halting apply",
    "the node halted at entry",
];

/// What says that a snapshot takes the place of entries.
const INSTALLS: &str = "installing a snapshot";

/// What says that a process ends, or does not begin, for a reason it gives.
const REFUSALS: [&str; 6] = [
    "startup guard",
    "failed to load KEK from",
    "parse sidecar",
    "unsupported sidecar",
    "sidecar key_id",
    "encryption: ",
];

/// Levels that end nothing, as the stores' loggers spell them.
const QUIET: [&str; 5] = [
    " INFO ",
    " WARN ",
    " DEBUG ",
    "\"level\":\"INFO\"",
    "\"level\":\"WARN\"",
];

/// The last words of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWords {
    /// The error's name (`ErrKEKMismatch`), if it is one that has a name.
    pub name: Option<String>,
    /// Whether it met an entry that it could not apply, rather than refused to start.
    pub halted: bool,
    /// The index of that entry, if it said it.
    pub index: Option<u64>,
    /// Whether a snapshot holds that entry: then the index is the snapshot's.
    pub snapshot: bool,
    /// The line.
    pub line: String,
}

/// Reads them from a log, beginning at a byte. `None` if there are none: the process said
/// nothing that is known to be a reason.
///
/// # Errors
/// When the log can't be read.
pub fn last_words(log: &Path, from: u64) -> io::Result<Option<LastWords>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        from.max(length.saturating_sub(READ_BYTES_MAX)),
    ))?;
    let mut text = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut text)?;
    Ok(of_text(&String::from_utf8_lossy(&text)))
}

/// A halt outweighs what the process says while it goes down because of it.
fn of_text(text: &str) -> Option<LastWords> {
    let is_quiet = |line: &&str| QUIET.iter().any(|level| line.contains(level));
    let loud: Vec<_> = text.lines().filter(|line| !is_quiet(line)).collect();
    let halt = loud
        .iter()
        .find(|line| HALTS.iter().any(|piece| line.contains(piece)));
    if let Some(line) = halt {
        let index = index(line);
        return Some(LastWords {
            name: name(line),
            halted: true,
            index,
            snapshot: index.is_some_and(|index| is_snapshot(text, index)),
            line: spoken(line),
        });
    }
    let named = loud.iter().rfind(|line| name(line).is_some());
    let line = named.or_else(|| {
        let is_reason = |line: &&&str| REFUSALS.iter().any(|piece| line.contains(piece));
        loud.iter().rfind(is_reason)
    })?;
    Some(LastWords {
        name: name(line),
        halted: false,
        index: None,
        snapshot: false,
        line: spoken(line),
    })
}

/// The name that stands in a line, or that of the sentence in it.
fn name(line: &str) -> Option<String> {
    let spelled = line
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| {
            let rest = word.strip_prefix("Err").unwrap_or_default();
            rest.len() > 2 && rest.starts_with(|c: char| c.is_ascii_uppercase())
        });
    // `ErrEncryptionApply` only wraps what the matter is.
    if let Some(word) = spelled.filter(|word| *word != "ErrEncryptionApply") {
        return Some(word.to_owned());
    }
    let sentence = SENTENCES.iter().find(|(piece, _)| line.contains(piece));
    if let Some((_, name)) = sentence {
        return Some((*name).to_owned());
    }
    EPOCHS
        .iter()
        .any(|(one, other)| line.contains(one) && line.contains(other))
        .then(|| "ErrLocalEpochRollback".to_owned())
}

/// `entry_index=17`, or the same in JSON.
fn index(line: &str) -> Option<u64> {
    let (_, after) = line.split_once("entry_index")?;
    let digits = after.trim_start_matches(['"', '=', ':', ' ']);
    let end = digits.find(|c: char| !c.is_ascii_digit());
    digits[..end.unwrap_or(digits.len())].parse().ok()
}

/// Whether a snapshot of this index was being installed.
fn is_snapshot(text: &str, index: u64) -> bool {
    let mut snapshots = text.lines().filter(|line| line.contains(INSTALLS));
    let wanted = format!("index={index}");
    snapshots.any(|line| line.split_whitespace().any(|word| word == wanted))
}

/// The line without what the suite put before it: the time and the stream.
fn spoken(line: &str) -> String {
    let mut words = line.trim_start().splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(time), Some("out" | "err"), Some(rest)) if time.parse::<f64>().is_ok() => {
            rest.trim().to_owned()
        }
        _ => line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as the stores write them, and what they mean.
    const LINES: [(&str, Option<&str>, Option<u64>); 13] = [
        (
            "    1.2 err 2026/11/25 10:26:53 encryption startup guards refused process start: encryption: probe sidecar dir \"/proc/tty/ldisc\" for fsync support: open /proc/tty/ldisc/.encryption-probe-1628351269.tmp: no such file or directory",
            Some("ErrUnsupportedFilesystem"),
            None,
        ),
        (
            "    1.2 err 2026/11/25 10:26:51 encryption startup guards refused process start: sidecar=\"t/keys/s.json\" purpose=\"storage\" active_key_id=2568818436 local_epoch=0xFFFF (max=0xFFFF): encryption: active DEK has reached local_epoch=0xFFFF saturation; refusing to start (rotate the affected DEK)",
            Some("ErrLocalEpochExhausted"),
            None,
        ),
        (
            "    2.1 err 2026/11/25 10:35:35 ERROR encryption FSM apply requested halt; not advancing setApplied entry_index=7 err=\"kv/fsm: apply bootstrap: applier: bootstrap requires KEK unwrapper (Stage 6B): encryption: KEK not configured on this node; cannot unwrap wrapped DEK material\\n(1) attached stack trace\"",
            Some("ErrKEKNotConfigured"),
            Some(7),
        ),
        (
            "    0.5 err 2026-11-25T10:40:00.0Z ERROR keyquake_node: encryption startup guards refused process start: ErrReleaseTooOld: the raft envelope is active, which this release can't read (--release)",
            Some("ErrReleaseTooOld"),
            None,
        ),
        (
            "    1.2345 err 2026/11/25 10:00:00 encryption startup guards refused process start: sidecar present on disk but --encryption-enabled is not set: path=\"/x\"",
            Some("ErrSidecarPresentWithoutFlag"),
            None,
        ),
        (
            "    1.2345 err encryption startup guards refused process start: ErrKEKMismatch: configured KEK cannot unwrap one or more wrapped DEKs (--kekFile)",
            Some("ErrKEKMismatch"),
            None,
        ),
        (
            "encryption startup guard: local_epoch rollback after raft replay: sidecar local_epoch=0 <= registry last_seen_local_epoch=0",
            Some("ErrLocalEpochRollback"),
            None,
        ),
        (
            "sidecar local_epoch for the active storage DEK is at or below the local writer-registry's last_seen_local_epoch: before startup bump",
            Some("ErrLocalEpochRollback"),
            None,
        ),
        (
            "failed to load KEK from /run/kek: file is 31 bytes long",
            Some("kek-unusable"),
            None,
        ),
        (
            "encryption: parse sidecar \"/x\": invalid character",
            Some("sidecar-unreadable"),
            None,
        ),
        (
            "{\"level\":\"ERROR\",\"msg\":\"encryption FSM apply requested halt; not advancing setApplied\",\"entry_index\":17,\"err\":\"encryption: KEK not configured on this node; cannot unwrap\"}",
            Some("ErrKEKNotConfigured"),
            Some(17),
        ),
        (
            "ERROR encryption FSM apply requested halt; not advancing setApplied entry_index=9 err=ErrKEKNotConfigured: KEK not configured",
            Some("ErrKEKNotConfigured"),
            Some(9),
        ),
        (
            "raft envelope unwrap failed; halting apply entry_index=12",
            Some("ErrRaftUnwrapFailed"),
            Some(12),
        ),
    ];

    #[test]
    fn each_way_to_say_it_is_understood() {
        for (line, name, index) in LINES {
            let words = of_text(&format!("a line before\n{line}\n")).unwrap();
            assert_eq!(words.name.as_deref(), name, "{line}");
            assert_eq!(words.index, index, "{line}");
            assert_eq!(words.halted, index.is_some(), "{line}");
            assert!(
                line.ends_with(&words.line) && !words.line.contains("1.2345"),
                "{words:?}"
            );
        }
    }

    #[test]
    fn a_halt_outweighs_what_is_said_on_the_way_down() {
        let text = "apply requested halt entry_index=4 err=KEK not configured on this node\n\
                    ErrSomethingElse: going down\n";
        let words = of_text(text).unwrap();
        assert_eq!(words.name.as_deref(), Some("ErrKEKNotConfigured"));
        assert!(words.halted);
    }

    #[test]
    fn a_snapshot_is_no_entry() {
        let halt = "apply requested halt entry_index=40 err=KEK not configured on this node\n";
        let installing = "  1.0 err INFO consensus: installing a snapshot index=40\n";
        let words = of_text(&format!("{installing}{halt}")).unwrap();
        assert_eq!((words.index, words.snapshot), (Some(40), true));
        let words = of_text(&format!("{}{halt}", installing.replace("40", "4"))).unwrap();
        assert_eq!((words.index, words.snapshot), (Some(40), false));
    }

    #[test]
    fn silence_is_no_reason() {
        assert_eq!(of_text("serving\nbye\n"), None);
        let quiet = "  1.0 err 2026/11/25 10:26:50 INFO local_epoch is behind registry last_seen\n";
        assert_eq!(of_text(quiet), None);
        assert_eq!(of_text(""), None);
    }

    #[test]
    fn only_what_came_after_counts() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("n1.log");
        std::fs::write(&log, "ErrKEKMismatch: before\nserving\n").unwrap();
        assert!(last_words(&log, 0).unwrap().is_some());
        assert_eq!(last_words(&log, 23).unwrap(), None);
        assert!(last_words(&dir.path().join("none"), 0).is_err());
    }
}
