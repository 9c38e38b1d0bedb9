//! From a graph to a plan: lanes, fusion, kernels, phases, memory.

mod affine;
mod along;
mod anew;
mod apart;
mod asking;
mod assemble;
mod attempt;
mod beside;
mod borders;
mod budget;
mod buffers;
mod by_rows;
mod choices;
mod coarse;
mod copies;
mod cuts;
mod forming;
mod fuse;
mod group_order;
mod images;
mod in_place;
mod insets;
mod lanes;
mod layout;
mod long_maps;
mod long_sums;
mod loops;
mod lower;
mod memory;
mod moments;
mod order;
mod orders;
mod outer;
mod padded;
mod panels;
mod persistent;
mod placing;
mod position;
mod products;
mod ready;
mod recompute;
mod serial;
mod slices;
mod sliding;
mod strided;
mod symbols;
mod target;
mod triangles;
mod turned_maps;
mod under_pools;
mod unit_index;
mod units;
mod widened;

pub use assemble::{ScheduleError, schedule, schedule_apart};
pub use choices::{Choice, ChoiceError, Choices};
pub use lower::LowerError;
pub use persistent::PersistentLayout;
pub use products::{Gradient, Product};
pub use target::{Budget, Target};

#[cfg(test)]
mod lenet_test;
#[cfg(test)]
mod tests;
