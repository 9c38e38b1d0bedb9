//! The memory of a plan: bytes, and who touches them.

use super::PlanError;
use super::touched::Touched;
use crate::plan::{Plan, Space};

/// All spaces, with one worker's scratch.
pub(super) struct Memory {
    persistent: Vec<u8>,
    arena: Vec<u8>,
    pub(super) scratch: Vec<u8>,
    persistent_touched: Touched,
    arena_touched: Touched,
}

impl Memory {
    /// All undefined but for what is cleared.
    pub(super) fn new(plan: &Plan) -> Result<Memory, PlanError> {
        let refused = |bytes| move |_| PlanError::Memory(bytes);
        let bytes = |bytes: usize| {
            let mut memory = Vec::new();
            memory.try_reserve_exact(bytes).map_err(refused(bytes))?;
            memory.resize(bytes, u8::MAX);
            Ok(memory)
        };
        let touched = |bytes: usize| Touched::new(bytes).map_err(refused(bytes));
        let mut arena = bytes(plan.arena_bytes)?;
        for buffer in plan.buffers.values().filter(|buffer| buffer.cleared) {
            let place = arena.get_mut(buffer.offset..buffer.end());
            place.into_iter().for_each(|bytes| bytes.fill(0));
        }
        Ok(Memory {
            persistent: bytes(plan.persistent_bytes)?,
            arena,
            scratch: bytes(plan.scratch_bytes)?,
            persistent_touched: touched(plan.persistent_bytes)?,
            arena_touched: touched(plan.arena_bytes)?,
        })
    }

    /// So many bytes from an offset on.
    pub(super) fn stretch(&mut self, space: Space, (begin, bytes): (usize, usize)) -> &mut [u8] {
        let memory = match space {
            Space::Persistent => &mut self.persistent,
            Space::Arena => &mut self.arena,
            Space::Scratch => &mut self.scratch,
        };
        &mut memory[begin..begin + bytes]
    }

    /// Who touches a space that tasks share.
    pub(super) fn touched(&mut self, space: Space) -> Option<&mut Touched> {
        match space {
            Space::Persistent => Some(&mut self.persistent_touched),
            Space::Arena => Some(&mut self.arena_touched),
            Space::Scratch => None,
        }
    }

    /// All workers have waited for each other.
    pub(super) fn barrier(&mut self) {
        self.persistent_touched.forget();
        self.arena_touched.forget();
    }

    /// Makes undefined what is neither kept nor fed. What was cleared at the start has what kernels have left in it.
    pub(super) fn forget(&mut self, plan: &Plan) {
        let mut arena = vec![u8::MAX; self.arena.len()];
        for buffer in plan.buffers.values().filter(|buffer| buffer.cleared) {
            let place = buffer.offset..buffer.end();
            let kept = (arena.get_mut(place.clone()), self.arena.get(place));
            if let (Some(new), Some(old)) = kept {
                new.copy_from_slice(old);
            }
        }
        for port in &plan.inputs {
            let buffer = &plan.buffers[port.buffer];
            if buffer.space == Space::Arena {
                let place = buffer.offset..buffer.end();
                arena[place.clone()].copy_from_slice(&self.arena[place]);
            }
        }
        self.arena = arena;
    }
}
