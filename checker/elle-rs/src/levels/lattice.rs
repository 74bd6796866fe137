//! Which level implies which, which anomaly implies which, and which level forbids what.
//!
//! The lattice is Elle's (`elle.consistency-model`), its transactional part, after Adya (1999),
//! Bailis et al. (2013), Cerone et al. (2015), Daudjee and Salem (2006).

use serde::{Deserialize, Serialize};

/// Each level and those right below it.
const LEVELS: [(&str, &[&str]); 26] = [
    (
        "strict-serializable",
        &["strong-session-serializable", "strong-snapshot-isolation"],
    ),
    (
        "strong-session-serializable",
        &["serializable", "strong-session-snapshot-isolation"],
    ),
    (
        "strong-snapshot-isolation",
        &["strong-session-snapshot-isolation", "strong-read-committed"],
    ),
    (
        "strong-session-snapshot-isolation",
        &["snapshot-isolation", "strong-session-read-committed"],
    ),
    (
        "serializable",
        &[
            "repeatable-read",
            "update-serializable",
            "snapshot-isolation",
            "view-serializable",
        ],
    ),
    ("view-serializable", &[]),
    ("update-serializable", &["forward-consistent-view"]),
    (
        "snapshot-isolation",
        &[
            "forward-consistent-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
            "prefix",
        ],
    ),
    ("forward-consistent-view", &["consistent-view"]),
    ("consistent-view", &["cursor-stability", "monotonic-view"]),
    (
        "repeatable-read",
        &["cursor-stability", "monotonic-atomic-view"],
    ),
    (
        "parallel-snapshot-isolation",
        &["causal-cerone", "update-atomic"],
    ),
    ("prefix", &["causal-cerone"]),
    ("causal-cerone", &["read-atomic"]),
    ("update-atomic", &["read-atomic"]),
    ("read-atomic", &["monotonic-atomic-view"]),
    ("cursor-stability", &["read-committed"]),
    ("monotonic-view", &["read-committed"]),
    ("monotonic-snapshot-read", &["read-committed"]),
    ("monotonic-atomic-view", &["read-committed"]),
    (
        "strong-read-committed",
        &["strong-session-read-committed", "strong-read-uncommitted"],
    ),
    (
        "strong-session-read-committed",
        &["read-committed", "strong-session-read-uncommitted"],
    ),
    (
        "strong-read-uncommitted",
        &["strong-session-read-uncommitted"],
    ),
    ("strong-session-read-uncommitted", &["read-uncommitted"]),
    ("read-committed", &["read-uncommitted"]),
    ("read-uncommitted", &[]),
];

/// What each level forbids beyond what those below it do.
const FORBIDDEN: [(&str, &[&str]); 19] = [
    (
        "read-uncommitted",
        &[
            "G0",
            "duplicate-elements",
            "cyclic-versions",
            "thin-air",
            "lost-append",
        ],
    ),
    ("read-committed", &["G1"]),
    ("cursor-stability", &["lost-update"]),
    ("consistent-view", &["G-single"]),
    ("read-atomic", &["internal", "future-read"]),
    ("update-atomic", &["lost-update"]),
    ("prefix", &["long-fork"]),
    ("snapshot-isolation", &["G-nonadjacent", "wrong-total"]),
    (
        "repeatable-read",
        &["G2-item", "lost-update", "wrong-total"],
    ),
    ("serializable", &["G2-item"]),
    ("strong-session-read-uncommitted", &["G0-process"]),
    ("strong-session-read-committed", &["G1c-process"]),
    (
        "strong-session-snapshot-isolation",
        &["G-nonadjacent-process"],
    ),
    ("strong-session-serializable", &["G2-item-process"]),
    ("strong-read-uncommitted", &["G0-realtime"]),
    ("strong-read-committed", &["G1c-realtime"]),
    ("strong-snapshot-isolation", &["G-nonadjacent-realtime"]),
    ("strict-serializable", &["G2-item-realtime"]),
    ("causal-cerone", &["internal", "G1a"]),
];

/// An anomaly, and one that is there too where it is.
const IMPLIED: [(&str, &str); 18] = [
    ("G0", "G1c"),
    ("G1a", "G1"),
    ("G1b", "G1"),
    ("G1c", "G1"),
    ("G-single", "G-nonadjacent"),
    ("G-nonadjacent", "G2-item"),
    ("incompatible-order", "G1a"),
    ("dirty-update", "G1a"),
    ("thin-air", "G1a"),
    ("future-read", "G1c"),
    ("lost-update", "G2-item"),
    ("long-fork", "G-nonadjacent"),
    ("negative-balance", "wrong-total"),
    ("wrong-total", "G2-item"),
    ("non-monotonic", "G-single"),
    ("divergence", "lost-update"),
    ("lost-append", "G1a"),
    ("duplicate-elements", "G1a"),
];

const PROCESS: &str = "-process";
const REALTIME: &str = "-realtime";

/// What an anomaly implies, itself included.
fn implied(anomaly: &str) -> Vec<String> {
    let mut all = vec![anomaly.to_owned()];
    let mut at = 0;
    while at < all.len() {
        let name = all[at].clone();
        at += 1;
        let (base, suffix) = [PROCESS, REALTIME]
            .iter()
            .find_map(|&suffix| Some((name.strip_suffix(suffix)?, suffix)))
            .unwrap_or((&name, ""));
        let more = IMPLIED
            .iter()
            .filter(|(from, _)| *from == base)
            .map(|(_, to)| format!("{to}{suffix}"));
        let mut more: Vec<String> = more.collect();
        // Every cycle is one with the order of processes too, and that one with real time.
        if base.starts_with('G') && suffix != REALTIME {
            let next = if suffix.is_empty() { PROCESS } else { REALTIME };
            more.push(format!("{base}{next}"));
        }
        for name in more {
            if !all.contains(&name) {
                all.push(name);
            }
        }
    }
    all
}

/// The levels right below one.
fn below(level: &str) -> &'static [&'static str] {
    LEVELS
        .iter()
        .find(|(name, _)| *name == level)
        .map_or(&[], |(_, below)| below)
}

/// Whether a level implies another, or is it.
fn implies(level: &str, other: &str) -> bool {
    level == other || below(level).iter().any(|next| implies(next, other))
}

/// Whether no history with an anomaly satisfies a level.
pub(super) fn rules_out(anomaly: &str, level: &str) -> bool {
    let implied = implied(anomaly);
    FORBIDDEN.iter().any(|(weaker, forbidden)| {
        implied
            .iter()
            .any(|name| forbidden.contains(&name.as_str()))
            && implies(level, weaker)
    })
}

/// Other names, Adya's, of levels that are in the lattice and not decided.
const ALIASES: [(&str, &str); 6] = [
    ("PL-2+", "consistent-view"),
    ("PL-CS", "cursor-stability"),
    ("PL-FCV", "forward-consistent-view"),
    ("PL-MSR", "monotonic-snapshot-read"),
    ("PL-2L", "monotonic-view"),
    ("PL-3U", "update-serializable"),
];

/// The weakest of some levels that implies one that is in the lattice and not among them.
pub(super) fn weakest_that_implies(name: &str, levels: &[&'static str]) -> Option<&'static str> {
    let alias = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    let name = alias.map_or(name, |&(_, name)| name);
    LEVELS.iter().find(|(known, _)| *known == name)?;
    let stronger = || levels.iter().copied().filter(|level| implies(level, name));
    stronger().find(|level| !stronger().any(|other| other != *level && implies(level, other)))
}

/// Which levels a history's anomalies rule out. Only what was looked for counts: what a level
/// weaker than strict serializability does not forbid was not looked for when that was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// The weakest levels that are ruled out.
    pub not: Vec<String>,
    /// And with them, all these.
    pub also_not: Vec<String>,
    /// The strongest levels that may still hold.
    pub may_hold: Vec<String>,
}

impl Ruled {
    /// What these anomalies rule out.
    pub fn by<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> Ruled {
        let mut anomalies: Vec<&str> = anomalies.into_iter().collect();
        anomalies.sort_unstable();
        anomalies.dedup();
        let is_out = |level: &str| anomalies.iter().any(|anomaly| rules_out(anomaly, level));
        let (out, left): (Vec<&str>, Vec<&str>) = LEVELS
            .iter()
            .map(|&(name, _)| name)
            .partition(|name| is_out(name));
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let (not, also_not) = out.iter().partition(|&&level| {
            !out.iter()
                .any(|&other| other != level && implies(level, other))
        });
        let strongest = left.iter().copied().filter(|&level| {
            !left
                .iter()
                .any(|&other| other != level && implies(other, level))
        });
        Ruled {
            not: owned(not),
            also_not: owned(also_not),
            may_hold: owned(strongest.collect()),
        }
    }
}
