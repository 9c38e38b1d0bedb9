//! Groups in the order in which they may run, and those that wait for one another.
//!
//! A value joins the kernel of the one anchor that it reads; what else it reads is stored. Two products each of which comes with a
//! value that reads the other's are a cycle, though no value waits for itself:
//!
//! ```text
//! product1 -> a, d = f(product1, b)
//! product2 -> b, c = g(product2, a)
//! ```

use super::fuse::Group;
use super::reads::leaves;
use crate::graph::{Graph, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// The groups, each behind those it reads.
pub fn in_order(graph: &Graph, stored: &BTreeSet<NodeId>, groups: Vec<Group>) -> Vec<Group> {
    let order = Walk::new(graph, stored, &groups).order;
    let order = order.into_iter();
    order.map(|number| groups[number].clone()).collect()
}

/// Groups each of which waits for the next, and the last for the first.
pub fn cycle(graph: &Graph, stored: &BTreeSet<NodeId>, groups: &[Group]) -> Option<Vec<usize>> {
    Walk::new(graph, stored, groups).cycle
}

/// The last value that an anchor's kernel computes beside it, of some groups.
pub fn last_homed(groups: &[Group], cycle: &[usize]) -> Option<NodeId> {
    let groups = cycle.iter().map(|&number| &groups[number]);
    let homed = groups.flat_map(|group| {
        let outputs = group.outputs.iter().copied();
        outputs.filter(|&output| group.anchor.is_some_and(|anchor| anchor != output))
    });
    homed.max()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// What it reads is being placed.
    Open,
    Placed,
}

/// A walk from each group to those it reads.
struct Walk {
    order: Vec<usize>,
    cycle: Option<Vec<usize>>,
}

impl Walk {
    fn new(graph: &Graph, stored: &BTreeSet<NodeId>, groups: &[Group]) -> Walk {
        let makers = groups.iter().enumerate().flat_map(|(number, group)| {
            let outputs = group.outputs.iter();
            outputs.map(move |&output| (output, number))
        });
        let makers: BTreeMap<NodeId, usize> = makers.collect();
        let read = |number: usize| -> Vec<usize> {
            let leaves = leaves(graph, stored, &groups[number]);
            let found = leaves.iter().filter_map(|leaf| makers.get(leaf).copied());
            found.collect()
        };
        let mut walk = Walk {
            order: Vec::with_capacity(groups.len()),
            cycle: None,
        };
        let mut states = vec![State::New; groups.len()];
        for number in 0..groups.len() {
            walk.from(number, &read, &mut states);
        }
        walk
    }

    fn from(&mut self, first: usize, read: &dyn Fn(usize) -> Vec<usize>, states: &mut [State]) {
        let mut pending = vec![first];
        while let Some(&number) = pending.last() {
            if states[number] != State::New {
                pending.pop();
                if std::mem::replace(&mut states[number], State::Placed) == State::Open {
                    self.order.push(number);
                }
                continue;
            }
            states[number] = State::Open;
            for other in read(number) {
                match states[other] {
                    State::New => pending.push(other),
                    State::Open if self.cycle.is_none() => {
                        let open = |&own: &usize| states[own] == State::Open;
                        let path: Vec<usize> = pending.iter().copied().filter(open).collect();
                        let begin = path.iter().rposition(|&own| own == other);
                        self.cycle = begin.map(|begin| path[begin..].to_vec());
                    }
                    State::Open | State::Placed => {}
                }
            }
        }
    }
}
