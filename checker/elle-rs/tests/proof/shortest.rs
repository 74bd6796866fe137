//! The cycle certified is a shortest one: compared with all cycles of small histories.

use std::collections::BTreeMap;

use elle_rs::levels::Level;
use elle_rs::transactions::Model;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::verified;

const KEYS: usize = 3;

/// What a transaction does to a key, in this order: read a part of its list, append to it.
#[derive(Clone, Copy, Default)]
struct Use {
    read: Option<usize>,
    appends: bool,
}

/// Transactions on lists that are as they are, whoever can have seen what.
struct Drawn {
    uses: Vec<[Use; KEYS]>,
    /// Who appended what stands in each list.
    lists: Vec<Vec<usize>>,
    /// When each begins and ends; the last one reads all.
    spans: Vec<(usize, usize)>,
}

fn draw(rng: &mut ChaCha8Rng) -> Drawn {
    let count = rng.random_range(2..6);
    let mut uses = vec![[Use::default(); KEYS]; count];
    let mut lists = vec![Vec::new(); KEYS];
    for (at, uses) in uses.iter_mut().enumerate() {
        for (key, used) in uses.iter_mut().enumerate() {
            used.appends = rng.random_bool(0.4);
            if used.appends {
                lists[key].push(at);
            }
        }
    }
    for list in &mut lists {
        list.shuffle(rng);
    }
    for (at, uses) in uses.iter_mut().enumerate() {
        for (key, used) in uses.iter_mut().enumerate() {
            // Not beyond its own append, which it would know from the future.
            let most = lists[key].iter().position(|&by| used.appends && by == at);
            let most = most.unwrap_or(lists[key].len());
            used.read = rng.random_bool(0.5).then(|| rng.random_range(0..=most));
        }
    }
    let moments: usize = 2 * count;
    let mut spans: Vec<(usize, usize)> = (0..count)
        .map(|_| {
            let from = rng.random_range(0..moments);
            (from, rng.random_range(from..moments))
        })
        .collect();
    let all = lists.iter().map(|list| Use {
        read: Some(list.len()),
        appends: false,
    });
    let all: Vec<Use> = all.collect();
    uses.push([all[0], all[1], all[2]]);
    spans.push((0, moments));
    Drawn { uses, lists, spans }
}

fn edn(drawn: &Drawn) -> String {
    let mut events: Vec<(usize, bool, usize)> = Vec::new();
    for (at, &(from, to)) in drawn.spans.iter().enumerate() {
        events.push((from, false, at));
        events.push((to, true, at));
    }
    events.sort_unstable();
    let mut text = String::new();
    for (_, ends, at) in events {
        let mut steps = Vec::new();
        for (key, used) in drawn.uses[at].iter().enumerate() {
            if let Some(length) = used.read {
                let list: Vec<usize> = drawn.lists[key][..length].iter().map(|by| by + 1).collect();
                let read = if ends {
                    format!("{list:?}")
                } else {
                    "nil".to_owned()
                };
                steps.push(format!("[:r {key} {read}]"));
            }
            if used.appends {
                steps.push(format!("[:append {key} {}]", at + 1));
            }
        }
        let kind = if ends { "ok" } else { "invoke" };
        text += &format!(
            "{{:type :{kind}, :process {at}, :f :txn, :value [{}]}}\n",
            steps.join(" ")
        );
    }
    text
}

const WW: usize = 0;
const WR: usize = 1;
const RW: usize = 2;
const REALTIME: usize = 3;

/// Which kinds of edges lead from one to another.
fn edges(drawn: &Drawn, real_time: bool) -> Vec<Vec<[bool; 4]>> {
    let count = drawn.uses.len();
    let mut edges = vec![vec![[false; 4]; count]; count];
    for list in &drawn.lists {
        for pair in list.windows(2) {
            edges[pair[0]][pair[1]][WW] = true;
        }
    }
    for (at, uses) in drawn.uses.iter().enumerate() {
        for (key, used) in uses.iter().enumerate() {
            let Some(length) = used.read else { continue };
            if length > 0 {
                edges[drawn.lists[key][length - 1]][at][WR] = true;
            }
            if let Some(&next) = drawn.lists[key].get(length) {
                edges[at][next][RW] |= next != at;
            }
        }
    }
    for (from, edges) in edges.iter_mut().enumerate() {
        for (to, edge) in edges.iter_mut().enumerate() {
            edge[REALTIME] = real_time && drawn.spans[from].1 < drawn.spans[to].0;
        }
    }
    edges
}

/// What a cycle of these kinds is called.
fn name(kinds: &[usize]) -> String {
    let count = kinds.len();
    let missed = kinds.iter().filter(|&&kind| kind == RW).count();
    let adjacent = (0..count).any(|at| kinds[at] == RW && kinds[(at + 1) % count] == RW);
    let plain = match missed {
        0 if kinds.contains(&WR) => "G1c",
        0 => "G0",
        1 => "G-single",
        _ if adjacent => "G2-item",
        _ => "G-nonadjacent",
    };
    let timed = if kinds.contains(&REALTIME) {
        "-realtime"
    } else {
        ""
    };
    format!("{plain}{timed}")
}

/// The length of the shortest cycle of each name.
fn shortest(edges: &[Vec<[bool; 4]>]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for start in 0..edges.len() {
        walk(edges, start, &mut vec![start], &mut Vec::new(), &mut found);
    }
    found
}

fn walk(
    edges: &[Vec<[bool; 4]>],
    start: usize,
    path: &mut Vec<usize>,
    kinds: &mut Vec<usize>,
    found: &mut BTreeMap<String, usize>,
) {
    let at = path[path.len() - 1];
    for to in 0..edges.len() {
        for kind in WW..=REALTIME {
            if !edges[at][to][kind] {
                continue;
            }
            kinds.push(kind);
            if to == start && path.len() > 1 {
                // Of time alone there is none.
                let least = found.entry(name(kinds)).or_insert(usize::MAX);
                *least = kinds.len().min(*least);
            } else if to > start && !path.contains(&to) {
                path.push(to);
                walk(edges, start, path, kinds, found);
                path.pop();
            }
            kinds.pop();
        }
    }
}

#[test]
fn no_cycle_of_its_kind_is_shorter() {
    use Level::{ReadCommitted, ReadUncommitted, Serializable, SnapshotIsolation};
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    let (mut compared, mut longest) = (0, 0);
    let rounds = match std::env::var_os("KEYQUAKE_SLOW") {
        Some(_) => 50_000,
        None => 1_500,
    };
    for _ in 0..rounds {
        let drawn = draw(&mut rng);
        let text = edn(&drawn);
        let all = shortest(&edges(&drawn, false));
        for (level, forbidden) in [
            (ReadUncommitted, &["G0"][..]),
            (ReadCommitted, &["G0", "G1c"]),
            (
                SnapshotIsolation,
                &["G0", "G1c", "G-single", "G-nonadjacent"],
            ),
            (
                Serializable,
                &["G0", "G1c", "G-single", "G-nonadjacent", "G2-item"],
            ),
        ] {
            let least = forbidden.iter().filter_map(|&name| all.get(name)).min();
            let certificate = verified(&text, Model::ListAppend, level);
            let cycle = certificate.as_ref().and_then(|c| c.cycle.as_ref());
            assert_eq!(
                cycle.map(Vec::len).as_ref(),
                least,
                "{level} {all:?}\n{text}"
            );
            compared += u32::from(least.is_some());
            longest = longest.max(least.copied().unwrap_or(0));
        }
        let all = shortest(&edges(&drawn, true));
        let certificate = verified(&text, Model::ListAppend, Level::StrictSerializable);
        if let Some(cycle) = certificate.as_ref().and_then(|c| c.cycle.as_ref()) {
            let name = certificate
                .as_ref()
                .and_then(|c| c.anomaly.as_ref())
                .unwrap();
            assert_eq!(all.get(name), Some(&cycle.len()), "{name} {all:?}\n{text}");
        }
    }
    println!("{compared} compared, the longest of {longest}");
    assert!(compared > rounds && longest > 3, "{compared} {longest}");
}
