//! What a registry says, in the verdict of an audit.

use keyquake_judge::Verdict;

use super::registry::{NonceRegistry, RegistryError};
use super::set::NonceSet;
use super::sighting::{Added, Reuse, Sighting};
use crate::finding::{Finding, Findings, Invariant, Place, Spot};
use crate::report::Audit;

impl Audit {
    /// Adds to a registry what the audits of a run met (the `set` they were given), and judges
    /// ENC-NONCE over all that it knows of the keys in it: over the cluster's lifetime.
    ///
    /// # Errors
    /// [`RegistryError`]: nothing was added, and this audit says no more than before.
    pub fn add_to(
        &mut self,
        registry: &mut NonceRegistry,
        run: &str,
        set: &NonceSet,
    ) -> Result<Added, RegistryError> {
        let added = registry.add(run, set)?;
        self.judge_over(set, &registry.reuses_under(set.keys())?);
        Ok(added)
    }

    /// `reuses` are all under the keys of the audit's own set, which knows its own already.
    fn judge_over(&mut self, set: &NonceSet, reuses: &[Reuse]) {
        let mut findings = Findings::default();
        for reuse in reuses.iter().filter(|reuse| !set.knows_reuse(&reuse.pair)) {
            if let Some(finding) = finding(reuse) {
                findings.add(
                    finding.invariant,
                    finding.anomaly,
                    finding.spot,
                    finding.explanation,
                );
            }
        }
        let (total, kept) = findings.of(Invariant::Nonce);
        let nonce = |audited: &&mut crate::Audited| audited.id == Invariant::Nonce;
        let Some(audited) = self.invariants.iter_mut().find(nonce) else {
            return;
        };
        if total == 0 {
            if audited.verdict == Verdict::Valid {
                audited.reason += "; none was used for something else in an earlier run";
            }
            return;
        }
        audited.findings_total += total;
        audited.findings.extend(kept);
        audited.verdict = Verdict::Violated;
        audited.reason = format!(
            "broken in {} places, {total} of them over several audits",
            audited.findings_total
        );
        self.verdict = self.verdict.max(Verdict::Violated);
    }
}

/// A reuse as a finding: where the last thing was seen, and where the others.
fn finding(reuse: &Reuse) -> Option<Finding> {
    let (last, others) = reuse.seen.split_last()?;
    let others: Vec<String> = others.iter().map(Sighting::to_string).collect();
    let pair = &reuse.pair;
    let explanation = format!(
        "key {} sealed {} different things under one nonce ({}): here in run {}, and {}",
        pair.key_id,
        reuse.seen.len(),
        pair.nonce(),
        last.run,
        others.join("; ")
    );
    let place = Place::ALL
        .into_iter()
        .find(|place| place.to_string() == last.place);
    Some(Finding {
        invariant: Invariant::Nonce,
        anomaly: "nonce-reused",
        spot: Spot::new(
            &last.node,
            place.unwrap_or(Place::Other),
            last.path.as_ref(),
        ),
        explanation,
    })
}
