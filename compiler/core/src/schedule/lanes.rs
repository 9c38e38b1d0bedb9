//! Which axis of each value lies in the vector lanes.
//!
//! The lane axis starts at axis 0 of the data and is followed through every operation that treats its positions
//! independently. A value without one (a parameter, a statistic of the batch, or a value whose axes were mixed) is
//! stored plain.

use super::fuse::root;
use crate::graph::scan::Role;
use crate::graph::{
    AxisIndex, Contraction, Dim, Graph, InputKind, NodeId, Op, OutputKind, Scan, View,
};
use cranelift_entity::SecondaryMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The result of the analysis.
pub struct Lanes {
    /// The extent of the lane axis; `None` in a graph without data.
    pub extent: Option<Dim>,
    axis: SecondaryMap<NodeId, Option<usize>>,
    /// Of each loop's result, the analysis of the body.
    bodies: SecondaryMap<NodeId, Option<Arc<Lanes>>>,
}

/// What a contraction does with the lane axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContractionLanes {
    /// No operand has one, or the operands do not agree.
    Absent,
    /// It is the output's axis of that number.
    Along(usize),
    /// It is the reduced variable of that number.
    Across(usize),
}

impl Lanes {
    /// Follows the lane axis through a graph.
    pub fn analyse(graph: &Graph) -> Lanes {
        Lanes::with(graph, data_extent(graph), &|_| None)
    }

    /// No value has its samples in lanes.
    pub fn absent(graph: &Graph) -> Lanes {
        Lanes::with(graph, None, &|_| None)
    }

    /// The analysis of values whose axes are all given.
    pub fn given(extent: Option<Dim>, axes: &[(NodeId, Option<usize>)]) -> Lanes {
        let mut lanes = Lanes {
            extent,
            axis: SecondaryMap::new(),
            bodies: SecondaryMap::new(),
        };
        axes.iter().for_each(|&(id, axis)| lanes.axis[id] = axis);
        lanes
    }

    /// The analysis of a body, of a result of a loop.
    pub fn body(&self, scan: NodeId) -> Option<&Arc<Lanes>> {
        self.bodies[scan].as_ref()
    }

    fn with(
        graph: &Graph,
        extent: Option<Dim>,
        argument: &dyn Fn(usize) -> Option<usize>,
    ) -> Lanes {
        let mut lanes = Lanes::given(extent, &[]);
        let plain = plain(graph);
        for (id, node) in graph.nodes.iter().filter(|(id, _)| !plain.contains(id)) {
            let axis = match &node.op {
                Op::Argument { number, .. } => argument(*number),
                Op::Scan(scan) => lanes.scan(graph, id, scan),
                op => lanes.of_node(graph, op, &node.inputs),
            };
            lanes.axis[id] = axis.filter(|&axis| node.ty.shape.get(axis).copied() == extent);
        }
        lanes
    }

    /// The lane axis of a loop's result, with the analysis of its body.
    fn scan(&mut self, graph: &Graph, id: NodeId, scan: &Scan) -> Option<usize> {
        let inputs = &graph.nodes[id].inputs;
        let earlier = graph.nodes.keys().take_while(|&other| other < id);
        let known = earlier.into_iter().find_map(|other| {
            let node = &graph.nodes[other];
            let same = scan.is_result(&node.op) && node.inputs == *inputs;
            self.bodies[other].clone().filter(|_| same)
        });
        let body = known.unwrap_or_else(|| Arc::new(self.analyse_body(scan, inputs)));
        let output = scan.body.graph().outputs[scan.result].node;
        let axis = body.axis(output);
        self.bodies[id] = Some(body);
        axis.map(|axis| axis + usize::from(scan.result >= scan.carries))
    }

    /// Carries are taken to have their lanes along the first axis that may be one, until a round disproves it.
    fn analyse_body(&self, scan: &Scan, inputs: &[NodeId]) -> Lanes {
        let body = scan.body.graph();
        let next = |carry: usize| body.outputs[carry].node;
        let first = |carry: usize| {
            let mut shape = body.nodes[next(carry)].ty.shape.iter();
            shape.position(|&dim| Some(dim) == self.extent)
        };
        let mut carries: Vec<Option<usize>> = (0..scan.carries).map(first).collect();
        loop {
            let argument = |number: usize| match scan.role(number, inputs.len()) {
                Role::Capture => self.axis[inputs[number]],
                Role::Carry(carry) => carries[carry],
                Role::Row => self.axis[inputs[number]]?.checked_sub(1),
                Role::Round => None,
            };
            let lanes = Lanes::with(body, self.extent, &argument);
            let disproved = (0..scan.carries).find(|&carry| {
                let constant = body.constant_value(next(carry)).is_some();
                carries[carry].is_some() && carries[carry] != lanes.axis(next(carry)) && !constant
            });
            match disproved {
                Some(carry) => carries[carry] = None,
                None => return lanes,
            }
        }
    }

    /// The lane axis of a value.
    pub fn axis(&self, node: NodeId) -> Option<usize> {
        self.axis[node]
    }

    fn of_node(&self, graph: &Graph, op: &Op, inputs: &[NodeId]) -> Option<usize> {
        let first = inputs.first().and_then(|&input| self.axis[input]);
        match op {
            Op::Input {
                kind: InputKind::Data,
                ty,
                ..
            } => (self.extent.is_some() && ty.shape.first().copied() == self.extent).then_some(0),
            Op::Unary(_) | Op::Cast(_) | Op::StopGradient => first,
            Op::Binary(_) | Op::Select => self.common(inputs),
            Op::Concat { axis } => self.common(inputs).filter(|lane| lane != axis),
            Op::Reduce { axes, .. } => {
                let lane = first.filter(|lane| !axes.contains(lane))?;
                Some(lane - axes.iter().filter(|&&axis| axis < lane).count())
            }
            Op::Contract(contraction) => match self.contraction(contraction, inputs) {
                ContractionLanes::Along(axis) => Some(axis),
                _ => None,
            },
            Op::View(view) => view_axis(view, first?),
            Op::Reshape { shape } => reshape_axis(&graph.nodes[inputs[0]].ty.shape, shape, first?),
            Op::CumulativeSum { axis, .. } => first.filter(|lane| lane != axis),
            Op::Gather if first.is_none() => self.axis[inputs[1]],
            _ => None,
        }
    }

    /// The one lane axis of values of equal shape; those without any fit every axis.
    fn common(&self, inputs: &[NodeId]) -> Option<usize> {
        let mut axes = inputs.iter().filter_map(|&input| self.axis[input]);
        let first = axes.next()?;
        axes.all(|axis| axis == first).then_some(first)
    }

    /// What a contraction does with its operands' lane axes.
    pub fn contraction(&self, contraction: &Contraction, inputs: &[NodeId]) -> ContractionLanes {
        let mut found = None;
        for (operand, &input) in contraction.operands.iter().zip(inputs) {
            let Some(axis) = self.axis[input] else {
                continue;
            };
            let Some(variable) = lone_variable(operand, axis) else {
                return ContractionLanes::Absent;
            };
            if found.is_some_and(|other| other != variable) {
                return ContractionLanes::Absent;
            }
            found = Some(variable);
        }
        let shifted = |variable: usize| {
            let axes = contraction.operands.iter().flatten();
            let mut uses = axes.filter(|axis| axis.coefficient(variable) != 0);
            uses.any(|axis| axis.as_variable() != Some(variable))
        };
        let found = found.filter(|&variable| !shifted(variable));
        match found {
            None => ContractionLanes::Absent,
            Some(variable) if variable < contraction.shape.len() => {
                ContractionLanes::Along(variable)
            }
            Some(variable) => ContractionLanes::Across(variable - contraction.shape.len()),
        }
    }
}

/// The next values of parameters and states: they are stored plain, also where their extent happens to be the batch's.
fn plain(graph: &Graph) -> BTreeSet<NodeId> {
    let outputs = graph.outputs.iter();
    outputs
        .filter(|output| matches!(output.kind, OutputKind::Parameter | OutputKind::State))
        .map(|output| root(graph, output.node))
        .collect()
}

/// The batch size where the data have one, else the extent of the first data input's axis 0.
fn data_extent(graph: &Graph) -> Option<Dim> {
    let mut extents = graph.nodes.values().filter_map(|node| match &node.op {
        Op::Input {
            kind: InputKind::Data,
            ty,
            ..
        } => ty.shape.first().copied(),
        _ => None,
    });
    let first = extents.clone().next();
    extents.find(|extent| extent.is_dynamic()).or(first)
}

/// The variable that alone addresses `axis`, and no other axis.
fn lone_variable(index: &[AxisIndex], axis: usize) -> Option<usize> {
    let variable = index[axis].as_variable()?;
    let uses = index
        .iter()
        .filter(|axis| axis.coefficient(variable) != 0)
        .count();
    (uses == 1).then_some(variable)
}

fn view_axis(view: &View, lane: usize) -> Option<usize> {
    lone_variable(&view.index, lane)
}

/// A reshape keeps the axis where the axes before it hold as many elements on both sides.
fn reshape_axis(from: &[Dim], to: &[Dim], lane: usize) -> Option<usize> {
    let before: i64 = from[..lane]
        .iter()
        .map(|dim| dim.known())
        .product::<Option<i64>>()?;
    let mut product = 1;
    for (axis, dim) in to.iter().enumerate() {
        if product == before && *dim == from[lane] {
            return Some(axis);
        }
        product *= dim.known()?;
    }
    None
}
