//! The verifier. The rules:
//!
//! 1. A node's inputs stand before it.
//! 2. A node's type is what its operation gives for its inputs' types (which includes their number, element types and
//!    shapes, and that indices name axes and variables that exist).
//! 3. An index is in normal form: terms sorted by variable, none twice, no coefficient zero, the divisor at least 1.
//! 4. No extent is negative for a batch of one sample or more.
//! 5. Equal operations on equal inputs are one node.
//! 6. Two inputs of one kind have different names.
//! 7. An output names a node that exists.
//! 8. Two outputs of one kind have different names.
//! 9. The next value of a parameter or state has the type of its input of that name.
//! 10. No output is computed from an argument, but in a body.
//! 11. A body has no inputs and no gradients, each of its arguments once, and keeps rules 1 to 8 itself.

use super::scan::{Scan, arguments};
use super::{AxisIndex, Graph, InputKind, Node, NodeId, Op, OutputKind, TensorType, ops};
use indexmap::{IndexMap, IndexSet};

/// A rule that a graph breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {message}")]
pub struct VerifyError {
    /// The number of the rule in the module's list.
    pub rule: u8,
    /// Which node or output, and how.
    pub message: String,
}

fn broken<T>(rule: u8, message: impl Into<String>) -> Result<T, VerifyError> {
    Err(VerifyError {
        rule,
        message: message.into(),
    })
}

/// Checks every rule.
///
/// # Errors
/// The first rule that is broken, in the order of nodes, then of outputs.
pub fn verify(graph: &Graph) -> Result<(), VerifyError> {
    verify_nodes(graph)?;
    let live = graph.live_nodes();
    match arguments(graph).find(|&(_, id)| live.contains(id)) {
        Some((_, id)) => broken(10, format!("{id} is an argument outside of a body")),
        None => Ok(()),
    }
}

fn verify_nodes(graph: &Graph) -> Result<(), VerifyError> {
    let mut known: IndexMap<(&Op, &[NodeId]), NodeId> = IndexMap::new();
    let mut inputs: IndexMap<(InputKind, &str), &TensorType> = IndexMap::new();
    for (id, node) in graph.nodes.iter() {
        verify_node(graph, id, node)?;
        if let Some(first) = known.insert((&node.op, &node.inputs), id) {
            return broken(5, format!("{id} repeats {first}"));
        }
        if let Op::Input { kind, name, ty } = &node.op
            && inputs.insert((*kind, name), ty).is_some()
        {
            return broken(6, format!("{id} is a second input `{name}`"));
        }
    }
    verify_outputs(graph, &inputs)
}

fn verify_node(graph: &Graph, id: NodeId, node: &Node) -> Result<(), VerifyError> {
    if let Some(late) = node.inputs.iter().find(|&&input| input >= id) {
        return broken(
            1,
            format!("{id} reads {late}, which does not stand before it"),
        );
    }
    let types: Vec<&TensorType> = node.inputs.iter().map(|&input| graph.ty(input)).collect();
    match ops::infer(&node.op, &types) {
        Err(error) => return broken(2, format!("{id}: {error}")),
        Ok(ty) if ty != node.ty => {
            return broken(2, format!("{id} is {}, its operation gives {ty}", node.ty));
        }
        Ok(_) => {}
    }
    if let Some(index) = indices(&node.op).find(|index| !is_normal(index)) {
        return broken(3, format!("{id} has the index {index:?}"));
    }
    if let Op::Scan(scan) = &node.op
        && let Err(error) = verify_body(scan, node.inputs.len())
    {
        return broken(
            error.rule,
            format!("in the body of {id}: {}", error.message),
        );
    }
    let reduced = match &node.op {
        Op::Contract(contraction) => contraction.reduced.as_slice(),
        _ => &[],
    };
    match node
        .ty
        .shape
        .iter()
        .chain(reduced)
        .find(|dim| !dim.never_negative())
    {
        Some(dim) => broken(4, format!("{id} has the extent {dim}")),
        None => Ok(()),
    }
}

fn verify_body(scan: &Scan, inputs: usize) -> Result<(), VerifyError> {
    let body = scan.body.graph();
    let mut seen = IndexSet::new();
    for (id, node) in body.nodes.iter() {
        match node.op {
            Op::Input { .. } | Op::Gradient => {
                return broken(11, format!("{id} is {}", node.op.name()));
            }
            Op::Argument { number, .. } if number > inputs || !seen.insert(number) => {
                return broken(
                    11,
                    format!("{id} is argument {number} again, or of no input"),
                );
            }
            _ => {}
        }
    }
    verify_nodes(body)
}

/// Every index of an operation.
fn indices(op: &Op) -> impl Iterator<Item = &AxisIndex> {
    let (view, contraction) = match op {
        Op::View(view) => (view.index.as_slice(), [].as_slice()),
        Op::Contract(contraction) => ([].as_slice(), contraction.operands.as_slice()),
        _ => ([].as_slice(), [].as_slice()),
    };
    view.iter().chain(contraction.iter().flatten())
}

fn is_normal(index: &AxisIndex) -> bool {
    let sorted = index.terms.windows(2).all(|pair| pair[0].0 < pair[1].0);
    sorted && index.divisor >= 1 && index.terms.iter().all(|term| term.1 != 0)
}

fn verify_outputs(
    graph: &Graph,
    inputs: &IndexMap<(InputKind, &str), &TensorType>,
) -> Result<(), VerifyError> {
    let mut names = IndexSet::new();
    for output in &graph.outputs {
        let name = output.name.as_str();
        let Some(node) = graph.nodes.get(output.node) else {
            return broken(
                7,
                format!("output `{name}` is {}, which does not exist", output.node),
            );
        };
        if !names.insert((output.kind, name)) {
            return broken(8, format!("there are two outputs `{name}`"));
        }
        let kind = match output.kind {
            OutputKind::Parameter => InputKind::Parameter,
            OutputKind::State => InputKind::State,
            OutputKind::Report | OutputKind::Result | OutputKind::Check => continue,
        };
        match inputs.get(&(kind, name)) {
            Some(ty) if **ty != node.ty => {
                return broken(9, format!("`{name}` is {ty}, its next value {}", node.ty));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Dim, Region, Scalar, text::parse};
    use cranelift_entity::EntityRef;

    const GOOD: &str = r#"graph good {
  %0 = input : f32[B, 4] {kind=parameter, name="w"}
  %1 = input : f32[B, 4] {kind=data, name="w"}
  %2 = add %0, %1 : f32[B, 4]
  %3 = view %2 : f32[4, B] {fill=0.0, index="v1, v0"}
  output parameter "w" = %2
  output result "w" = %3
}"#;

    /// What the verifier says of a good graph after a change.
    fn check(change: impl FnOnce(&mut Graph)) -> String {
        let mut graph = parse(GOOD).unwrap();
        verify(&graph).unwrap();
        change(&mut graph);
        verify(&graph).unwrap_err().to_string()
    }

    const SCAN: &str = r#"graph scan {
  region r0 {
    %0 = argument : f32[B, 4] {number=0}
    %1 = argument : f32[B, 4] {number=1}
    %2 = add %0, %1 : f32[B, 4]
    output result "0" = %2
  }
  %0 = input : f32[B, 4] {kind=data, name="h"}
  %1 = input : f32[3, B, 4] {kind=data, name="x"}
  %2 = scan %0, %1 : f32[B, 4] {captures=0, carries=1, region=r0, result=0, reverse=false, rounds=3}
  output result "y" = %2
}
"#;

    /// What the verifier says after a change of the body.
    fn check_body(change: impl FnOnce(&mut Graph)) -> String {
        let mut graph = parse(SCAN).unwrap();
        assert_eq!(graph.to_string(), SCAN);
        verify(&graph).unwrap();
        let Op::Scan(scan) = &mut graph.nodes[node(2)].op else {
            return String::new();
        };
        let mut body = scan.body.graph().clone();
        change(&mut body);
        scan.body = Region::new(body);
        verify(&graph).unwrap_err().to_string()
    }

    #[test]
    fn bodies_keep_the_rules() {
        let text = check_body(|body| body.nodes[node(2)].inputs[1] = node(2));
        assert_eq!(
            text,
            "rule 1: in the body of %2: %2 reads %2, which does not stand before it"
        );
        let text = check_body(|body| {
            let copy = body.nodes[node(2)].clone();
            body.nodes.push(copy);
        });
        assert_eq!(text, "rule 5: in the body of %2: %3 repeats %2");
    }

    #[test]
    fn bodies_suit_their_scans() {
        let text = check_body(|body| body.outputs[0].node = node(9));
        assert_eq!(text, "rule 2: %2: output 0 of a body does not exist");
        let text = check_body(|body| {
            let ty = TensorType::scalar(DType::F32);
            let other = body.argument(7, ty, Default::default()).unwrap();
            body.outputs[0].node = other;
        });
        assert_eq!(text, "rule 2: %2: argument 7 of a body is f32, not i32");
        let text = check_body(|body| {
            let zero = body.constant(Scalar::F32(0.0), Default::default());
            body.outputs[0].node = zero.unwrap();
        });
        assert_eq!(
            text,
            "rule 2: %2: a carry that begins as f32[B, 4] goes on as f32"
        );
    }

    #[test]
    fn bodies_are_closed() {
        let text = check_body(|body| {
            let ty = TensorType::scalar(DType::F32);
            body.input(InputKind::Data, "z", ty, Default::default())
                .unwrap();
        });
        assert_eq!(text, "rule 11: in the body of %2: %3 is input");
        let mut graph = parse(SCAN).unwrap();
        let ty = TensorType::scalar(DType::F32);
        let stray = graph.argument(0, ty, Default::default()).unwrap();
        verify(&graph).unwrap();
        graph.output(OutputKind::Result, "stray", stray);
        let text = verify(&graph).unwrap_err().to_string();
        assert_eq!(text, "rule 10: %3 is an argument outside of a body");
    }

    fn node(number: usize) -> NodeId {
        NodeId::new(number)
    }

    #[test]
    fn inputs_stand_before() {
        let text = check(|graph| graph.nodes[node(2)].inputs[1] = node(3));
        assert_eq!(text, "rule 1: %2 reads %3, which does not stand before it");
    }

    #[test]
    fn types_are_what_operations_give() {
        let text = check(|graph| graph.nodes[node(2)].ty.dtype = DType::I32);
        assert_eq!(
            text,
            "rule 2: %2 is i32[B, 4], its operation gives f32[B, 4]"
        );
        let text = check(|graph| graph.nodes[node(2)].inputs.truncate(1));
        assert_eq!(text, "rule 2: %2: `add` takes 2 inputs, not 1");
    }

    #[test]
    fn indices_are_normal() {
        let text = check(|graph| {
            let Op::View(view) = &mut graph.nodes[node(3)].op else {
                return;
            };
            view.index[0].terms.insert(0, (1, 1));
        });
        assert!(text.starts_with("rule 3: %3 has the index"), "{text}");
    }

    #[test]
    fn extents_are_not_negative() {
        let text = check(|graph| {
            let ty = TensorType::new(
                DType::F32,
                vec![Dim {
                    batch: 1,
                    fixed: -2,
                }],
            );
            let op = Op::Input {
                kind: InputKind::Data,
                name: "x".into(),
                ty: ty.clone(),
            };
            graph.add(op, &[], Default::default()).unwrap();
        });
        assert_eq!(text, "rule 4: %4 has the extent B-2");
    }

    #[test]
    fn equal_nodes_are_one() {
        let text = check(|graph| {
            let copy = graph.nodes[node(2)].clone();
            graph.nodes.push(copy);
        });
        assert_eq!(text, "rule 5: %4 repeats %2");
    }

    #[test]
    fn names_are_unique() {
        let text = check(|graph| {
            let ty = TensorType::scalar(DType::F32);
            graph
                .input(InputKind::Data, "w", ty, Default::default())
                .unwrap();
        });
        assert_eq!(text, "rule 6: %4 is a second input `w`");
        let text = check(|graph| graph.output(OutputKind::Result, "w", node(0)));
        assert_eq!(text, "rule 8: there are two outputs `w`");
    }

    #[test]
    fn outputs_exist() {
        let text = check(|graph| graph.outputs[0].node = node(9));
        assert_eq!(text, "rule 7: output `w` is %9, which does not exist");
    }

    #[test]
    fn next_values_have_their_type() {
        let text = check(|graph| {
            graph.outputs[0].node = graph
                .constant(Scalar::F32(1.0), Default::default())
                .unwrap();
        });
        assert_eq!(text, "rule 9: `w` is f32[B, 4], its next value f32");
    }
}
