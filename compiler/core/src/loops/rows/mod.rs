//! Two kernels as one that goes through both row by row.
//!
//! ```text
//! one after the other                  row by row
//! for i in 0..32 {                     row 0 of z
//!   row i of z                         for i in 0..32 {
//! }                                      row i + 1 of z
//! for i in 0..32 {                       row i of y, from rows i - 1 to i + 1 of z
//!   row i of y, from rows of z         }
//! }
//! ```
//!
//! What the first makes is still in the first cache when the second reads it. The second's rows may read some rows beyond
//! their own, as convolutions do: the first then runs ahead. Where a row of the second reads nothing further than the same row
//! of the first, or both only read the same, the bodies stand in one loop.

mod ahead;
mod copy;
mod reach;
#[cfg(test)]
mod tests;

use super::{
    Access, Block, BufferDecl, Instruction, IntOp, Kernel, LoopStatement, Range, Statement, Type,
    Value, tidy,
};
pub use ahead::ask_for_rows;
use copy::Copier;
use cranelift_entity::PrimaryMap;
use reach::{Need, Nest, need};

/// Statements of a first kernel's row at most, where it stands up to three times in the joint one.
const SHORT: usize = 160;

/// One of two kernels that are joined.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// For each of its buffers, the number of the joint kernel's.
    pub buffers: &'a [usize],
    /// For each of its scalars, the number of the joint kernel's.
    pub scalars: &'a [usize],
    /// For each of its scalars, the values that it may take.
    pub known: &'a [Range],
}

/// The kernel that does what the first does and then what the second does, row by row; `None` where the second needs
/// more of the first than some rows ahead, or where the two have nothing in common. No two of the joint buffers may overlap.
pub fn join_rows(first: Side<'_>, second: Side<'_>) -> Option<Kernel> {
    let buffers = declarations(first, second)?;
    let (before, behind) = (Nest::of(first)?, Nest::of(second)?);
    let need = need(&before, &behind)?;
    let mut joint = Joint::new(first, second, buffers);
    match need {
        Need::SameRow => joint.in_step(&before, &behind),
        Need::Rows { per_row, ahead } => {
            let short = before.row.body.size() <= SHORT;
            if !(short && before.is_plain()) {
                return None;
            }
            joint.ahead(&before, &behind, per_row, ahead)?;
        }
    }
    Some(joint.finish())
}

/// The joint buffers, where the second only reads what the first has to do with.
fn declarations(first: Side<'_>, second: Side<'_>) -> Option<Vec<BufferDecl>> {
    let count = [first, second].map(|side| side.buffers.iter().max().map_or(0, |most| most + 1));
    let mut joint: Vec<Option<BufferDecl>> = vec![None; count[0].max(count[1])];
    for (own, &number) in first.kernel.buffers.values().zip(first.buffers) {
        joint[number] = Some(own.clone());
    }
    for (own, &number) in second.kernel.buffers.values().zip(second.buffers) {
        match &mut joint[number] {
            Some(other) => {
                other.access = match (other.access, own.access) {
                    (Access::Write | Access::WriteRead, Access::Read) => Access::WriteRead,
                    (access, Access::Read) => access,
                    _ => return None,
                }
            }
            none => *none = Some(own.clone()),
        }
    }
    joint.into_iter().collect()
}

/// The kernel that is put together.
struct Joint<'a> {
    kernel: Kernel,
    first: Copier<'a>,
    second: Copier<'a>,
    /// Statements before the loop over rows, the loop's, and those behind.
    statements: [Vec<Statement>; 3],
}

impl<'a> Joint<'a> {
    fn new(first: Side<'a>, second: Side<'a>, buffers: Vec<BufferDecl>) -> Joint<'a> {
        let mut kernel = Kernel {
            name: second.kernel.name.clone(),
            buffers: buffers.into_iter().collect(),
            ..Kernel::default()
        };
        for side in [first, second] {
            for ((_, name), &number) in side.kernel.scalars.iter().zip(side.scalars) {
                if number == kernel.scalars.len() {
                    let value = kernel.values.push(Type::Index);
                    kernel.scalars.push((value, name.clone()));
                }
            }
            kernel.notes.extend(side.kernel.notes.iter().cloned());
            kernel.spans.extend(side.kernel.spans.iter().copied());
        }
        kernel.spans.dedup();
        let copier = |side: Side<'a>| Copier::new(side, &kernel);
        let (first, second) = (copier(first), copier(second));
        Joint {
            kernel,
            first,
            second,
            statements: Default::default(),
        }
    }

    /// Both bodies in one loop.
    fn in_step(&mut self, before: &Nest<'_>, behind: &Nest<'_>) {
        let (values, [outside, ..]) = (&mut self.kernel.values, &mut self.statements);
        self.first.outside(values, before.before, outside);
        self.second.outside(values, behind.before, outside);
        let mut row = self.first.loop_of(values, before.row);
        let other = self.second.loop_in(values, behind.row, row.variable);
        row.carried.extend(other.carried);
        row.body.statements.extend(other.body.statements);
        let (values, [_, rows, after]) = (&mut self.kernel.values, &mut self.statements);
        rows.push(Statement::Loop(row));
        self.first.outside(values, before.behind, after);
        self.second.outside(values, behind.behind, after);
    }

    /// The first's rows before the second's that reads them: of row `i` all below `per_row * i + ahead`.
    fn ahead(
        &mut self,
        before: &Nest<'_>,
        behind: &Nest<'_>,
        per_row: i64,
        ahead: i64,
    ) -> Option<()> {
        let step = behind.row.step;
        let rows = before.rows;
        let first_rows = (ahead - per_row * step).clamp(0, rows);
        let last = (behind.rows - 1).div_euclid(step) * step;
        let done = (per_row.checked_mul(last)?.checked_add(ahead)?).clamp(0, rows);
        self.first.outside(
            &mut self.kernel.values,
            before.before,
            &mut self.statements[0],
        );
        self.second.outside(
            &mut self.kernel.values,
            behind.before,
            &mut self.statements[0],
        );
        self.rows_of_first(before, 0, first_rows);
        let mut row = self.second.loop_of(&mut self.kernel.values, behind.row);
        if per_row > 0 {
            let own = row.variable;
            let mut inside = self.rows_at(before, own, (per_row, ahead, step));
            inside.append(&mut row.body.statements);
            row.body.statements = inside;
        }
        self.statements[1].push(Statement::Loop(row));
        let before_end = std::mem::take(&mut self.statements[0]);
        self.rows_of_first(before, done, rows);
        let end = std::mem::replace(&mut self.statements[0], before_end);
        self.statements[2].extend(end);
        self.second.outside(
            &mut self.kernel.values,
            behind.behind,
            &mut self.statements[2],
        );
        Some(())
    }

    /// A loop over these rows of the first, where there are any.
    fn rows_of_first(&mut self, before: &Nest<'_>, begin: i64, end: i64) {
        if begin >= end {
            return;
        }
        let [begin, end] = [begin, end].map(|row| self.constant(row));
        let row = self.first.loop_of(&mut self.kernel.values, before.row);
        self.statements[0].push(Statement::Loop(LoopStatement { begin, end, ..row }));
    }

    /// The rows of the first that a row of the second needs and the one before it did not.
    fn rows_at(
        &mut self,
        before: &Nest<'_>,
        row: Value,
        (per_row, ahead, step): (i64, i64, i64),
    ) -> Vec<Statement> {
        let [factor, on, back, none, all] =
            [per_row, ahead, ahead - per_row * step, 0, before.rows].map(|at| self.constant(at));
        let mut inside = Vec::new();
        let mut define = |values: &mut Values, op, a, b| {
            let value = values.push(Type::Index);
            inside.push(Statement::Define(value, Instruction::Int(op, a, b)));
            value
        };
        let values = &mut self.kernel.values;
        let at = define(values, IntOp::Mul, row, factor);
        let begin = define(values, IntOp::Add, at, back);
        let begin = define(values, IntOp::Max, begin, none);
        let end = define(values, IntOp::Add, at, on);
        let end = define(values, IntOp::Min, end, all);
        let own = self.first.loop_of(values, before.row);
        inside.push(Statement::Loop(LoopStatement { begin, end, ..own }));
        inside
    }

    /// An index constant, known everywhere.
    fn constant(&mut self, constant: i64) -> Value {
        let instruction = Instruction::IndexConst(constant);
        let outside = &mut self.statements[0];
        let known = copy::known(&self.kernel.values, outside, &instruction, Type::Index);
        known.unwrap_or_else(|| {
            let value = self.kernel.values.push(Type::Index);
            outside.push(Statement::Define(value, instruction));
            value
        })
    }

    fn finish(mut self) -> Kernel {
        let statements = self.statements.into_iter().flatten().collect();
        self.kernel.body = Block { statements };
        tidy(&self.kernel)
    }
}

/// The types of a kernel's values.
type Values = PrimaryMap<Value, Type>;
