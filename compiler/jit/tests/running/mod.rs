//! Plans run by the slow evaluator and by the worker team, on the same made-up inputs.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;

use dlm_core::graph::eval::{Tensor, round_bf16};
use dlm_core::graph::{InputKind, OutputKind};
use dlm_core::loops::Element;
use dlm_core::plan::{Interpreter, Order, Plan, PlanBuffer, Port};
use dlm_jit::{Options, link};
use dlm_runtime::call::{load, store};
use dlm_runtime::memory::{Buffer, Memory, Scratch, arena_of};
use dlm_runtime::program::{Executable, Slot, Space};
use dlm_runtime::team::Team;
use dlm_runtime::tensor::{DataType, Tensor as Stored};

/// Values that rounding shows in, different in each step and port.
fn random(buffer: &PlanBuffer, batch: usize, salt: u64) -> Tensor {
    let shape: Vec<i64> = buffer
        .shape
        .iter()
        .map(|dim| dim.at(batch as i64))
        .collect();
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    Tensor::from_fn(&shape, |_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let random = f64::from((state >> 40) as u32) / f64::from(1u32 << 24);
        match buffer.element {
            Element::F32 => f64::from((random * 2.0 - 1.0) as f32),
            Element::Bf16 => f64::from(round_bf16((random * 2.0 - 1.0) as f32)),
            Element::I32 | Element::U8 => (random * 10.0).floor(),
            Element::Bool => (random * 2.0).floor(),
        }
    })
}

/// The value that a step is fed: states are not negative, as variances are.
pub fn value(plan: &Plan, port: &Port<InputKind>, batch: usize, salt: usize) -> Tensor {
    let buffer = &plan.buffers[port.buffer];
    let mut value = random(buffer, batch, salt as u64);
    match port.kind {
        InputKind::State => value
            .data
            .iter_mut()
            .for_each(|element| *element = element.abs()),
        InputKind::Scalar => value.data.fill(3.0),
        InputKind::Parameter | InputKind::Data => {}
    }
    value
}

/// What a run leaves: for each step each output's name and bits.
pub type Left = Vec<(String, Vec<u32>)>;

fn bits(element: DataType, values: impl Iterator<Item = f64>) -> Vec<u32> {
    let value = |value: f64| match element {
        DataType::F32 | DataType::Bf16 => (value as f32).to_bits(),
        _ => value as i32 as u32,
    };
    values.map(value).collect()
}

/// The outputs of steps of these batches; parameters and states go on from step to step.
pub fn by_evaluator(plan: &Plan, batches: &[usize], order: Order) -> Left {
    let mut interpreter = Interpreter::new(plan).expect("a good plan");
    let mut left = Left::new();
    for (step, &batch) in batches.iter().enumerate() {
        for (number, port) in plan.inputs.iter().enumerate() {
            let kept = matches!(port.kind, InputKind::Parameter | InputKind::State);
            if step == 0 || !kept {
                let value = value(plan, port, batch, step * 1000 + number);
                interpreter
                    .feed(port.kind, &port.name, batch, &value)
                    .expect("an input");
            }
        }
        interpreter.step(batch, order).expect("runs");
        for port in &plan.outputs {
            let value = interpreter
                .read(port.kind, &port.name, batch)
                .expect("an output");
            let element = data_type(plan.buffers[port.buffer].element);
            left.push((port.name.clone(), bits(element, value.data.into_iter())));
        }
    }
    left
}

struct Machine<'a> {
    program: &'a Executable,
    persistent: Buffer,
    arena: Buffer,
}

impl Machine<'_> {
    fn memory(&mut self, slot: &Slot) -> &mut Buffer {
        match slot.space {
            Space::Persistent => &mut self.persistent,
            _ => &mut self.arena,
        }
    }

    fn feed(&mut self, plan: &Plan, kind: InputKind, name: &str, batch: usize, value: &Tensor) {
        let slots = match kind {
            InputKind::Parameter | InputKind::State => &self.program.persistent,
            InputKind::Data => &self.program.inputs,
            InputKind::Scalar => &self.program.scalars,
        };
        let slot = slots
            .iter()
            .find(|slot| slot.name == name)
            .expect("linked")
            .clone();
        let shape = value.shape.iter().map(|&extent| extent as u64).collect();
        let bytes = value.data.iter().flat_map(|&value| match slot.dtype {
            DataType::F32 => (value as f32).to_ne_bytes().to_vec(),
            DataType::Bf16 => ((value as f32).to_bits() >> 16).to_ne_bytes()[..2].to_vec(),
            DataType::I32 => (value as i32).to_ne_bytes().to_vec(),
            _ => vec![value as u8],
        });
        let stored = Stored::new(slot.dtype, shape, bytes.collect()).expect("fits");
        store(&slot, batch as u64, &stored, self.memory(&slot)).expect(&plan.name);
    }

    fn read(&mut self, kind: OutputKind, name: &str, batch: usize) -> Vec<u32> {
        let program = self.program;
        let reports = program.reports.iter().map(|report| &report.slot);
        let slots: Vec<&Slot> = match kind {
            OutputKind::Parameter | OutputKind::State => program.persistent.iter().collect(),
            OutputKind::Result => program.outputs.iter().collect(),
            OutputKind::Report | OutputKind::Check => reports.collect(),
        };
        let slot = slots
            .into_iter()
            .find(|slot| slot.name == name)
            .expect("linked")
            .clone();
        let tensor = load(&slot, batch as u64, self.memory(&slot));
        match slot.dtype {
            DataType::F32 | DataType::Bf16 => {
                bits(slot.dtype, tensor.to_f32().into_iter().map(f64::from))
            }
            _ => bits(
                slot.dtype,
                tensor
                    .to_i32()
                    .expect("whole numbers")
                    .into_iter()
                    .map(f64::from),
            ),
        }
    }
}

/// The same by machine code.
pub fn by_team(plan: &Plan, batches: &[usize], workers: usize, options: &Options) -> Left {
    let programs = link(&[plan], options).unwrap_or_else(|error| panic!("{error}"));
    let team = Team::new(workers).expect("threads");
    let mut machine = Machine {
        program: &programs[0],
        persistent: Buffer::zeroed(programs[0].persistent_bytes).expect("memory"),
        arena: arena_of(&programs[0]).expect("memory"),
    };
    let mut left = Left::new();
    for (step, &batch) in batches.iter().enumerate() {
        for (number, port) in plan.inputs.iter().enumerate() {
            let kept = matches!(port.kind, InputKind::Parameter | InputKind::State);
            if step == 0 || !kept {
                let value = value(plan, port, batch, step * 1000 + number);
                machine.feed(plan, port.kind, &port.name, batch, &value);
            }
        }
        let memory = Memory {
            persistent: &mut machine.persistent,
            arena: &mut machine.arena,
            scratch: &mut Scratch::default(),
        };
        team.execute(&programs[0], memory, batch as u64, |_| ())
            .expect("runs");
        for port in &plan.outputs {
            left.push((
                port.name.clone(),
                machine.read(port.kind, &port.name, batch),
            ));
        }
    }
    left
}

/// A plan's machine code.
pub struct Compiled {
    program: Executable,
    team: Team,
}

impl Compiled {
    pub fn new(plan: &Plan, options: &Options) -> Compiled {
        let programs = link(&[plan], options).unwrap_or_else(|error| panic!("{error}"));
        Compiled {
            program: programs.into_iter().next().expect("one program"),
            team: Team::new(1).expect("a thread"),
        }
    }

    /// The outputs of one step for these inputs.
    pub fn run(&self, plan: &Plan, inputs: &BTreeMap<(InputKind, String), Tensor>) -> Left {
        let mut machine = Machine {
            program: &self.program,
            persistent: Buffer::zeroed(self.program.persistent_bytes).expect("memory"),
            arena: arena_of(&self.program).expect("memory"),
        };
        for ((kind, name), value) in inputs {
            machine.feed(plan, *kind, name, plan.batch, value);
        }
        let memory = Memory {
            persistent: &mut machine.persistent,
            arena: &mut machine.arena,
            scratch: &mut Scratch::default(),
        };
        let done = self
            .team
            .execute(&self.program, memory, plan.batch as u64, |_| ());
        done.expect("runs");
        let ports = plan.outputs.iter();
        ports
            .map(|port| {
                let bits = machine.read(port.kind, &port.name, plan.batch);
                (port.name.clone(), bits)
            })
            .collect()
    }
}

/// The bits that an output of the slow evaluator has in memory.
pub fn bits_of(plan: &Plan, name: &str, value: &Tensor) -> Vec<u32> {
    let port = plan.outputs.iter().find(|port| port.name == name);
    let buffer = port.expect("an output").buffer;
    bits(
        data_type(plan.buffers[buffer].element),
        value.data.iter().copied(),
    )
}

fn data_type(element: Element) -> DataType {
    match element {
        Element::F32 => DataType::F32,
        Element::Bf16 => DataType::Bf16,
        _ => DataType::I32,
    }
}
