//! From counts and findings to one verdict per invariant.

use keyquake_judge::Verdict;

use super::Judge;
use super::overtime::Chains;
use crate::canaries::MayStand;
use crate::finding::{Invariant, Place};
use crate::report::{Audit, Audited, CanaryCounts, Counts};

/// Of what must be on the disks, this share has to be seen, or the audit saw too little.
const SEEN_PERCENT_MIN: u64 = 99;

impl Judge<'_> {
    pub(super) fn conclude(mut self, chains: &Chains) -> Audit {
        let converged = self.replicas.compare(&mut self.findings);
        let held = self.put_back.rows;
        let converged = converged.map(|told| match held {
            0 => told,
            held => {
                format!("{told}; of {held} that the log or an earlier look tells of, none is older")
            }
        });
        let canaries = self.subject.canaries.as_ref().map(|_| self.canary_counts());
        let mut audit = Audit {
            verdict: Verdict::Inconclusive,
            invariants: Vec::new(),
            nodes: self.nodes.clone(),
            nonces: self.nonces.len(),
            scanned: self.scanned.clone(),
            cuts: self.cuts.clone(),
            gaps: self.gaps.clone(),
            canaries,
            past: self.past_counts(self.subject.past.as_ref(), chains),
        };
        audit.invariants = self.verdicts(&audit, converged);
        if let Some(past) = &self.subject.past {
            let over_time = self.past_verdicts(past, chains);
            // What the final disks say of the same invariant is among its findings.
            let said = |id| over_time.iter().any(|audited| audited.id == id);
            audit.invariants.retain(|audited| !said(audited.id));
            audit.invariants.extend(over_time);
            audit.invariants.sort_by_key(|audited| audited.id);
        }
        let verdicts = audit.invariants.iter().map(|audited| audited.verdict);
        audit.verdict = verdicts.max().unwrap_or(Verdict::Inconclusive);
        audit
    }

    fn canary_counts(&self) -> CanaryCounts {
        let planted = self.subject.canaries.as_ref();
        let planted = planted
            .map(|canaries| canaries.planted())
            .unwrap_or_default();
        let mut counts = CanaryCounts {
            planted: planted.len() as u64,
            ..CanaryCounts::default()
        };
        for (planted, seen) in planted.iter().zip(&self.sightings) {
            let anywhere = seen.in_bytes || seen.in_rows || seen.sealed;
            counts.living += u64::from(planted.living);
            counts.living_seen += u64::from(planted.living && anywhere);
            counts.seen_in_bytes += u64::from(seen.in_bytes);
            counts.seen_in_rows += u64::from(seen.in_rows);
            counts.seen_sealed += u64::from(seen.sealed);
            counts.seen_by_wrong += u64::from(seen.by_wrong);
        }
        counts
    }

    /// An invariant about something that these disks never saw is left out.
    fn verdicts(&self, audit: &Audit, converged: Result<String, String>) -> Vec<Audited> {
        let places = [
            Place::Tables,
            Place::Log,
            Place::Snapshots,
            Place::TableLogs,
            Place::Gone,
        ];
        let totals = places.map(|place| audit.total(place));
        let envelopes: u64 = totals.iter().map(|counts| counts.envelopes).sum();
        let opened: u64 = totals.iter().map(|counts| counts.opened).sum();
        let sealing = self.cluster.storage_cutover > 0 || envelopes > 0;
        let [tables, _, snapshots, table_logs, _] = &totals;
        let of_rows = [tables, snapshots, table_logs].map(|counts| counts.envelopes);
        let sealing_rows = self.cluster.storage_cutover > 0 || of_rows.iter().any(|rows| *rows > 0);
        let sealing_log = self.cluster.raft_cutover > 0 || totals[1].envelopes > 0;
        let mut all = Vec::new();
        let mut judge = |id, about: bool, looked: Result<String, String>| {
            let audited = self.verdict(id, looked);
            if about || audited.findings_total > 0 {
                all.push(audited);
            }
        };
        judge(Invariant::Converged, self.replicas.several(), converged);
        judge(
            Invariant::Plain,
            sealing_rows || self.may_not_stand(),
            self.plain(audit, &totals),
        );
        judge(
            Invariant::Open,
            sealing,
            self.open(envelopes, opened, &totals),
        );
        judge(Invariant::Boundary, sealing_log, self.boundary(&totals[1]));
        let nonces = some(opened, "no envelope was opened", || {
            format!(
                "{opened} envelopes here, {} different nonces known",
                audit.nonces
            )
        });
        judge(Invariant::Nonce, sealing, nonces);
        let form = some(opened, "no envelope was opened", || {
            format!("the {opened} nonces are of members, of persisted epochs, and count from 1")
        });
        judge(Invariant::NonceForm, sealing, form);
        judge(Invariant::Agree, self.sidecars > 1, self.agree());
        judge(Invariant::SidecarDurable, false, Ok(String::new()));
        let scanned = &audit.scanned;
        let secret = some(scanned.bytes, "there is not one byte", || {
            format!(
                "neither the KEK nor a key that it opens stands in {} bytes of {} files",
                scanned.bytes, scanned.files
            )
        });
        judge(Invariant::KeysSecret, self.has_kek, secret);
        judge(Invariant::SelfNonempty, true, self.nonempty(audit));
        all
    }

    /// Whether any value was written after phase 1.
    fn may_not_stand(&self) -> bool {
        let planted = self.subject.canaries.iter().flat_map(|c| c.planted());
        planted
            .into_iter()
            .any(|one| one.may_stand > MayStand::Anywhere)
    }

    fn agree(&self) -> Result<String, String> {
        Ok(format!(
            "{} sidecars have the same keys, and say the same at the same index",
            self.sidecars
        ))
    }

    /// Broken if there are findings; else held back by `looked`, or by gaps.
    pub(super) fn verdict(&self, id: Invariant, looked: Result<String, String>) -> Audited {
        let (findings_total, findings) = self.findings.of(id);
        let (verdict, reason) = match looked {
            _ if findings_total > 0 => {
                let places = if findings_total == 1 {
                    "place"
                } else {
                    "places"
                };
                (
                    Verdict::Violated,
                    format!("broken in {findings_total} {places}"),
                )
            }
            Err(reason) => (Verdict::Inconclusive, reason),
            Ok(_) if !self.gaps.is_empty() => {
                let gaps = self.gaps.len();
                (
                    Verdict::Inconclusive,
                    format!("{gaps} things could not be looked at"),
                )
            }
            Ok(reason) => (Verdict::Valid, reason),
        };
        Audited {
            id,
            verdict,
            reason,
            findings_total,
            findings,
        }
    }

    fn plain(&self, audit: &Audit, totals: &[Counts; 5]) -> Result<String, String> {
        let cutover = self.cluster.storage_cutover;
        let Some(canaries) = &audit.canaries else {
            return Err(
                "which values were written is not known, so none was looked for".to_owned(),
            );
        };
        if cutover == 0 {
            return Err("no sidecar names phase 1's cutover".to_owned());
        }
        let by_right: u64 = [&totals[0], &totals[2], &totals[3]]
            .map(|counts| counts.clear_by_right)
            .iter()
            .sum();
        Ok(format!(
            "none of {} canaries where it must not be; {by_right} older values in the clear",
            canaries.planted
        ))
    }

    fn open(&self, envelopes: u64, opened: u64, totals: &[Counts; 5]) -> Result<String, String> {
        if !self.has_kek && envelopes > 0 {
            return Err(format!(
                "there are {envelopes} envelopes, and no KEK to open them with"
            ));
        }
        some(opened, "there is no envelope", || {
            let [tables, log, snapshots, table_logs, gone] =
                totals.each_ref().map(|counts| counts.opened);
            let table_logs = match table_logs {
                0 => String::new(),
                some => format!("{some} in table logs, "),
            };
            let gone = match gone {
                0 => String::new(),
                some => format!(", {some} of what is gone"),
            };
            format!(
                "{opened} of {envelopes} opened: {tables} in tables, {table_logs}{log} in the log, \
                 {snapshots} in snapshots{gone}"
            )
        })
    }

    fn boundary(&self, log: &Counts) -> Result<String, String> {
        let cutover = self.cluster.raft_cutover;
        if cutover == 0 {
            return Err("no sidecar names phase 2's cutover".to_owned());
        }
        // A log that was just cut leaves the word to the snapshot that it was cut behind.
        let nothing = "neither an entry above the cutover nor a snapshot past it is left";
        some(log.envelopes + self.headers, nothing, || {
            format!(
                "cutover at {cutover}: {} envelopes above it, {} entries in the clear at or below, \
                 {} snapshots name it",
                log.envelopes, log.clear_by_right, self.headers
            )
        })
    }

    fn nonempty(&self, audit: &Audit) -> Result<String, String> {
        let Some(canaries) = &audit.canaries else {
            return Err("which values were written is not known".to_owned());
        };
        let (living, seen) = (canaries.living, canaries.living_seen);
        if living == 0 {
            return Err("no value is known to be on the disks: the scan proves nothing".to_owned());
        }
        let text = format!("{seen} of {living} values that must be on the disks were seen");
        match seen * 100 >= living * SEEN_PERCENT_MIN {
            true => Ok(text),
            false => Err(format!("{text}: the scan is void")),
        }
    }
}

fn some(count: u64, else_reason: &str, reason: impl FnOnce() -> String) -> Result<String, String> {
    match count {
        0 => Err(else_reason.to_owned()),
        _ => Ok(reason()),
    }
}
