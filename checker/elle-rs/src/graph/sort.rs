//! An order of all states that respects every edge (Kahn 1962), if there is one.

use super::view::View;

/// The states in such an order; `None` where some state must come before itself.
pub(crate) fn sort(view: View<'_>) -> Option<Vec<u32>> {
    let states = view.states();
    let mut before = vec![0u32; states as usize];
    for state in 0..states {
        view.each(state, |to, _| before[to as usize] += 1);
    }
    let mut order: Vec<u32> = Vec::with_capacity(states as usize);
    // What is ready first is taken last, but for the roots: so what belongs together stays
    // together, in the order and in the processor's caches.
    let mut ready: Vec<u32> = Vec::new();
    for root in 0..states {
        if before[root as usize] != 0 {
            continue;
        }
        // Taken: never ready again.
        before[root as usize] = u32::MAX;
        ready.push(root);
        while let Some(state) = ready.pop() {
            order.push(state);
            view.each(state, |to, _| {
                let left = &mut before[to as usize];
                *left -= 1;
                if *left == 0 {
                    *left = u32::MAX;
                    ready.push(to);
                }
            });
        }
    }
    (order.len() == states as usize).then_some(order)
}
