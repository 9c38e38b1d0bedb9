//! Where parameters and states lie.

use super::memory::aligned;
use crate::graph::{Graph, InputKind, Op, OutputKind, TensorType};
use indexmap::IndexMap;

/// Where each parameter and state lies in the persistent space, which the programs of a run share.
#[derive(Clone, Debug, Default)]
pub struct PersistentLayout {
    places: IndexMap<String, (usize, TensorType)>,
    bytes: usize,
}

impl PersistentLayout {
    /// One place after the other, in the given order.
    pub fn new<'a>(
        values: impl IntoIterator<Item = (&'a str, &'a TensorType)>,
    ) -> PersistentLayout {
        let mut layout = PersistentLayout::default();
        for (name, ty) in values {
            layout.add(name, ty);
        }
        layout
    }

    /// That of the parameters and states that a graph reads or gives.
    pub fn of(graph: &Graph) -> PersistentLayout {
        let mut layout = PersistentLayout::default();
        for node in graph.nodes.values() {
            if let Op::Input {
                kind: InputKind::Parameter | InputKind::State,
                name,
                ty,
            } = &node.op
            {
                layout.add(name, ty);
            }
        }
        for output in &graph.outputs {
            if matches!(output.kind, OutputKind::Parameter | OutputKind::State) {
                layout.add(&output.name, &graph.nodes[output.node].ty);
            }
        }
        layout
    }

    fn add(&mut self, name: &str, ty: &TensorType) {
        if !self.places.contains_key(name) {
            self.places.insert(name.into(), (self.bytes, ty.clone()));
            self.bytes += aligned(ty.elements(1) as usize * ty.dtype.bytes());
        }
    }

    /// Bytes of the space.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Each name with its offset in bytes and its type, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize, &TensorType)> {
        self.places
            .iter()
            .map(|(name, (offset, ty))| (name.as_str(), *offset, ty))
    }

    /// Where a value lies, in bytes.
    pub(super) fn offset(&self, name: &str) -> usize {
        self.places.get(name).map_or(0, |place| place.0)
    }
}
