//! Reads every key of every workload back, once all faults are healed.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use elle_rs::history::{Action, Key, Step};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::logical_client::{LogicalClient, Wiring};
use crate::options::WorkloadName;
use crate::runner::{RunError, RunSummary, Setup};

/// Between two attempts to read a key that no node has given yet.
const PAUSE: Duration = Duration::from_millis(100);

/// What the final reads came to.
#[derive(Clone, Debug, Default)]
pub struct FinalSummary {
    /// Reads sent, all of them operations of their own.
    pub reads: u64,
    /// Keys with at least one `ok` read.
    pub keys_read: u64,
    /// Keys without one, by the position of their workload.
    pub keys_unread: Vec<(u16, Key)>,
}

/// Reads every key of every workload through every node, for at most `limit`.
///
/// First each key through one node, then through the others; then keys that no node has given
/// are asked for again, as new operations, until each was read once or the time is up. Records
/// operations only: the caller records the phase, before.
pub async fn final_reads(
    setup: &Setup,
    summary: &RunSummary,
    limit: Duration,
) -> Result<FinalSummary, RunError> {
    let deadline = Instant::now() + limit;
    let mut tasks = JoinSet::new();
    let mut boards = Vec::new();
    for (position, workload) in setup.positions().zip(&summary.workloads) {
        let board = Arc::new(Board::new(workload.keys.clone(), setup.nodes));
        boards.push((position, board.clone()));
        let wiring = setup.wiring(position);
        for reader in 0..setup.options[usize::from(position)].clients {
            let (board, wiring, name) = (board.clone(), wiring.clone(), workload.name);
            tasks.spawn(async move { read(board, wiring, reader, name, deadline).await });
        }
    }
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(|error| RunError::Bug(error.to_string()))??;
    }
    let mut total = FinalSummary::default();
    for (position, board) in boards {
        let state = board.lock();
        total.reads += state.reads;
        for (key, read) in board.keys.clone().zip(&state.read) {
            match read {
                true => total.keys_read += 1,
                false => total.keys_unread.push((position, key)),
            }
        }
    }
    Ok(total)
}

/// One reader: takes reads from the board until none is left or the time is up.
async fn read(
    board: Arc<Board>,
    wiring: Arc<Wiring>,
    position: u32,
    name: WorkloadName,
    deadline: Instant,
) -> Result<(), RunError> {
    let mut client = LogicalClient::new(wiring, position);
    while Instant::now() < deadline {
        match board.take() {
            Next::Read { key, node, again } => {
                if again {
                    tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
                }
                let ok = client.perform(action(name, key), node).await?;
                board.done(key, node, ok);
            }
            Next::Wait => tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await,
            Next::Nothing => break,
        }
    }
    Ok(())
}

fn action(name: WorkloadName, key: Key) -> Action {
    match name {
        WorkloadName::Register => Action::Read { key, value: None },
        WorkloadName::Append => Action::Txn {
            steps: vec![Step::Read { key, list: None }],
        },
    }
}

/// What is still to be read, and what was.
struct Board {
    keys: Range<Key>,
    nodes: u16,
    state: Mutex<State>,
}

struct State {
    /// Place in the first walk: every key through its first node, then every key through its
    /// second, and so on.
    walked: u64,
    again: VecDeque<(Key, u16)>,
    under_way: u64,
    read: Vec<bool>,
    reads: u64,
}

/// What a reader is to do next.
enum Next {
    Read { key: Key, node: u16, again: bool },
    Wait,
    Nothing,
}

impl Board {
    fn new(keys: Range<Key>, nodes: u16) -> Self {
        let count = (keys.end - keys.start) as usize;
        Self {
            keys,
            nodes,
            state: Mutex::new(State {
                walked: 0,
                again: VecDeque::new(),
                under_way: 0,
                read: vec![false; count],
                reads: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Next {
        let mut state = self.lock();
        let count = state.read.len() as u64;
        let (key, node, again) = if state.walked < count * u64::from(self.nodes) {
            let (round, place) = (state.walked / count, state.walked % count);
            state.walked += 1;
            let node = ((place + round) % u64::from(self.nodes)) as u16;
            (self.keys.start + place, node, false)
        } else {
            loop {
                match state.again.pop_front() {
                    Some((key, _)) if state.read[self.place(key)] => {}
                    Some((key, node)) => break (key, node, true),
                    None if state.under_way > 0 => return Next::Wait,
                    None => return Next::Nothing,
                }
            }
        };
        state.under_way += 1;
        state.reads += 1;
        Next::Read { key, node, again }
    }

    fn done(&self, key: Key, node: u16, ok: bool) {
        let mut state = self.lock();
        state.under_way -= 1;
        let place = self.place(key);
        state.read[place] |= ok;
        if !state.read[place] {
            state.again.push_back((key, (node + 1) % self.nodes));
        }
    }

    fn place(&self, key: Key) -> usize {
        (key - self.keys.start) as usize
    }
}
