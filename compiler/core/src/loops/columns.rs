//! Statements that load or store neighbours whose lanes lie apart in memory.
//!
//! ```text
//! store b[i + 0], a, stride S        a0 b0 c0 d0
//! store b[i + 1], b, stride S        a1 b1 c1 d1    S elements further
//! store b[i + 2], c, stride S        a2 b2 c2 d2
//! store b[i + 3], d, stride S        …
//! ```
//!
//! Together they are a tile of rows, each in order: an emitter can turn it in registers, where lane by lane it has an access
//! for each.

use super::{Address, Element, Instruction, Kernel, LoadKind, Statement, Value};

/// Columns of a tile at most.
pub const TILE: usize = 4;

/// How many columns are turned in registers at least, with registers of so many lanes: a tile's, or with the masks of
/// AVX-512 one fewer, as windows of three taps have. Code for any processor accesses lane by lane.
pub fn turned_from(register_lanes: usize) -> Option<usize> {
    match register_lanes {
        16 => Some(TILE - 1),
        8 => Some(TILE),
        _ => None,
    }
}

/// The columns of a tile: at least two values that lie beside one another, of at least as many lanes as a tile has columns.
#[derive(Clone, Debug)]
pub struct Columns<'s> {
    /// Of the first column's first lane.
    pub address: &'s Address,
    /// Elements from a lane to the next; no row is as long.
    pub stride: i64,
    /// One for each statement.
    pub values: Vec<Value>,
    /// Whether they are stored; else they are loaded.
    pub stores: bool,
}

/// The columns that the first of the statements load or store.
pub fn columns<'s>(kernel: &Kernel, statements: &'s [Statement]) -> Option<Columns<'s>> {
    let mut columns = column(statements.first()?)?;
    let lanes = |value: Value| usize::from(kernel.values[value].lanes().unwrap_or(1));
    let element = kernel.buffers[columns.address.buffer].element;
    let words = matches!(element, Element::F32 | Element::I32);
    // Lanes that lie nearer are overwritten by the next column's, in an order that counts.
    let apart = columns.stride.unsigned_abs() >= TILE as u64;
    if !words || !apart || lanes(columns.values[0]) < TILE {
        return None;
    }
    for statement in statements.iter().take(TILE).skip(1) {
        match column(statement).filter(|next| is_next(kernel, &columns, next)) {
            Some(next) => columns.values.extend(next.values),
            None => break,
        }
    }
    (columns.values.len() > 1).then_some(columns)
}

/// A statement as a column by itself.
fn column(statement: &Statement) -> Option<Columns<'_>> {
    let (value, address, stride, stores) = match statement {
        Statement::Store {
            address,
            value,
            stride,
        } => (*value, address, *stride, true),
        Statement::Define(
            value,
            Instruction::Load {
                address,
                kind: LoadKind::Strided(stride),
            },
        ) => (*value, address, *stride, false),
        _ => return None,
    };
    Some(Columns {
        address,
        stride,
        values: vec![value],
        stores,
    })
}

fn is_next(kernel: &Kernel, columns: &Columns<'_>, next: &Columns<'_>) -> bool {
    let (first, own) = (columns.address, next.address);
    let place = first.offset.checked_add(columns.values.len() as i64);
    let ty = |columns: &Columns<'_>| kernel.values[columns.values[0]];
    (columns.stores, columns.stride) == (next.stores, next.stride)
        && (first.buffer, &first.terms) == (own.buffer, &own.terms)
        && place == Some(own.offset)
        && ty(columns) == ty(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::text::parse_kernels;

    /// How many statements from the first on are one tile's, and of what.
    fn check(element: &str, statements: &str, expected: Option<(usize, bool)>) {
        let text = format!(
            "kernel \"k\" {{\n  buffer b0 \"x\": {element} read_write\n  buffer b1 \"y\": {element} write\n  scalar v0 \"n\"\n  v1: f32x8 = const 1.0\n  v2: f32x8 = const 2.0\n{statements}}}\n"
        );
        let kernel = parse_kernels(&text)
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
            .remove(0);
        let found = columns(&kernel, &kernel.body.statements[2..]);
        let found = found.map(|columns| (columns.values.len(), columns.stores));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn neighbours_are_columns() {
        let store = |buffer: &str, offset: i64, value: &str, stride: i64| {
            format!("  store {buffer}[v0 * 32 + {offset}], {value}, stride {stride}\n")
        };
        let run = |count: i64, stride: i64| -> String {
            (1..=count)
                .map(|at| store("b0", at, "v1", stride))
                .collect()
        };
        check("f32", &run(3, 16), Some((3, true)));
        check("f32", &run(6, -4), Some((TILE, true)));
        // One by itself, lanes that the next column overwrites, bytes.
        check("f32", &run(1, 16), None);
        check("f32", &run(4, 3), None);
        check("f32", &run(4, 1), None);
        check("bf16", &run(4, 16).replace("v1", "v3"), None);
        // Other buffers, strides and places end a tile.
        let first = store("b0", 1, "v1", 16);
        check("f32", &(first.clone() + &store("b1", 2, "v2", 16)), None);
        check("f32", &(first.clone() + &store("b0", 2, "v2", 17)), None);
        check("f32", &(first.clone() + &store("b0", 3, "v2", 16)), None);
        let then = store("b0", 2, "v2", 16) + &store("b0", 4, "v1", 16);
        check("f32", &(first + &then), Some((2, true)));
        let load = |value: usize, offset: i64| {
            format!("  v{value}: f32x8 = load_strided b0[v0 * 32 + {offset}], 9\n")
        };
        check(
            "f32",
            &(load(3, 1) + &load(4, 2) + &run(1, 9)),
            Some((2, false)),
        );
    }
}
