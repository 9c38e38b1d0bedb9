//! Parameters and states at the start of a run.

use super::clock::Scalars;
use super::{Clock, Plan, SessionError};
use crate::call::store;
use crate::checkpoint::Tensors;
use crate::memory::{Buffer, Memory, Scratch, arena_of};
use crate::program::{Executable, Slot};
use crate::team::Team;

/// The parameters and states of a plan and all its programs, which must agree on where each is.
pub(super) fn slots(plan: &Plan) -> Result<Vec<Slot>, SessionError> {
    let mut slots: Vec<Slot> = Vec::new();
    let read = programs(plan).flat_map(|program| &program.persistent);
    for slot in plan.persistent.iter().chain(read) {
        match slots.iter().find(|known| known.name == slot.name) {
            Some(known) if known != slot => {
                return Err(SessionError::Disagree {
                    name: slot.name.clone(),
                });
            }
            Some(_) => {}
            None => slots.push(slot.clone()),
        }
    }
    Ok(slots)
}

/// The buffer with every value as it is at the start.
pub(super) fn persistent(
    team: &Team,
    plan: &Plan,
    slots: &[Slot],
    scratch: &mut Scratch,
) -> Result<Buffer, SessionError> {
    let end = |slot: &Slot| slot.offset_bytes.saturating_add(slot.stored_bytes(1));
    let needed = programs(plan)
        .map(|program| program.persistent_bytes)
        .chain(slots.iter().map(end));
    let mut persistent = Buffer::zeroed(needed.max().unwrap_or(0))?;
    match &plan.init {
        Some(init) => {
            run_init(team, init, plan.settings.seed, &mut persistent, scratch)?;
            let given = |slot: &&Slot| plan.initial.contains_key(&slot.name);
            let replaced: Vec<Slot> = slots.iter().filter(given).cloned().collect();
            store_all(&replaced, &plan.initial, &mut persistent)?;
        }
        None => store_all(slots, &plan.initial, &mut persistent)?,
    }
    let unknown = plan
        .initial
        .keys()
        .find(|name| !slots.iter().any(|slot| slot.name == **name));
    unknown.map_or(Ok(persistent), |name| {
        Err(SessionError::NoSuchValue { name: name.clone() })
    })
}

/// Stores the value of each slot.
pub(super) fn store_all(
    slots: &[Slot],
    values: &Tensors,
    persistent: &mut Buffer,
) -> Result<(), SessionError> {
    for slot in slots {
        let value = values
            .get(&slot.name)
            .ok_or_else(|| SessionError::NoValue {
                name: slot.name.clone(),
            })?;
        store(slot, 1, value, persistent)?;
    }
    Ok(())
}

fn run_init(
    team: &Team,
    init: &Executable,
    seed: u64,
    persistent: &mut Buffer,
    scratch: &mut Scratch,
) -> Result<(), SessionError> {
    let clock = Clock::over(seed);
    let (scalars, mut arena) = (Scalars::new(init, &clock)?, arena_of(init)?);
    let memory = Memory {
        persistent,
        arena: &mut arena,
        scratch,
    };
    team.execute(init, memory, 1, |memory| scalars.set(&clock, 0, memory))?;
    Ok(())
}

fn programs(plan: &Plan) -> impl Iterator<Item = &Executable> {
    let evaluations = plan
        .evaluations
        .iter()
        .flat_map(|evaluation| &evaluation.programs);
    plan.steps.iter().chain(evaluations).chain(&plan.init)
}
