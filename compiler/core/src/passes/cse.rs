//! Equal operations on equal inputs become one node, which rebuilding the graph does by itself.

use super::rewrite::Rewrite;
use crate::graph::{Graph, TypeError};

/// The pass.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    for id in graph.nodes.keys() {
        rewrite.copy(id)?;
    }
    rewrite.finish()
}

#[cfg(test)]
mod tests {
    use crate::graph::text::parse;
    use crate::passes::run_named;

    #[test]
    fn a_node_that_was_pushed_twice_is_one() {
        let text = r#"graph g {
  %0 = input : f32[B] {kind=data, name="x"}
  %1 = exp %0 : f32[B]
  output result "a" = %1
  output result "b" = %1
}
"#;
        let mut graph = parse(text).unwrap();
        let copy = graph.nodes[graph.outputs[0].node].clone();
        graph.outputs[1].node = graph.nodes.push(copy);
        assert_eq!(run_named(&graph, &["cse"]).unwrap().to_string(), text);
    }
}
