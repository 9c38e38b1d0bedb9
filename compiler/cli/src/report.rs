//! What a program comes to, for people.

pub mod layers;
pub mod table;
