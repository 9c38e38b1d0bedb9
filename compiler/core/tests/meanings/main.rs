//! Where two readers of a program could differ: a test for each sentence that fixes what is meant, in a file for each
//! paragraph. What only a whole run shows stands in `compiler/cli/tests/meanings.rs`.

#[path = "../programs/mod.rs"]
mod programs;
mod support;

mod data;
mod initial;
mod instances;
mod library;
mod names;
mod numbers;
mod optimizers;
mod precedence;
mod random;
mod reports;
mod results;
mod schedules;
mod slices;
mod state;
mod training;
mod weights;
