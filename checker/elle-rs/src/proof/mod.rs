//! Makes certificates of verdicts on transactions (of linearizability, [`crate::linear::Report`]
//! does). [`crate::verify`], which shares no code with it, checks them.

mod anomaly;

use crate::certificate::{Certificate, FORMAT, Hop, Shows, TRANSACTIONS};
use crate::levels::Level;
use crate::txn::{Because, Decision, Outcome, Proof, Store};

/// What is certified, and of which history.
pub(crate) struct Subject<'a> {
    /// The model, by its name.
    pub model: &'a str,
    /// How many entries the history has.
    pub entries: u64,
    pub outcome: &'a Outcome,
}

impl Subject<'_> {
    fn blank(&self, verdict: &str) -> Certificate {
        Certificate {
            format: FORMAT,
            kind: TRANSACTIONS.to_owned(),
            model: self.model.to_owned(),
            level: Some(self.outcome.level.name().to_owned()),
            entries: self.entries,
            verdict: verdict.to_owned(),
            ..Certificate::default()
        }
    }

    /// The certificate of a verdict on a bank.
    pub fn of_bank(&self, total: Option<i64>, shows: Option<Shows>) -> Result<Certificate, String> {
        match (&self.outcome.decision, shows) {
            (Decision::Valid, _) => Ok(Certificate {
                total,
                ..self.blank("valid")
            }),
            (Decision::Violated { findings }, Some(shows)) => Ok(Certificate {
                anomaly: findings.first().map(|finding| finding.anomaly.clone()),
                shows: Some(shows),
                ..self.blank("violated")
            }),
            _ => Err(undecided()),
        }
    }

    /// The certificate of a verdict on transactions, or why there is none.
    pub fn of_store(&self, store: &Store) -> Result<Certificate, String> {
        match (&self.outcome.decision, &self.outcome.proof) {
            (Decision::Undecided { .. }, _) => Err(undecided()),
            (Decision::Valid, proof) => self.valid(store, proof),
            (Decision::Violated { .. }, Proof::Cycle(anomaly, cycle)) => Ok(Certificate {
                anomaly: Some(anomaly.clone()),
                cycle: Some(cycle.iter().map(hop).collect()),
                ..self.blank("violated")
            }),
            (Decision::Violated { findings }, _) => {
                let mut shown = findings
                    .iter()
                    .filter_map(|finding| Some((finding, anomaly::shows(store, finding)?)));
                let (finding, shows) = shown.next().ok_or_else(|| {
                    let names: Vec<&str> = findings.iter().map(|f| f.anomaly.as_str()).collect();
                    format!(
                        "no few operations show {} alone; the explanation says what does",
                        names.join(" or ")
                    )
                })?;
                Ok(Certificate {
                    anomaly: Some(finding.anomaly.clone()),
                    shows: Some(shows),
                    ..self.blank("violated")
                })
            }
        }
    }

    fn valid(&self, store: &Store, proof: &Proof) -> Result<Certificate, String> {
        let level = self.outcome.level;
        if store.contradicts() && !level.is_snapshot_or_more() {
            return Err(format!(
                "{level} permits that a transaction's reads contradict each other, as they do \
                 here, and no order of transactions explains that"
            ));
        }
        if !level.forbids("incompatible-order") && !store.branches.is_empty() {
            return Err(format!(
                "{level} permits lists that contradict each other, as some do here, and then \
                 there is no order of versions to show"
            ));
        }
        match proof {
            Proof::Order(order) => Ok(Certificate {
                order: Some(order.clone()),
                ..self.blank("valid")
            }),
            Proof::StartsAndCommits(moments) => {
                let moment = |&(place, commits): &(u64, bool)| {
                    let place = place as i64;
                    if commits { -1 - place } else { place }
                };
                Ok(Certificate {
                    moments: Some(moments.iter().map(moment).collect()),
                    ..self.blank("valid")
                })
            }
            Proof::None | Proof::Cycle(..) => Err(not_shown(level)),
        }
    }
}

fn undecided() -> String {
    "nothing was decided".to_owned()
}

fn not_shown(level: Level) -> String {
    format!("{level} permits an anomaly that is there, and no order of transactions explains that")
}

fn hop(because: &Because) -> Hop {
    Hop {
        before: because.before,
        after: because.after,
        kind: because.kind.to_owned(),
        rule: because.rule.map(str::to_owned),
        key: because.key,
        value: because.value,
        next: because.next,
    }
}
