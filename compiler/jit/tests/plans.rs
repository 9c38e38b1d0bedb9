//! Whole plans: machine code on the worker team against the plan's slow evaluator, bit for bit.

use dlm_core::graph::eval::Tensor;
use dlm_core::graph::{InputKind, OutputKind};
use dlm_core::loops::Element;
use dlm_core::plan::{Interpreter, Order, Plan, PlanBuffer, parse_plan};
use dlm_jit::{LinkError, Options, link};
use dlm_runtime::call::{load, store};
use dlm_runtime::memory::{Buffer, Memory, Scratch, arena_of};
use dlm_runtime::program::{Executable, Slot, Space};
use dlm_runtime::team::Team;
use dlm_runtime::tensor::{DataType, Tensor as Stored};

/// Every kind of group, layout, space and scalar.
const SMALL: &str = include_str!("../../core/src/plan/interpret/small.plan");

fn parsed(text: &str) -> Plan {
    parse_plan(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Values that rounding shows in, different in each step and port.
fn value(buffer: &PlanBuffer, batch: usize, salt: u64) -> Tensor {
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
            Element::I32 | Element::U8 => (random * 10.0).floor(),
            Element::Bool => (random * 2.0).floor(),
        }
    })
}

/// What a run leaves: for each step each output's name and bits.
type Left = Vec<(String, Vec<u32>)>;

fn bits(element: DataType, values: impl Iterator<Item = f64>) -> Vec<u32> {
    let value = |value: f64| match element {
        DataType::F32 => (value as f32).to_bits(),
        _ => value as i32 as u32,
    };
    values.map(value).collect()
}

fn by_evaluator(plan: &Plan, batches: &[usize], order: Order) -> Left {
    let mut interpreter = Interpreter::new(plan).expect("a good plan");
    let mut left = Left::new();
    for (step, &batch) in batches.iter().enumerate() {
        for (number, port) in plan.inputs.iter().enumerate() {
            let kept = matches!(port.kind, InputKind::Parameter | InputKind::State);
            if step == 0 || !kept {
                let value = value(
                    &plan.buffers[port.buffer],
                    batch,
                    (step * 100 + number) as u64,
                );
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
            let element = match plan.buffers[port.buffer].element {
                Element::F32 => DataType::F32,
                _ => DataType::I32,
            };
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
            OutputKind::Report => reports.collect(),
        };
        let slot = slots
            .into_iter()
            .find(|slot| slot.name == name)
            .expect("linked")
            .clone();
        let tensor = load(&slot, batch as u64, self.memory(&slot));
        match slot.dtype {
            DataType::F32 => bits(slot.dtype, tensor.to_f32().into_iter().map(f64::from)),
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

fn by_team(plan: &Plan, batches: &[usize], workers: usize) -> Left {
    let programs = link(&[plan], &Options::default()).unwrap_or_else(|error| panic!("{error}"));
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
                let value = value(
                    &plan.buffers[port.buffer],
                    batch,
                    (step * 100 + number) as u64,
                );
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

#[test]
fn one_two_and_three_workers_give_the_evaluators_bits() {
    let plan = parsed(SMALL);
    let batches = [20, 9, 1, 16];
    let expected = by_evaluator(&plan, &batches, Order::Forward);
    assert_eq!(expected.len(), 5 * batches.len());
    let relu = &expected[2];
    assert!(relu.0 == "relu" && relu.1.len() == 80);
    assert!(relu.1.iter().any(|&bits| f32::from_bits(bits) > 0.1));
    assert_eq!(by_evaluator(&plan, &batches, Order::Backward), expected);
    for workers in 1..=3 {
        assert_eq!(
            by_team(&plan, &batches, workers),
            expected,
            "{workers} workers"
        );
    }
}

#[test]
fn plans_of_one_run_share_code() {
    let plan = parsed(SMALL);
    let programs = link(&[&plan, &plan], &Options::default()).expect("links");
    let entries = |program: &Executable| {
        program
            .kernels
            .iter()
            .map(|kernel| kernel.1 as usize)
            .collect::<Vec<_>>()
    };
    assert_eq!(entries(&programs[0]), entries(&programs[1]));
}

#[test]
fn what_cannot_be_linked_is_told() {
    let error = |text: &str| match link(&[&parsed(text)], &Options::default()) {
        Err(error) => error,
        Ok(_) => panic!("links"),
    };
    let faulty = error(&SMALL.replace("zero m5", "zero m7"));
    assert!(
        matches!(&faulty, LinkError::Plan { plan, .. } if plan == "small.step"),
        "{faulty}"
    );
    let shape = error(&SMALL.replace(
        "gradient\": f32[4] plain in arena at 704, 16",
        "gradient\": f32[B-16] plain in arena at 704, 16",
    ));
    assert!(
        matches!(&shape, LinkError::Shape { name, .. } if name == "gradient"),
        "{shape}"
    );
}
