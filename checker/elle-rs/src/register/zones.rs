//! Whether the blocks of a register fit into one order, and that order.
//!
//! Block a must precede block b iff some operation of a finishes before some operation of b
//! starts: `a.finish < b.start`. A shortest circle of "must precede" has length two (in a longer
//! one each block would finish before the one two places on starts, and `finish` would fall all
//! the way round), so only pairs count. With *forward* blocks those with `finish < start`, the
//! zone between the two: a pair conflicts iff two forward zones overlap, or a backward zone lies
//! inside a forward one.
//!
//! If no pair conflicts, sorting by `min(finish, start)` respects "must precede". Let
//! `a.finish < b.start`. Both forward: they are disjoint, so `a.finish < b.finish`. a forward, b
//! backward: the keys are those two. a backward, b forward: no conflict means
//! `a.start < b.finish`. Both backward: `a.start < a.finish < b.start`.

use super::blocks::{Block, Cause, Clusters, Id, NONE};
use super::operations::{Operation, Time};

/// Sorts the blocks into an order, or names two that conflict.
pub(super) fn order(
    operations: &[Operation],
    clusters: &Clusters,
    mut blocks: Vec<Block>,
) -> Result<Vec<Block>, Cause> {
    let crossed = |a: &Block, b: &Block| crossed(operations, clusters, a, b);
    blocks.sort_unstable_by_key(Block::rank);
    // By rank, forward blocks are sorted by finish, so overlaps show between neighbours.
    let mut forward: Option<&Block> = None;
    for block in blocks.iter().filter(|block| block.finish < block.start) {
        if let Some(before) = forward
            && block.finish < before.start
        {
            return Err(crossed(before, block));
        }
        forward = Some(block);
    }
    let mut forward: Option<&Block> = None;
    for block in &blocks {
        if block.finish < block.start {
            forward = Some(block);
        } else if let Some(around) = forward
            && block.finish < around.start
        {
            return Err(crossed(around, block));
        }
    }
    Ok(blocks)
}

/// The four operations that show a conflict. Of those in a block that began too late, the first
/// in its forced order is the one to blame: the later ones only follow it.
fn crossed(operations: &[Operation], clusters: &Clusters, a: &Block, b: &Block) -> Cause {
    let first_after = |block: &Block, moment: Time| {
        let mut at = block.head;
        let mut rank = vec![NONE; clusters.clusters.len()];
        for place in 0.. {
            if at == NONE {
                break;
            }
            rank[at as usize] = place;
            at = clusters.clusters[at as usize].next;
        }
        (0..)
            .zip(operations)
            .filter(|(_, operation)| operation.start > moment)
            .filter_map(|(id, operation): (Id, _)| {
                let cluster = clusters.of_operation[id as usize];
                let rank = *rank.get(cluster as usize)?;
                (rank != NONE).then_some((rank, operation.puts().is_none(), id))
            })
            .min()
            .map_or(block.last, |(_, _, id)| id)
    };
    Cause::Crossed {
        a_first: a.first,
        b_last: first_after(b, a.finish),
        b_first: b.first,
        a_last: first_after(a, b.finish),
    }
}

/// The operations in an order that explains them: block by block, value by value, the reads of
/// a value in the order they began.
pub(super) fn witness(operations: &[Operation], clusters: &Clusters, blocks: &[Block]) -> Vec<Id> {
    let mut place = vec![0; clusters.clusters.len()];
    let mut total = 0;
    for block in blocks {
        let mut at = block.head;
        while at != NONE {
            let cluster = &clusters.clusters[at as usize];
            place[at as usize] = total;
            total += cluster.reads as usize + usize::from(cluster.writer != NONE);
            at = cluster.next;
        }
    }
    let mut witness = vec![NONE; total];
    for (cluster, place) in clusters.clusters.iter().zip(&mut place) {
        if cluster.writer != NONE {
            witness[*place] = cluster.writer;
            *place += 1;
        }
    }
    for (id, &cluster) in clusters.of_operation.iter().enumerate() {
        if cluster != NONE && operations[id].puts().is_none() {
            let place = &mut place[cluster as usize];
            witness[*place] = id as Id;
            *place += 1;
        }
    }
    witness
}
