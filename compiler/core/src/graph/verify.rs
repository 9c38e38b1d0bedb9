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
            OutputKind::Report | OutputKind::Result => continue,
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
    use crate::graph::{DType, Dim, Scalar, text::parse};
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
