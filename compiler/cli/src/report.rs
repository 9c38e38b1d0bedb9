//! What a program comes to, for people.

pub mod kernels;
pub mod layers;
pub mod spread;
pub mod table;
