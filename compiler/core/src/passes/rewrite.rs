//! What passes share: rebuilding a graph node by node.

use crate::graph::{Graph, NodeId, TypeError};
use cranelift_entity::SecondaryMap;
use smallvec::SmallVec;

/// A graph that is rebuilt from another.
pub struct Rewrite<'a> {
    /// The old graph.
    pub old: &'a Graph,
    /// The new one.
    pub new: Graph,
    map: SecondaryMap<NodeId, Option<NodeId>>,
}

impl<'a> Rewrite<'a> {
    /// Starts with an empty graph.
    pub fn new(old: &'a Graph) -> Rewrite<'a> {
        Rewrite {
            old,
            new: Graph::new(old.name.clone()),
            map: SecondaryMap::new(),
        }
    }

    /// What an old node has become.
    pub fn get(&self, old: NodeId) -> Option<NodeId> {
        self.map[old]
    }

    /// Says what an old node has become.
    pub fn set(&mut self, old: NodeId, new: NodeId) {
        self.map[old] = Some(new);
    }

    /// The new inputs of an old node; they stand before it.
    ///
    /// # Errors
    /// Where an input has not been rebuilt.
    pub fn inputs(&self, old: NodeId) -> Result<SmallVec<[NodeId; 3]>, TypeError> {
        let inputs = self.old.nodes[old].inputs.iter();
        inputs
            .map(|&input| {
                self.map[input].ok_or_else(|| TypeError("an input after its user".into()))
            })
            .collect()
    }

    /// The same operation in the new graph.
    ///
    /// # Errors
    /// Where it does not type there.
    pub fn copy(&mut self, old: NodeId) -> Result<NodeId, TypeError> {
        let inputs = self.inputs(old)?;
        let node = &self.old.nodes[old];
        let new = self.new.add(node.op.clone(), &inputs, node.span)?;
        self.set(old, new);
        Ok(new)
    }

    /// Ends with the old outputs.
    ///
    /// # Errors
    /// Where an output has not been rebuilt.
    pub fn finish(mut self) -> Result<Graph, TypeError> {
        for output in &self.old.outputs {
            let node = self.map[output.node]
                .ok_or_else(|| TypeError(format!("output `{}` is lost", output.name)))?;
            self.new.output(output.kind, output.name.clone(), node);
        }
        Ok(self.new)
    }
}
