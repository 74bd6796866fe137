//! Strongly connected components, without recursion (Tarjan 1972): a graph of a million
//! transactions in one chain is a million deep.

use super::view::{Edge, View};

/// The component of each state that can reach itself; others have [`Components::ALONE`].
pub(super) struct Components {
    of: Vec<u32>,
    /// The states that have one, in the order they were closed in.
    members: Vec<u32>,
}

impl Components {
    const ALONE: u32 = u32::MAX;

    /// Whether no state can reach itself.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether two states lie on one cycle.
    pub fn together(&self, a: u32, b: u32) -> bool {
        let component = self.of[a as usize];
        component != Self::ALONE && component == self.of[b as usize]
    }
}

/// Finds the components of more than one state. (No edge leads from a node to itself.)
pub(super) fn components(view: View<'_>) -> Components {
    walk(view, 0..view.states())
}

/// The same, of a view without edges that `all`'s, `full`, has not: what lies on no cycle there
/// lies on none here.
pub(super) fn components_within(view: View<'_>, full: View<'_>, all: &Components) -> Components {
    let members = all.members.iter().copied();
    match (full.apart, view.apart) {
        (false, true) => walk(view, members.flat_map(|node| [2 * node, 2 * node + 1])),
        (true, false) => {
            let mut nodes: Vec<u32> = members.map(|state| state / 2).collect();
            nodes.sort_unstable();
            nodes.dedup();
            walk(view, nodes.into_iter())
        }
        _ => walk(view, members),
    }
}

/// Walks from each of these, and not beyond them.
fn walk(view: View<'_>, from: impl Iterator<Item = u32> + Clone) -> Components {
    let states = view.states() as usize;
    let mut tarjan = Tarjan {
        view,
        number: vec![Tarjan::DONE; states],
        low: vec![0; states],
        of: vec![Components::ALONE; states],
        members: Vec::new(),
        on_path: Vec::new(),
        calls: Vec::new(),
        numbered: 0,
    };
    for state in from.clone() {
        tarjan.number[state as usize] = 0;
    }
    for state in from {
        if tarjan.number[state as usize] == 0 {
            tarjan.from(state);
        }
    }
    Components {
        of: tarjan.of,
        members: tarjan.members,
    }
}

struct Tarjan<'a> {
    view: View<'a>,
    /// 0: not met yet. What is not to be walked is as if done.
    number: Vec<u32>,
    /// 0: done.
    low: Vec<u32>,
    of: Vec<u32>,
    members: Vec<u32>,
    on_path: Vec<u32>,
    /// (state, next edge to look at).
    calls: Vec<(u32, u32)>,
    numbered: u32,
}

impl Tarjan<'_> {
    const DONE: u32 = u32::MAX;

    fn enter(&mut self, state: u32) {
        self.numbered += 1;
        self.number[state as usize] = self.numbered;
        self.low[state as usize] = self.numbered;
        self.on_path.push(state);
        self.calls.push((state, 0));
    }

    fn from(&mut self, root: u32) {
        self.enter(root);
        while let Some((state, nth)) = self.calls.last_mut() {
            let (state, at) = (*state, *nth);
            *nth += 1;
            match self.view.nth(state, at) {
                Edge::Skipped => continue,
                Edge::To(next, _) => {
                    if self.number[next as usize] == 0 {
                        self.enter(next);
                    } else if self.low[next as usize] != 0 {
                        let number = self.number[next as usize];
                        let low = &mut self.low[state as usize];
                        *low = (*low).min(number);
                    }
                    continue;
                }
                Edge::End => {}
            }
            self.calls.pop();
            let low = self.low[state as usize];
            if let Some(&(caller, _)) = self.calls.last() {
                let of_caller = &mut self.low[caller as usize];
                *of_caller = (*of_caller).min(low);
            }
            if low == self.number[state as usize] {
                self.close(state);
            }
        }
    }

    /// `root` and what stands above it on the path form a component.
    fn close(&mut self, root: u32) {
        let alone = self.on_path.last() == Some(&root);
        while let Some(state) = self.on_path.pop() {
            self.low[state as usize] = 0;
            if !alone {
                self.of[state as usize] = root;
                self.members.push(state);
            }
            if state == root {
                return;
            }
        }
    }
}
