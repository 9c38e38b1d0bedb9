//! The rules of contents: what is read was written before, and is still there.

use std::fmt::Display;

use cranelift_entity::SecondaryMap;

use super::accesses::{Place, bindings, calls, groups, reads, writes};
use super::{Faults, Rule, named};
use crate::graph::InputKind;
use crate::loops::Access;
use crate::plan::{BufferId, Call, Layout, Plan, ScalarArgument, Space, TaskGroup, Tasks};

pub(super) fn check(plan: &Plan, faults: &mut Faults) {
    let mut contents = Contents::new(plan);
    contents.inputs(faults);
    contents.cleared(faults);
    for (place, group) in groups(plan) {
        contents.forget_scratch();
        for &id in &group.zeroed {
            contents.write(id, &place.to_string());
            contents.writers[id] = Some(group.tasks);
        }
        for (place, call) in in_rounds(place, group) {
            contents.call(&place.to_string(), group, call, faults);
        }
    }
    for commit in &plan.commits {
        contents.read(commit.from, &"commit", faults);
        contents.write(commit.to, "commit");
    }
    contents.end(faults);
}

/// The calls in their order, those of loops for two rounds: what the second reads may be what the first has written over.
fn in_rounds<'a>(place: Place<'a>, group: &'a TaskGroup) -> Vec<(Place<'a>, &'a Call)> {
    let all: Vec<(Place<'a>, &'a Call)> = calls(place, group).collect();
    let (mut found, mut next) = (Vec::with_capacity(all.len()), 0);
    for repeat in &group.repeats {
        found.extend_from_slice(&all[next..repeat.first]);
        for _ in 0..repeat.rounds.min(2) {
            found.extend_from_slice(&all[repeat.first..repeat.end()]);
        }
        next = repeat.end();
    }
    found.extend_from_slice(&all[next..]);
    found
}

/// What a buffer holds.
#[derive(Clone, Default, PartialEq)]
enum Content {
    /// Nothing yet.
    #[default]
    None,
    /// Its value.
    Value,
    /// What overlaps it, written there.
    Overwritten(String),
}

struct Contents<'a> {
    plan: &'a Plan,
    content: SecondaryMap<BufferId, Content>,
    /// How the group that last zeroed each buffer of partials was cut.
    writers: SecondaryMap<BufferId, Option<Tasks>>,
    /// The other buffers that each overlaps.
    overlapping: SecondaryMap<BufferId, Vec<BufferId>>,
}

impl<'a> Contents<'a> {
    fn new(plan: &'a Plan) -> Contents<'a> {
        let mut order: Vec<BufferId> = plan.buffers.keys().collect();
        order.sort_by_key(|&id| (plan.buffers[id].space, plan.buffers[id].offset));
        let mut overlapping: SecondaryMap<BufferId, Vec<BufferId>> = SecondaryMap::new();
        for (position, &a) in order.iter().enumerate() {
            let (space, end) = (plan.buffers[a].space, plan.buffers[a].end());
            let near =
                |&&b: &&BufferId| plan.buffers[b].space == space && plan.buffers[b].offset < end;
            for &b in order[position + 1..]
                .iter()
                .take_while(near)
                .filter(|&&b| plan.overlap(a, b))
            {
                overlapping[a].push(b);
                overlapping[b].push(a);
            }
        }
        Contents {
            plan,
            content: SecondaryMap::new(),
            writers: SecondaryMap::new(),
            overlapping,
        }
    }

    /// All of them are there at once.
    fn inputs(&mut self, faults: &mut Faults) {
        for port in &self.plan.inputs {
            self.content[port.buffer] = Content::Value;
        }
        for port in &self.plan.inputs {
            let other = self.overlapping[port.buffer]
                .iter()
                .find(|&&other| self.content[other] == Content::Value);
            if let Some(&other) = other {
                let message = format!("lies over {}, another input", named(self.plan, other));
                faults.add(Rule::Overwritten, format!("input {:?}", port.name), message);
            }
        }
    }

    /// Scratch holds nothing when a block's first call begins.
    fn forget_scratch(&mut self) {
        for (id, buffer) in &self.plan.buffers {
            if buffer.space == Space::Scratch {
                self.content[id] = Content::None;
            }
        }
    }

    fn call(&mut self, place: &str, group: &TaskGroup, call: &Call, faults: &mut Faults) {
        let own = |(id, access): (BufferId, Access)| (self.plan.base(id), access);
        let bound: Vec<(BufferId, Access)> = bindings(self.plan, call).map(own).collect();
        let stored = call.scalars.contains(&ScalarArgument::Follows);
        for &(id, access) in &bound {
            // What the first block stores, only those that follow read.
            let own = stored && writes(access) && self.plan.buffers[id].layout == Layout::Partials;
            if reads(access) && !own {
                self.read(id, &place, faults);
                self.partial_count(place, group, call, id, faults);
            }
        }
        for &(id, _) in bound.iter().filter(|bound| writes(bound.1)) {
            self.write(id, place);
        }
    }

    fn partial_count(
        &self,
        place: &str,
        group: &TaskGroup,
        call: &Call,
        id: BufferId,
        faults: &mut Faults,
    ) {
        if self.plan.buffers[id].layout != Layout::Partials
            || matches!(group.tasks, Tasks::Blocks { .. })
        {
            return;
        }
        let Some(Tasks::Blocks { lanes, most }) = self.writers[id] else {
            return;
        };
        let told = call
            .scalars
            .contains(&ScalarArgument::BlockTasks { lanes, most });
        faults.unless(told, Rule::PartialCount, place, || {
            format!(
                "{} was written in blocks of {lanes}, at most {most} tasks",
                named(self.plan, id)
            )
        });
    }

    fn read(&self, id: BufferId, place: &dyn Display, faults: &mut Faults) {
        match &self.content[id] {
            Content::Value => {}
            Content::None => {
                faults.add(
                    Rule::Written,
                    place,
                    format!("reads {}, which nothing has written", named(self.plan, id)),
                );
            }
            Content::Overwritten(by) => {
                let message = format!("reads {}, which {by} has overwritten", named(self.plan, id));
                faults.add(Rule::Overwritten, place, message);
            }
        }
    }

    fn write(&mut self, id: BufferId, place: &str) {
        self.content[id] = Content::Value;
        for &other in &self.overlapping[id] {
            if self.content[other] == Content::Value {
                self.content[other] =
                    Content::Overwritten(format!("{} ({place})", named(self.plan, id)));
            }
        }
    }

    /// What is cleared once has its memory to itself.
    fn cleared(&self, faults: &mut Faults) {
        let cleared = self
            .plan
            .buffers
            .iter()
            .filter(|(_, buffer)| buffer.cleared);
        for (id, _) in cleared {
            if let Some(&other) = self.overlapping[id].first() {
                let message = format!("lies over {}", named(self.plan, other));
                faults.add(Rule::Overwritten, format!("cleared {id}"), message);
            }
        }
    }

    /// Outputs must be there, and what is kept between steps.
    fn end(&self, faults: &mut Faults) {
        for port in &self.plan.outputs {
            self.read(port.buffer, &format!("output {:?}", port.name), faults);
        }
        for port in &self.plan.inputs {
            if matches!(port.kind, InputKind::Parameter | InputKind::State) {
                self.read(
                    port.buffer,
                    &format!("input {:?} after the step", port.name),
                    faults,
                );
            }
        }
    }
}
