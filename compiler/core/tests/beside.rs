//! The gradient of an LSTM's state is made in the kernel of its gates' gradients, and values that take the same long
//! functions in one kernel; they are what the graph says.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::plan::Plan;
use dlm_core::schedule::Target;

#[path = "programs/library.rs"]
mod library;

fn planned(body: &str, samples: i64, target: &Target) -> Plan {
    let text = format!("block Case(x: f32[B, 40, 5]) {{ return {body} }}");
    computed(&text, [samples, 40, 5], target)
}

/// The plan, which gives what the graph gives.
fn computed(text: &str, shape: [i64; 3], target: &Target) -> Plan {
    let x = TensorType::new(DType::F32, shape.map(Dim::fixed).to_vec());
    let callable: Result<Callable, String> =
        library::with_gradients(text, "Case", BTreeMap::from([("x".to_owned(), x)]));
    let plan = callable.and_then(|callable| library::planned(&callable, &shape, target));
    plan.unwrap_or_else(|reason| panic!("{text}, {shape:?}, {}: {reason}", target.name))
}

/// The elementwise kernels of loops that compute functions.
fn maps_in_loops(plan: &Plan) -> usize {
    let kernels = plan.kernels.values();
    let maps =
        kernels.filter(|kernel| kernel.name.starts_with("scan") && kernel.name.contains("_map"));
    maps.filter(|kernel| kernel.to_string().contains(" = tanh "))
        .count()
}

#[test]
fn a_loop_back_has_one_map() {
    for samples in [3, 8, 19] {
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            let plan = planned("Lstm[6](x)", samples, &target);
            assert_eq!(
                maps_in_loops(&plan),
                1,
                "{samples}, {}: {plan}",
                target.name
            );
        }
    }
}

#[test]
fn two_values_of_one_function_have_one_map() {
    let body = "concat[axis=2](gelu(x) |> Linear[4], gelu(x) * tanh(x) |> Linear[4])";
    for samples in [3, 8, 19] {
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            let plan = planned(body, samples, &target);
            let kernels = plan.kernels.values();
            let erf = kernels.filter(|kernel| kernel.to_string().contains(" = erf "));
            // Forward, and the gradient of both.
            assert_eq!(erf.count(), 2, "{samples}, {}: {plan}", target.name);
        }
    }
}

/// Each of two products of one value's function with another's is what the other could be beside of.
#[test]
fn pairs_do_not_wait_for_each_other() {
    let text = "block Case(x: f32[B, 40, 5]) {
  let a, b = (tanh(x), tanh(2 * x))
  let n, m = (a + 1, b + 1)
  let v, w = (a * m, b * n)
  return concat[axis=2](n |> Linear[4], m |> Linear[4], v |> Linear[4], w |> Linear[4])
}";
    for samples in [3, 8, 19] {
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            computed(text, [samples, 40, 5], &target);
        }
    }
}

/// Where samples are the last axis, lanes are.
#[test]
fn values_beside_each_other_have_any_axis_of_samples() {
    let text = "block Case(x: f32[B, 40, 5]) {
  let t = rearrange[\"b t d -> t d b\"](x)
  return concat[axis=0](tanh(t) + 1, tanh(t) * 3)
}";
    for samples in [8, 16] {
        for target in [Target::avx2(), Target::avx512()] {
            computed(text, [samples, 40, 5], &target);
        }
    }
}
