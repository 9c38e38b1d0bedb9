//! What a step takes: its spaces, and what lies in them.

use super::{BufferId, Layout, Plan, Space};
use std::collections::BTreeMap;

/// What decisions on memory begin with.
const ON_MEMORY: &str = "memory: ";

/// The bytes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepMemory {
    /// Parameters and states, kept between steps.
    pub persistent: usize,
    /// What all workers share within a step: data, activations and gradients that outlive a phase, partial sums.
    pub arena: usize,
    /// Activations and gradients of the sample block that a worker is at; each worker has as much.
    pub scratch: usize,
    /// Of the arena, the partial sums of gradients that live at the same time, at most.
    pub partials: usize,
}

impl StepMemory {
    /// All of it, with so many workers.
    pub fn total(&self, workers: usize) -> usize {
        self.persistent + self.arena + self.scratch * workers
    }
}

impl Plan {
    /// What a step takes.
    pub fn memory(&self) -> StepMemory {
        StepMemory {
            persistent: self.persistent_bytes,
            arena: self.arena_bytes,
            scratch: self.scratch_bytes,
            partials: self.partial_bytes(),
        }
    }

    /// What the schedule has decided for the sake of memory.
    pub fn decisions_on_memory(&self) -> impl Iterator<Item = &str> {
        let decisions = self.decisions.iter().map(String::as_str);
        decisions.filter(|decision| decision.starts_with(ON_MEMORY))
    }

    fn partial_bytes(&self) -> usize {
        let mut lives: BTreeMap<BufferId, (usize, usize)> = BTreeMap::new();
        for (number, phase) in self.phases.iter().enumerate() {
            let calls = phase.groups.iter().flat_map(|group| &group.calls);
            for &id in calls.flat_map(|call| &call.buffers) {
                let buffer = &self.buffers[id];
                if buffer.layout == Layout::Partials && buffer.space == Space::Arena {
                    lives.entry(id).or_insert((number, number)).1 = number;
                }
            }
        }
        let at = |phase: usize| -> usize {
            let own = lives
                .iter()
                .filter(|(_, life)| (life.0..=life.1).contains(&phase));
            own.map(|(&id, _)| self.buffers[id].bytes).sum()
        };
        (0..self.phases.len()).map(at).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::parse_plan;

    #[test]
    fn partials_count_while_they_live() {
        let text = r#"plan "step" {
  batch 8
  space persistent 64 bytes
  space arena 256 bytes
  space scratch 64 bytes

  buffer m0 "partial1": f32[16] partials in arena at 0, 128 bytes, task 64
  buffer m1 "partial2": f32[16] partials in arena at 128, 128 bytes, task 64
  decision "map1: lanes 8"
  decision "memory: 3 kernels run again"

  kernel k0 "sum"(b0 "a": f32 read_write)

  phase 0 {
    once "a" {
      call k0(m0)
    }
  }
  phase 1 {
    once "b" {
      call k0(m0)
    }
    once "c" {
      call k0(m1)
    }
  }
  phase 2 {
    once "d" {
      call k0(m1)
    }
  }
}
"#;
        let plan = parse_plan(text).expect("reads");
        let memory = plan.memory();
        assert_eq!((memory.partials, memory.total(3)), (256, 64 + 256 + 3 * 64));
        let decisions: Vec<&str> = plan.decisions_on_memory().collect();
        assert_eq!(decisions, ["memory: 3 kernels run again"]);
    }
}
