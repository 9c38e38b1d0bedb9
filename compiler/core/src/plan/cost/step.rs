//! How long a step takes by the model: tasks dealt to workers as the team does, each call with what its worker's caches
//! still hold.

use super::caches::{Caches, caches};
use super::footprint::{self, Traffic};
use super::ports::{CALL, Ports};
use super::recency::Recency;
use super::spans::Spans;
use super::transfer::Transfer;
use super::walk::{self, Cost};
use super::{Call, Plan, ScalarArgument, TaskGroup, Tasks};
use crate::loops::expand_math;
use crate::plan::{BufferId, KernelId, Phase, Space};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// The machine that the model is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The instruction set's widths.
    pub ports: Ports,
    /// How many threads work.
    pub threads: usize,
    /// Cycles that memory takes for a line that one thread reads while all do.
    pub memory_cycles: f64,
}

/// What the model says of a step.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    /// Each call site's cost, summed over tasks and rounds, in the order of phases, groups and calls. None where loops'
    /// bounds are not known before the run.
    pub sites: Vec<Option<Cost>>,
    /// Cycles of the step, from its begin to its end.
    pub cycles: f64,
}

/// Cycles of a barrier between phases.
const BARRIER: f64 = 1000.0;
/// Bytes that are filled with zeros in a cycle.
const ZEROED: f64 = 32.0;
/// The alignment of spaces: a large page.
const APART: usize = 2 << 20;

/// The model's time for a step of so many samples, as one of many: caches hold what the last one left.
pub fn predict(plan: &Plan, batch: usize, machine: &Machine) -> Prediction {
    let mut step = Step::new(plan, batch, machine);
    step.run();
    step.sites.fill(Some(Cost::default()));
    let begin = step.clocks[0];
    step.run();
    Prediction {
        cycles: step.clocks[0] - begin,
        sites: step.sites,
    }
}

/// What is known of a kernel's call with certain arguments.
struct Known {
    cost: Option<Cost>,
    traffic: Vec<Traffic>,
}

struct Step<'p> {
    plan: &'p Plan,
    batch: usize,
    machine: &'p Machine,
    known: BTreeMap<(KernelId, Vec<i64>), Rc<Known>>,
    caches: Caches,
    recency: Recency,
    /// Cycles since the begin, by worker.
    clocks: Vec<f64>,
    sites: Vec<Option<Cost>>,
}

/// What a worker does now.
#[derive(Clone, Copy)]
struct Now {
    worker: usize,
    tasks: Tasks,
    task: usize,
    block: usize,
    round: usize,
}

impl<'p> Step<'p> {
    fn new(plan: &'p Plan, batch: usize, machine: &'p Machine) -> Step<'p> {
        let groups = plan.phases.iter().flat_map(|phase| &phase.groups);
        let sites: usize = groups.map(|group| group.calls.len()).sum();
        let workers = machine.threads.max(1);
        let caches = caches(machine.ports.register_lanes);
        Step {
            plan,
            batch,
            machine,
            known: BTreeMap::new(),
            caches,
            recency: Recency::new(workers, base(plan, Space::Scratch, workers), caches),
            clocks: vec![0.0; workers],
            sites: vec![Some(Cost::default()); sites],
        }
    }

    fn run(&mut self) {
        let mut first = 0;
        for (number, phase) in self.plan.phases.iter().enumerate() {
            match phase.serial {
                true => self.serial(phase, first),
                false => self.phase(phase, first),
            }
            first += phase
                .groups
                .iter()
                .map(|group| group.calls.len())
                .sum::<usize>();
            let next = self.plan.phases.get(number + 1);
            let barrier = if next.is_some_and(|next| next.serial) {
                0.0
            } else {
                BARRIER
            };
            let end = self.clocks.iter().copied().fold(0.0, f64::max) + barrier;
            self.clocks.fill(end);
            self.recency.phase += 1;
        }
    }

    /// Who is first takes the next of its own tasks, then others'.
    fn phase(&mut self, phase: &Phase, first: usize) {
        let mut queues = Queues::new(phase, self.batch, self.clocks.len());
        let mut working: Vec<usize> = (0..self.clocks.len()).collect();
        while let Some(&worker) = working
            .iter()
            .min_by(|a, b| self.clocks[**a].total_cmp(&self.clocks[**b]))
        {
            match queues.next(worker) {
                Some((number, task)) => {
                    let before = &phase.groups[..number];
                    let calls: usize = before.iter().map(|group| group.calls.len()).sum();
                    self.task(&phase.groups[number], first + calls, worker, task);
                }
                None => working.retain(|&other| other != worker),
            }
        }
    }

    /// One worker does it all.
    fn serial(&mut self, phase: &Phase, mut first: usize) {
        for group in &phase.groups {
            for task in 0..group.tasks.count(self.batch) {
                self.task(group, first, 0, task);
            }
            first += group.calls.len();
        }
    }

    fn task(&mut self, group: &TaskGroup, first: usize, worker: usize, task: usize) {
        let mut now = Now {
            worker,
            tasks: group.tasks,
            task,
            block: 0,
            round: 0,
        };
        group.zeroed.iter().for_each(|&id| self.zero(id, now));
        let blocks = match group.tasks {
            Tasks::Blocks { .. } => group.tasks.range(self.batch, task),
            _ => 0..1,
        };
        let sequence = group.sequence();
        for block in blocks {
            for &(call, round) in &sequence {
                (now.block, now.round) = (block, round);
                self.call(&group.calls[call], first + call, now);
            }
        }
    }

    fn zero(&mut self, id: BufferId, now: Now) {
        let range = self.window(id, now);
        self.recency.begin(now.worker);
        self.recency
            .touch(now.worker, &Spans::one(range.clone()), true, 0.0);
        self.clocks[now.worker] += (range.end - range.start) as f64 / ZEROED;
    }

    fn call(&mut self, call: &Call, site: usize, now: Now) {
        let known = self.known(call, now);
        let transfer = self.transfer(call, &known.traffic, now);
        let Some(cost) = known.cost else {
            self.sites[site] = None;
            return;
        };
        let mut cost = Cost { transfer, ..cost };
        cost.total = cost.overlapped(self.machine.memory_cycles) + CALL;
        self.clocks[now.worker] += cost.total;
        if let Some(sum) = &mut self.sites[site] {
            *sum = sum.and(cost);
        }
    }

    /// What has to come into the first cache, with what the worker's caches still hold.
    fn transfer(&mut self, call: &Call, traffic: &[Traffic], now: Now) -> Transfer {
        self.recency.begin(now.worker);
        let all: f64 = traffic.iter().map(|own| own.cold.lines).sum();
        let mut transfer = Transfer::default();
        for own in traffic {
            let base = self.window(call.buffers[own.buffer], now).start;
            let (touched, beside) = (own.touched.shifted(base), all - own.cold.lines);
            let held = self.recency.touch(now.worker, &touched, own.stored, beside);
            transfer += Transfer::of(own, held);
        }
        transfer
    }

    fn known(&mut self, call: &Call, now: Now) -> Rc<Known> {
        let arguments: Vec<i64> = call
            .scalars
            .iter()
            .map(|&argument| now.value(argument, self.batch))
            .collect();
        let key = (call.kernel, arguments);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let kernel = &self.plan.kernels[call.kernel];
        let bases = call.buffers.iter().map(|&id| self.window(id, now).start);
        let bases: Vec<i64> = bases.collect();
        let known = Rc::new(Known {
            cost: walk::of_call(&expand_math(kernel), &key.1, &self.machine.ports),
            traffic: footprint::of_call(kernel, &key.1, &bases, self.caches),
        });
        self.known.insert(key, known.clone());
        known
    }

    /// The addresses of a buffer's part that a call is given.
    fn window(&self, id: BufferId, now: Now) -> Range<i64> {
        let buffer = &self.plan.buffers[id];
        let (offset, bytes) = buffer.window_in_round(now.tasks, now.task, now.block, now.round);
        let begin = (base(self.plan, buffer.space, now.worker) + offset) as i64;
        begin..begin + bytes as i64
    }
}

/// Where a space begins; each worker's scratch has its own place.
fn base(plan: &Plan, space: Space, worker: usize) -> usize {
    let arena = plan.persistent_bytes.next_multiple_of(APART);
    let scratch = arena + plan.arena_bytes.next_multiple_of(APART);
    match space {
        Space::Persistent => 0,
        Space::Arena => arena,
        Space::Scratch => scratch + worker * plan.scratch_bytes.next_multiple_of(APART),
    }
}

impl Now {
    fn value(&self, argument: ScalarArgument, batch: usize) -> i64 {
        let range = self.tasks.range(batch, self.task);
        let value = match argument {
            ScalarArgument::Batch => batch,
            ScalarArgument::BlockTasks { lanes, most } => batch.div_ceil(lanes.max(1)).min(most),
            // No loop is as long as its block's number.
            ScalarArgument::Block | ScalarArgument::Round => 0,
            ScalarArgument::Follows => usize::from(self.block != range.start),
            ScalarArgument::ValidLanes => match self.tasks {
                Tasks::Blocks { lanes, .. } => lanes.min(batch - self.block * lanes),
                _ => 0,
            },
            ScalarArgument::RangeBegin => range.start,
            ScalarArgument::RangeEnd => range.end,
        };
        value as i64
    }
}

/// The tasks of a phase that nobody has taken, by group and worker whose share they are.
struct Queues {
    groups: Vec<Vec<Range<usize>>>,
}

impl Queues {
    fn new(phase: &Phase, batch: usize, workers: usize) -> Queues {
        let shares = |group: &TaskGroup| {
            let tasks = group.tasks.count(batch);
            let (size, longer) = (tasks / workers, tasks % workers);
            let begin = move |worker: usize| worker * size + worker.min(longer);
            (0..workers)
                .map(|worker| begin(worker)..begin(worker + 1))
                .collect()
        };
        Queues {
            groups: phase.groups.iter().map(shares).collect(),
        }
    }

    /// The group and task that a worker comes to next.
    fn next(&mut self, worker: usize) -> Option<(usize, usize)> {
        let workers = self.groups.first()?.len();
        let shares = (0..workers).map(|distance| (worker + distance) % workers);
        let own = shares.clone().take(1);
        let take = |groups: &mut Vec<Vec<Range<usize>>>, share: usize| {
            let mut groups = groups.iter_mut().enumerate();
            groups.find_map(|(number, shares)| Some((number, shares[share].next()?)))
        };
        own.chain(shares.skip(1))
            .find_map(|share| take(&mut self.groups, share))
    }
}
