//! Which node an operation goes to.

use crate::options::Target;

/// The node for an operation of the client at position `client`.
///
/// `draw` is a number from the seed; `hint` is where the leader was last seen. A hint beyond
/// the cluster counts as none.
pub(crate) fn node_for(
    target: Target,
    client: u32,
    nodes: u16,
    hint: Option<u16>,
    draw: u64,
) -> u16 {
    let any = (draw % u64::from(nodes)) as u16;
    match target {
        Target::Any => any,
        Target::Leader => hint.filter(|node| *node < nodes).unwrap_or(any),
        Target::Each => (client % u32::from(nodes)) as u16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reaches_every_node() {
        let mut seen = [false; 3];
        for draw in 0..30 {
            seen[usize::from(node_for(Target::Any, 0, 3, Some(1), draw))] = true;
        }
        assert_eq!(seen, [true; 3]);
    }

    #[test]
    fn leader_follows_the_hint_and_falls_back_to_any() {
        for draw in 0..30 {
            assert_eq!(node_for(Target::Leader, 5, 3, Some(2), draw), 2);
            assert_eq!(
                node_for(Target::Leader, 5, 3, None, draw),
                node_for(Target::Any, 5, 3, None, draw)
            );
            assert!(node_for(Target::Leader, 5, 3, Some(3), draw) < 3);
        }
    }

    #[test]
    fn each_binds_a_client_to_its_node() {
        for client in 0..9 {
            for draw in 0..5 {
                let node = node_for(Target::Each, client, 3, Some(0), draw);
                assert_eq!(u32::from(node), client % 3);
            }
        }
    }
}
