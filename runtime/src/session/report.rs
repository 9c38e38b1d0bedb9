//! Reading what a step reports.

use super::SessionError;
use crate::program::{Program, Report, ReportKind, Slot, Space};
use crate::team::StepMemory;
use crate::tensor::{DataType, unpack};

/// The reports of a program that are numbers: of kinds `Mean` and `Sum`.
#[derive(Debug)]
pub(super) struct Reports {
    numbers: Vec<Place>,
    /// Names and values; the values are those last reported, NaN before.
    pub(super) values: Vec<(String, f64)>,
    /// For each value, whether the present step reports it.
    is_present: Vec<bool>,
    /// For each value, whether it is a mean over batches and not a sum.
    pub(super) is_mean: Vec<bool>,
    /// Numbers that are no metrics but must be finite: their slots, names and values.
    watched: Vec<(Slot, (String, f64))>,
}

/// Where a report's numbers are.
#[derive(Debug)]
struct Place {
    slot: Slot,
    elements: usize,
    /// A bool of the step: whether it reports this. The name is the report's with [`WHETHER`].
    whether: Option<Slot>,
}

/// The end of the name of a report that says whether a step makes another.
const WHETHER: char = '?';
/// The end of the name of a report that is only looked at.
const WATCHED: char = '!';

impl Reports {
    pub(super) fn new(program: &Program, pictures: &[String]) -> Result<Reports, SessionError> {
        let mut reports = Reports {
            numbers: Vec::new(),
            values: Vec::new(),
            is_mean: Vec::new(),
            is_present: Vec::new(),
            watched: Vec::new(),
        };
        let whether = |name: &str| {
            let of_it = |report: &&Report| report.slot.name.strip_suffix(WHETHER) == Some(name);
            program
                .reports
                .iter()
                .find(of_it)
                .map(|report| report.slot.clone())
        };
        for Report { slot, kind } in &program.reports {
            let is_other = matches!(kind, ReportKind::Join | ReportKind::Check);
            if is_other || pictures.contains(&slot.name) || slot.name.ends_with(WHETHER) {
                continue;
            }
            let is_number = matches!(
                slot.dtype,
                DataType::F32 | DataType::I32 | DataType::I64 | DataType::Bool
            );
            if slot.has_batch() || !is_number {
                let found = format!(
                    "{} of shape {:?}, which is no number per batch",
                    slot.dtype, slot.shape
                );
                return Err(SessionError::Report {
                    name: slot.name.clone(),
                    found,
                });
            }
            if let Some(name) = slot.name.strip_suffix(WATCHED) {
                reports
                    .watched
                    .push((slot.clone(), (name.to_string(), 0.0)));
                continue;
            }
            let sizes = slot.sizes(1);
            let names = element_names(&slot.name, &sizes);
            reports.numbers.push(Place {
                slot: slot.clone(),
                elements: names.len(),
                whether: whether(&slot.name),
            });
            reports.is_present.extend(names.iter().map(|_| false));
            // Integers are counts, whose mean over batches would say nothing.
            let is_mean = *kind == ReportKind::Mean && slot.dtype == DataType::F32;
            reports.is_mean.extend(names.iter().map(|_| is_mean));
            reports
                .values
                .extend(names.into_iter().map(|name| (name, f64::NAN)));
        }
        Ok(reports)
    }

    /// Whether all variants of a step report the same.
    pub(super) fn check_equal<'a>(
        mut all: impl Iterator<Item = &'a Reports>,
    ) -> Result<(), SessionError> {
        let Some(first) = all.next() else {
            return Ok(());
        };
        for other in all {
            let names = |reports: &'a Reports| reports.values.iter().map(|(name, _)| name);
            if let Some(name) = names(first).find(|name| !names(other).any(|other| other == *name))
            {
                return Err(SessionError::Disagree { name: name.clone() });
            }
        }
        Ok(())
    }

    /// Reads all values that the step reports.
    pub(super) fn read(&mut self, memory: &StepMemory<'_>) {
        let mut next = 0;
        for place in &self.numbers {
            let Place { slot, elements, .. } = place;
            let values = &mut self.values[next..next + elements];
            let is_present = place.is_present(memory);
            self.is_present[next..next + elements].fill(is_present);
            next += elements;
            if !is_present {
                continue;
            }
            let offset = slot.offset_bytes;
            // In plain layout, which all reports but unusual ones have, nothing is allocated.
            match slot.dtype {
                DataType::F32 if slot.layout == crate::program::Layout::Plain => {
                    let floats = memory.view::<f32>(Space::Arena, offset, *elements);
                    values
                        .iter_mut()
                        .zip(floats)
                        .for_each(|((_, value), float)| *value = f64::from(*float));
                }
                _ => read_any(slot, memory, values),
            }
        }
        for (slot, value) in &mut self.watched {
            read_any(slot, memory, std::slice::from_mut(value));
        }
    }

    /// What the step reports.
    pub(super) fn present(&self) -> impl Iterator<Item = &(String, f64)> {
        let all = self.values.iter().zip(&self.is_present);
        all.filter(|(_, is_present)| **is_present)
            .map(|(value, _)| value)
    }

    /// The first value that is NaN or infinite.
    pub(super) fn not_finite(&self) -> Option<&(String, f64)> {
        let watched = self.watched.iter().map(|(_, value)| value);
        let mut all = self.present().chain(watched);
        all.find(|(_, value)| !value.is_finite())
    }
}

impl Place {
    fn is_present(&self, memory: &StepMemory<'_>) -> bool {
        self.whether.as_ref().is_none_or(|slot| {
            let stored = memory.view::<u8>(Space::Arena, slot.offset_bytes, 1);
            stored[0] != 0
        })
    }
}

fn read_any(slot: &Slot, memory: &StepMemory<'_>, values: &mut [(String, f64)]) {
    let stored = memory.view::<u8>(
        Space::Arena,
        slot.offset_bytes,
        slot.stored_bytes(1) as usize,
    );
    let plain = unpack(slot, 1, stored);
    let size = slot.dtype.bytes() as usize;
    for ((_, value), bytes) in values.iter_mut().zip(plain.chunks_exact(size)) {
        *value = match (slot.dtype, bytes) {
            (DataType::F32, &[a, b, c, d]) => f64::from(f32::from_ne_bytes([a, b, c, d])),
            (DataType::I32, &[a, b, c, d]) => f64::from(i32::from_ne_bytes([a, b, c, d])),
            (DataType::I64, &[a, b, c, d, e, f, g, h]) => {
                i64::from_ne_bytes([a, b, c, d, e, f, g, h]) as f64
            }
            _ => f64::from(bytes[0]),
        };
    }
}

/// `name` for a number, `name[0,1]` for each element of a tensor, in row-major order.
pub(super) fn element_names(name: &str, sizes: &[u64]) -> Vec<String> {
    if sizes.is_empty() {
        return vec![name.to_string()];
    }
    let indices = sizes.iter().fold(vec![String::new()], |prefixes, size| {
        let extend = |prefix: &String| {
            let separator = if prefix.is_empty() { "" } else { "," };
            let prefix = format!("{prefix}{separator}");
            (0..*size).map(move |index| format!("{prefix}{index}"))
        };
        prefixes.iter().flat_map(extend).collect()
    });
    indices
        .into_iter()
        .map(|index| format!("{name}[{index}]"))
        .collect()
}
