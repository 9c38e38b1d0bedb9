//! What batch normalisation adds to a step: phases and kernels, counted; and that it computes what the graph says.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::loops::{Instruction, Kernel, Statement, VectorBinary};
use dlm_core::plan::{Phase, Plan, TaskGroup, Tasks};
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, step};

const NET: &str = r#"
data images = digits[]
block Net(x: f32[B, 1, 16, 16]) -> f32[B, 10] {
  let a = x |> Conv2d[8, 3, pad=1] |> BatchNorm |> relu
  let b = a |> Conv2d[8, 3, pad=1] |> BatchNorm |> relu |> Conv2d[8, 3, pad=1] |> BatchNorm
  return relu(a + b) |> global_avg_pool |> Linear[10]
}
train pictures[steps=1] {
  let net = Net
  let opt = sgd[lr=0.1, momentum=0.9](net)
  step (x, y) in images.train |> batch[19] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
"#;

/// The same with three channels of an image: what stands before the first convolution's weight gradient is turned.
fn of_three_channels() -> String {
    let wide = NET.replace("Conv2d[8,", "Conv2d[16,");
    let first = "let a = x |> Conv2d[16, 3, pad=1]";
    let three = "let a = concat[axis=1](x, x, x) |> Conv2d[16, 3, pad=1, bias=false]";
    assert!(wide.contains(first));
    wide.replace(first, three)
}

/// The map before a turned gradient reads a parameter, and the sum is one of two for one weight.
fn of_shared_weights() -> String {
    let net = "block Net(x: f32[B, 1, 16, 16]) -> f32[B, 10] {
  let a = concat[axis=1](x, x, x) |> Conv2d[16, 3, stride=2, pad=2, bias=false] |> PReLU
  return pad[(1, 1)](a) |> flatten |> Linear[10]
}
train";
    let (before, behind) = (NET.find("block").unwrap_or(0), NET.find("train pictures"));
    let text = format!("{}{net}{}", &NET[..before], &NET[behind.unwrap_or(0) + 5..]);
    text.replace(
        "cross_entropy(net(x), y)",
        "cross_entropy(net(x), y) + cross_entropy(net(0.5 * x), y)",
    )
}

/// Batch normalisations of the net.
const NORMS: usize = 3;

fn planned(graph: &Graph, samples: usize) -> Plan {
    schedule(
        graph,
        &Target::avx2(),
        samples,
        &PersistentLayout::of(graph),
    )
    .expect("a plan")
}

/// Phases with a barrier before them.
fn shared(plan: &Plan) -> usize {
    let shared = |phase: &&Phase| !phase.serial;
    plan.phases.iter().filter(shared).count()
}

#[test]
fn a_batch_normalisation_adds_two_phases() {
    let with = planned(&step(NET), 19);
    let without = planned(&step(&NET.replace(" |> BatchNorm", "")), 19);
    assert_eq!(shared(&with), shared(&without) + 2 * NORMS, "{with}");
}

/// The weights of the last layer are summed while what the sum reads is near: before the blocks that go on backwards, though
/// these, too, wait for nothing but the phase before.
#[test]
fn the_last_layers_weights_are_summed_before_the_blocks() {
    let plan = planned(&step(NET), 19);
    let is_blocks = |own: &TaskGroup| matches!(own.tasks, Tasks::Blocks { .. });
    let is_short = |own: &TaskGroup| {
        let one = matches!(own.tasks, Tasks::Ranges { extent, chunk } if extent <= chunk);
        one && own.name.starts_with("product")
    };
    let phases = plan.phases.iter().map(|phase| &phase.groups);
    let places: Vec<(usize, usize)> = phases
        .filter_map(|groups| {
            let blocks = groups.iter().position(is_blocks)?;
            Some((groups.iter().position(is_short)?, blocks))
        })
        .collect();
    assert_eq!(places, [(0, 1)], "{plan}");
}

/// What it makes is part of the kernel that reads it first, forward and back: a block has no map that it has not without.
#[test]
fn a_batch_normalisation_has_no_kernel_of_its_own() {
    let maps = |plan: &Plan| {
        let groups = plan.phases.iter().flat_map(|phase| &phase.groups);
        let blocks = groups.filter(|group| matches!(group.tasks, Tasks::Blocks { .. }));
        let calls = blocks.flat_map(|group| &group.calls);
        let names = calls.map(|call| &plan.kernels[call.kernel].name);
        names.filter(|name| name.starts_with("map")).count()
    };
    for net in [NET.to_owned(), of_three_channels()] {
        let with = planned(&step(&net), 19);
        let without = planned(&step(&net.replace(" |> BatchNorm", "")), 19);
        assert!(maps(&with) <= maps(&without), "{with}");
    }
}

/// A kernel that turns an operand makes it where nothing else reads it.
#[test]
fn what_is_turned_is_made_there() {
    let plan = planned(&step(&of_three_channels()), 19);
    let mut turning = plan
        .kernels
        .values()
        .filter(|kernel| kernel.name.starts_with("turned"));
    let multiplies = |kernel: &Kernel| {
        let mut found = false;
        kernel.body.for_each_statement(&mut |statement| {
            let multiply =
                |op: &Instruction| matches!(op, Instruction::Binary(VectorBinary::Mul, ..));
            found |= matches!(statement, Statement::Define(_, op) if multiply(op));
        });
        found
    };
    assert!(turning.any(multiplies), "{plan}");
}

/// Samples that fill no block, and more than one block.
#[test]
fn statistics_are_those_of_the_graph() {
    for (net, samples) in [
        (NET.to_owned(), 3),
        (NET.to_owned(), 19),
        (of_three_channels(), 19),
        (of_shared_weights(), 19),
    ] {
        let graph = step(&net);
        let plan = planned(&graph, samples as usize);
        assert!(agrees(&graph, &plan, samples) > 7);
    }
}
