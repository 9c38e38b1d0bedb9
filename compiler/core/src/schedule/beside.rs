//! Values that one kernel computes beside another's, as both take the same long functions of the same operands.
//!
//! | value | beside |
//! |---|---|
//! | the gradient of a cell's state | those of its gates, which a wider value is put together from |
//! | an activation, computed anew | its derivative's product with what comes back to it |
//!
//! A kernel of its own would compute the long functions again.

use super::fuse::{Group, Strategy};
use super::lanes::Lanes;
use super::long_maps::is_long;
use super::lower::equal_parts_of;
use super::reads::leaves;
use crate::graph::{Dim, Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// The groups, those that compute a part's size of what a wider one computes, or as much, joined to it.
pub fn beside(
    graph: &Graph,
    lanes: &Lanes,
    stored: &BTreeSet<NodeId>,
    mut groups: Vec<Group>,
) -> Vec<Group> {
    let read = groups.iter().map(|group| leaves(graph, stored, group));
    let read: Vec<BTreeSet<NodeId>> = read.collect();
    let maps = groups.iter().enumerate();
    let mut maps: Vec<Map> = maps
        .filter_map(|(number, group)| Map::of(graph, stored, number, group))
        .collect();
    let mut joins = Joins::new(&groups);
    while let Some(wide) = maps.pop() {
        let fits = |narrow: &Map| {
            wide.takes(graph, lanes, stored, narrow, &read) && joins.may(&wide, narrow, &read)
        };
        let narrow = maps.iter().position(fits);
        if let Some(narrow) = narrow.map(|place| maps.remove(place)) {
            groups[wide.number].outputs.push(narrow.output);
            joins.join(&wide, &narrow);
        }
    }
    let mut number = 0..groups.len();
    groups.retain(|_| {
        number
            .next()
            .is_none_or(|number| joins.wide[number] == number)
    });
    groups
}

/// Which group each has been joined to, itself at first.
struct Joins {
    wide: Vec<usize>,
    makers: BTreeMap<NodeId, usize>,
}

impl Joins {
    fn new(groups: &[Group]) -> Joins {
        let outputs = groups.iter().enumerate().flat_map(|(number, group)| {
            let outputs = group.outputs.iter();
            outputs.map(move |&output| (output, number))
        });
        Joins {
            wide: (0..groups.len()).collect(),
            makers: outputs.collect(),
        }
    }

    fn join(&mut self, wide: &Map, narrow: &Map) {
        self.wide[narrow.number] = wide.number;
    }

    /// Whether no group that either reads, or that what they read is made from, waits for one of both.
    fn may(&self, wide: &Map, narrow: &Map, read: &[BTreeSet<NodeId>]) -> bool {
        let pair = [wide.number, narrow.number];
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        let mut pending = pair.to_vec();
        while let Some(number) = pending.pop() {
            let together = (0..self.wide.len()).filter(|&other| self.wide[other] == number);
            for leaf in together.flat_map(|other| &read[other]) {
                let Some(&maker) = self.makers.get(leaf) else {
                    continue;
                };
                let maker = self.wide[maker];
                if pair.contains(&maker) {
                    return false;
                }
                if seen.insert(maker) {
                    pending.push(maker);
                }
            }
        }
        true
    }
}

/// A group that makes one value without a sum.
struct Map {
    /// The group.
    number: usize,
    output: NodeId,
    /// The functions of many operations in its expression.
    long: BTreeSet<NodeId>,
}

impl Map {
    /// None where there is no function of many operations.
    fn of(graph: &Graph, stored: &BTreeSet<NodeId>, number: usize, group: &Group) -> Option<Map> {
        let [output] = group.outputs[..] else {
            return None;
        };
        if group.anchor.is_some() || group.strategy != Strategy::Lanes {
            return None;
        }
        let mut long = expression(graph, stored, output);
        long.retain(|&id| matches!(&graph.nodes[id].op, Op::Unary(op) if is_long(*op)));
        (!long.is_empty()).then_some(Map {
            number,
            output,
            long,
        })
    }

    /// Whether another value can be computed beside this one.
    fn takes(
        &self,
        graph: &Graph,
        lanes: &Lanes,
        stored: &BTreeSet<NodeId>,
        other: &Map,
        read: &[BTreeSet<NodeId>],
    ) -> bool {
        let shape = |id: NodeId| &graph.nodes[id].ty.shape[..];
        let is_stored = |id| stored.contains(&id);
        !self.long.is_disjoint(&other.long)
            && lanes.axis(self.output) == lanes.axis(other.output)
            && parts_between(shape(self.output), shape(other.output))
                == Some(equal_parts_of(graph, lanes, &is_stored, self.output))
            && read[other.number].is_subset(&read[self.number])
    }
}

/// How many times the last axis of one shape is that of the other, all else being equal.
fn parts_between(large: &[Dim], small: &[Dim]) -> Option<i64> {
    let ((large, outer), (small, other)) = (large.split_last()?, small.split_last()?);
    let (large, small) = (large.known()?, small.known()?);
    (outer == other && small > 0 && large % small == 0).then(|| large / small)
}

/// The nodes of a value's expression, up to what is stored.
fn expression(graph: &Graph, stored: &BTreeSet<NodeId>, output: NodeId) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::new();
    let mut pending = vec![output];
    while let Some(id) = pending.pop() {
        let own = id == output || !stored.contains(&id);
        if own && found.insert(id) {
            pending.extend(&graph.nodes[id].inputs);
        }
    }
    found
}
