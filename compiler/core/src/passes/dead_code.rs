//! Drops what no output needs. Inputs stay: they are the step's signature.

use super::rewrite::Rewrite;
use super::unused_results;
use crate::graph::{Graph, Op, TypeError};

/// The pass.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    // A scan that is cut down may leave what it read without a reader.
    let cut = unused_results::run(graph)?;
    let live = cut.live_nodes();
    let mut rewrite = Rewrite::new(&cut);
    for (id, node) in cut.nodes.iter() {
        if live.contains(id) || matches!(node.op, Op::Input { .. }) {
            rewrite.copy(id)?;
        }
    }
    rewrite.finish()
}

#[cfg(test)]
mod tests {
    use crate::graph::text::parse;
    use crate::passes::run_named;

    #[test]
    fn inputs_stay_and_unused_values_go() {
        let text = r#"graph g {
  %0 = input : f32[B] {kind=data, name="unused"}
  %1 = input : f32[B] {kind=data, name="x"}
  %2 = exp %0 : f32[B]
  %3 = neg %1 : f32[B]
  output result "y" = %3
}
"#;
        let after = run_named(&parse(text).unwrap(), &["dead-code"]).unwrap();
        let expected = r#"graph g {
  %0 = input : f32[B] {kind=data, name="unused"}
  %1 = input : f32[B] {kind=data, name="x"}
  %2 = neg %1 : f32[B]
  output result "y" = %2
}
"#;
        assert_eq!(after.to_string(), expected);
    }
}
