//! A bank: transfers move money between accounts, so every read of all accounts has one total.
//!
//! Reads are `{:f :read, :value {account balance, …}}`, as in Jepsen's bank workload; everything
//! else is passed over. The total is the first read's, where none is given.

use std::collections::HashMap;

use crate::Finding;
use crate::certificate::Shows;
use crate::history::Kind;
use crate::history::stream::{Entry, ReadError, Reader, Shape, Token, known};
use crate::levels::{Level, Ruled};
use crate::txn::{Counts, Decision, Outcome, Proof};

/// Findings told of one anomaly.
const TOLD_MAX: usize = 16;

/// Decides whether the reads of a bank satisfy a level. Levels below repeatable read and snapshot
/// isolation permit any total.
pub fn check(reader: Reader, total: Option<i64>, level: Level) -> Result<Outcome, ReadError> {
    judge(reader, total, level).map(|judged| judged.outcome)
}

/// The verdict on a bank, and what shows it.
pub(crate) struct Judged {
    pub outcome: Outcome,
    /// How many entries the history has.
    pub entries: u64,
    pub total: Option<i64>,
    /// The reads that show the first finding.
    pub shows: Option<Shows>,
}

/// The same as [`check`].
pub(crate) fn judge(
    mut reader: Reader,
    total: Option<i64>,
    level: Level,
) -> Result<Judged, ReadError> {
    let mut entries = 0;
    let mut bank = Bank {
        total,
        first: None,
        findings: Vec::new(),
        counts: Counts::default(),
        open: HashMap::new(),
    };
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        bank.take(&entry);
    }
    bank.findings
        .retain(|finding| level.forbids(&finding.anomaly));
    let shows = bank.findings.first().map(|finding| Shows {
        key: None,
        ops: finding.ops.clone(),
        values: Vec::new(),
    });
    let decision = if !bank.findings.is_empty() {
        Decision::Violated {
            findings: bank.findings,
        }
    } else if let Some(torn) = reader.torn() {
        Decision::Undecided {
            reason: torn.to_string(),
        }
    } else if bank.counts.reads == 0 {
        Decision::Undecided {
            reason: "no read of the accounts was acknowledged".to_owned(),
        }
    } else {
        Decision::Valid
    };
    let ruled = match &decision {
        Decision::Violated { findings } => {
            Ruled::by(findings.iter().map(|finding| finding.anomaly.as_str()))
        }
        _ => Ruled::by([]),
    };
    let outcome = Outcome {
        level,
        decision,
        counts: bank.counts,
        ruled,
        proof: Proof::None,
    };
    Ok(Judged {
        outcome,
        entries,
        total: bank.total,
        shows,
    })
}

struct Bank {
    total: Option<i64>,
    /// The read that told the total, if one did.
    first: Option<u64>,
    findings: Vec<Finding>,
    counts: Counts,
    /// Where the open operation of each process was invoked.
    open: HashMap<i64, u64>,
}

impl Bank {
    fn take(&mut self, entry: &Entry<'_>) {
        let process = match entry.process {
            Token::Int(process) => process,
            Token::Nil => 0,
            _ => return,
        };
        match entry.kind {
            Kind::Invoke => {
                self.open.insert(process, entry.place);
                return;
            }
            Kind::Ok => self.counts.committed += 1,
            Kind::Fail => self.counts.aborted += 1,
            Kind::Info => self.counts.indeterminate += 1,
        }
        let invoked = self.open.remove(&process).unwrap_or(entry.place);
        let is_map = matches!(entry.value.token(), Token::Open(Shape::Map, _));
        if entry.kind != Kind::Ok || entry.function != Some(known::READ) || !is_map {
            return;
        }
        let balances: Vec<Option<i64>> = entry
            .value
            .parts()
            .into_iter()
            .flatten()
            .skip(1)
            .step_by(2)
            .map(|balance| balance.int())
            .collect();
        self.counts.reads += 1;
        self.counts.keys = self.counts.keys.max(balances.len() as u64);
        let shown = entry.value.display(entry.symbols);
        if balances.iter().any(Option::is_none) {
            let why = format!("the read of {shown} by process {process} lacks a balance");
            self.add("wrong-total", &[invoked], why);
            return;
        }
        let sum: i128 = balances.iter().flatten().map(|&b| i128::from(b)).sum();
        let sum = i64::try_from(sum).unwrap_or(i64::MAX);
        if self.total.is_none() {
            self.first = Some(invoked);
        }
        let total = *self.total.get_or_insert(sum);
        if sum != total {
            let why = format!(
                "the read of {shown} by process {process} has a total of {sum}, and there is \
                 {total} in the bank"
            );
            let ops: Vec<u64> = self.first.into_iter().chain([invoked]).collect();
            self.add("wrong-total", &ops, why);
        }
        if let Some(balance) = balances.iter().flatten().find(|&&balance| balance < 0) {
            let why = format!(
                "the read of {shown} by process {process} has a balance of {balance}, and no \
                 transfer takes more than there is"
            );
            self.add("negative-balance", &[invoked], why);
        }
    }

    fn add(&mut self, anomaly: &str, ops: &[u64], explanation: String) {
        let same = self.findings.iter().filter(|f| f.anomaly == anomaly);
        if same.count() < TOLD_MAX {
            self.findings.push(Finding {
                anomaly: anomaly.to_owned(),
                key: None,
                ops: ops.to_vec(),
                explanation,
            });
        }
    }
}
