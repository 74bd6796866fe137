//! What "refused" means: the code, the name of the rule, and no trace.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tonic::{Code, Status};

use super::sidecar::bytes_of;
use super::{Call, Lab};

/// How a call must be refused.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// Any of these.
    pub codes: &'static [Code],
    /// Any of these in the text; empty = the code is enough.
    pub names: &'static [&'static str],
    /// The full node id of a member that must be named, decimal or hexadecimal.
    pub member: Option<u64>,
}

impl Refused {
    /// `FailedPrecondition` and one of these names.
    pub const fn precondition(names: &'static [&'static str]) -> Self {
        Self {
            codes: &[Code::FailedPrecondition],
            names,
            member: None,
        }
    }

    /// `FailedPrecondition` that names a member.
    pub const fn because_of(full_node_id: u64) -> Self {
        Self {
            member: Some(full_node_id),
            ..Self::precondition(&[])
        }
    }

    /// Arguments that make no sense.
    pub const fn argument(names: &'static [&'static str]) -> Self {
        Self {
            codes: &[Code::InvalidArgument, Code::FailedPrecondition],
            names,
            member: None,
        }
    }

    fn check(&self, what: &str, status: &Status) {
        let text = status.message();
        let named = self.names.is_empty() || self.names.iter().any(|name| text.contains(name));
        let blamed = self
            .member
            .is_none_or(|id| text.contains(&format!("{id}")) || text.contains(&format!("{id:x}")));
        assert!(
            self.codes.contains(&status.code()) && named && blamed,
            "{what}\n wants {self:?}\n got {status}"
        );
    }
}

impl Lab {
    /// The call is refused by the leader, and nothing of it is in the log: a write before
    /// and one after have neighbouring indexes.
    pub async fn refused(&self, call: &Call, how: &Refused) {
        self.refuses(&format!("{call:?}"), how, async |lab: &Lab, leader| {
            let answer = call.make(&mut lab.admin(leader).await).await;
            answer.map(|done| format!("{done:?}"))
        })
        .await;
    }

    /// As [`Lab::refused`], for whatever is asked of the leader.
    pub async fn refuses(
        &self,
        what: &str,
        how: &Refused,
        ask: impl AsyncFn(&Lab, usize) -> Result<String, Status>,
    ) {
        for _ in 0..5 {
            let leader = self.leader().await;
            let Ok(before) = self.cluster.put(leader, "before", "x").await else {
                continue;
            };
            let answer = ask(self, leader).await;
            let after = self.cluster.put(leader, "after", "x").await;
            if let Err(status) = &answer
                && status.message().contains("not leader")
            {
                continue;
            }
            let status = match answer {
                Ok(answer) => panic!("{what}\n was accepted: {answer}"),
                Err(status) => status,
            };
            println!("refused: {what}\n with: {status}");
            how.check(what, &status);
            match after {
                Ok(after) if after == before + 1 => return,
                // A new leader's first entry, or a write that had to be asked for again.
                _ if self.leader().await != leader => continue,
                Err(_) => continue,
                Ok(after) => panic!("{what}\n was refused, but the log has {before}..{after}"),
            }
        }
        panic!("{what}: no calm moment to ask");
    }

    /// The node, stopped, refuses to start, says so in one line, and leaves the folder of
    /// its sidecar as it was; twice.
    pub async fn refuses_to_start(&mut self, node: usize, sentinel: &str, flag: &str) {
        let folder = self.sidecar_dir(node);
        let before = bytes_of(&folder);
        for _ in 0..2 {
            self.start(node);
            let code = self.cluster.exit_code(node).await;
            let said = self.said(node);
            assert!(code.is_some_and(|code| code != 0), "{code:?}: {said}");
            let lines: Vec<_> = said.lines().filter(|l| l.contains(sentinel)).collect();
            assert_eq!(lines.len(), 1, "one line with {sentinel}: {said}");
            println!("refused to start: {}", lines[0]);
            assert!(lines[0].contains(flag), "{flag} is not in: {}", lines[0]);
            assert_same(&before, &bytes_of(&folder));
        }
    }
}

fn assert_same(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |all: &BTreeMap<PathBuf, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "other files than before");
    for (path, bytes) in before {
        let (old, new) = (
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&after[path]),
        );
        assert_eq!(old, new, "{} changed", path.display());
    }
}

/// The halt every release must come to at an entry it cannot apply.
pub const HALT: &str = "encryption FSM apply requested halt; not advancing setApplied";

impl Lab {
    /// Every mutator, with arguments that would be right before bootstrap.
    pub async fn every_mutator(&mut self) -> Vec<Call> {
        let leader = self.leader().await;
        let id = self.full_node_id(leader);
        let bootstrap = self.bootstrap_call().await;
        let (new_dek_id, wrapped_new_dek) = self.new_dek();
        let rotate = elastickv_wire::RotateDekRequest {
            purpose: 1,
            wrapped_new_dek,
            new_dek_id,
            proposer_node_id: id,
            proposer_local_epoch: 0,
        };
        vec![
            bootstrap,
            Call::Rotate(rotate),
            Call::register(1, id, 0),
            Call::enable_storage(id, 0),
            Call::enable_raft(id, 0),
        ]
    }

    /// The node ends by itself, at this entry, for this reason, and keeps nothing of it.
    pub async fn halts(&mut self, node: usize, index: u64, why: &str) {
        let code = self.cluster.exit_code(node).await;
        let said = self.said(node);
        assert_eq!(code, Some(1), "{said}");
        let at = format!("entry_index={index}");
        let lines: Vec<_> = said.lines().filter(|l| l.contains(HALT)).collect();
        assert_eq!(lines.len(), 1, "one halt: {said}");
        println!("halted: {}", lines[0]);
        assert!(lines[0].contains(&at), "{at}: {said}");
        assert!(said.contains(why), "{why}: {said}");
        let applied = super::disk::applied(&self.data_dir(node));
        assert!(applied < index, "applied {applied}, halted at {index}");
    }
}
