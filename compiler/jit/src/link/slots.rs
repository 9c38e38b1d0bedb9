//! Ports of a plan as slots of a program.

use dlm_core::graph::{Dim, InputKind, OutputKind};
use dlm_core::loops::Element;
use dlm_core::plan::{BufferId, Layout, Plan};
use dlm_runtime::program::{self, Dimension, Report, ReportKind, Slot};
use dlm_runtime::tensor::DataType;

use super::LinkError;

/// The slots by role.
#[derive(Default)]
pub(super) struct Ports {
    pub(super) persistent: Vec<Slot>,
    pub(super) inputs: Vec<Slot>,
    pub(super) scalars: Vec<Slot>,
    pub(super) outputs: Vec<Slot>,
    pub(super) reports: Vec<Report>,
}

/// Sorts a plan's inputs and outputs. The next values of parameters and states lie where the old ones did, so they
/// need no slot of their own.
pub(super) fn ports(plan: &Plan) -> Result<Ports, LinkError> {
    let mut ports = Ports::default();
    for port in &plan.inputs {
        let slot = slot(plan, &port.name, port.buffer)?;
        match port.kind {
            InputKind::Parameter | InputKind::State => ports.persistent.push(slot),
            InputKind::Data => ports.inputs.push(slot),
            InputKind::Scalar => ports.scalars.push(slot),
        }
    }
    for port in &plan.outputs {
        match port.kind {
            OutputKind::Parameter | OutputKind::State => {}
            OutputKind::Result => ports.outputs.push(slot(plan, &port.name, port.buffer)?),
            OutputKind::Check => {
                let slot = slot(plan, &port.name, port.buffer)?;
                let kind = ReportKind::Check;
                ports.reports.push(Report { slot, kind });
            }
            OutputKind::Report => {
                let slot = slot(plan, &port.name, port.buffer)?;
                let kind = match slot.has_batch() {
                    true => ReportKind::Join,
                    false => ReportKind::Mean,
                };
                ports.reports.push(Report { slot, kind });
            }
        }
    }
    Ok(ports)
}

fn slot(plan: &Plan, name: &str, buffer: BufferId) -> Result<Slot, LinkError> {
    let buffer = &plan.buffers[buffer];
    let shape: Option<Vec<Dimension>> = buffer.shape.iter().map(|&dim| dimension(dim)).collect();
    let shape = shape.ok_or_else(|| LinkError::Shape {
        name: name.into(),
        shape: format!(
            "{:?}",
            buffer.shape.iter().map(Dim::to_string).collect::<Vec<_>>()
        ),
    })?;
    let layout = match buffer.layout {
        Layout::Plain | Layout::Panels { .. } | Layout::Partials => program::Layout::Plain,
        Layout::Lanes { axis, lanes } => program::Layout::Lanes {
            lanes: lanes as u32,
            axis: axis as u32,
        },
    };
    Ok(Slot {
        name: name.into(),
        dtype: data_type(buffer.element),
        shape,
        layout,
        space: super::space(buffer.space),
        offset_bytes: buffer.offset as u64,
    })
}

fn dimension(dim: Dim) -> Option<Dimension> {
    match (dim.known(), dim) {
        (Some(extent), _) => u64::try_from(extent).ok().map(Dimension::Fixed),
        (None, Dim::BATCH) => Some(Dimension::Batch),
        _ => None,
    }
}

fn data_type(element: Element) -> DataType {
    match element {
        Element::F32 => DataType::F32,
        Element::I32 => DataType::I32,
        Element::U8 => DataType::U8,
        Element::Bf16 => DataType::Bf16,
        Element::Bool => DataType::Bool,
    }
}
