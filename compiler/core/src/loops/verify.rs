//! The verifier of loop IR.
//!
//! Rules, each with a failing test below:
//! - a value is defined once, and every use stands where its definition has been run (`dominance`);
//! - a definition's type is the one its operands give ([`infer`](super::types::infer));
//! - vectors have 1, 2, 4, 8 or 16 lanes;
//! - a store's value has the type that its buffer's elements load as, and addresses are sums of indices;
//! - a load of pairs is of elements of two bytes;
//! - a buffer that is only read is not stored to, one that is only written is not loaded from;
//! - bounds and conditions are indices; initial, argument, next and result of a carried value, and the values of a
//!   condition's result, have one type;
//! - a loop's step is positive;
//! - a divisor is a positive constant;
//! - for [`verify_emittable`]: no function is left to write out.

use cranelift_entity::{EntitySet, SecondaryMap};

use super::expand_math::has_math;
use super::text::statement_line;
use super::types::{LANES, infer};
use super::{
    Access, Address, Block, Conditional, Instruction, IntOp, Kernel, LoopStatement, Statement,
    Type, Value,
};

/// A rule that a kernel breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kernel `{kernel}`, `{place}`: {message}")]
pub struct VerifyError {
    /// The kernel's name.
    pub kernel: String,
    /// The statement, as text.
    pub place: String,
    /// What is wrong with it.
    pub message: String,
}

/// Checks every rule but the last.
///
/// # Errors
/// The first statement that breaks one.
pub fn verify(kernel: &Kernel) -> Result<(), VerifyError> {
    let mut verifier = Verifier {
        kernel,
        known: EntitySet::new(),
        defined: EntitySet::new(),
        constants: SecondaryMap::new(),
    };
    for (value, name) in &kernel.scalars {
        let place = format!("scalar {name}");
        let result = verifier.name(*value, Type::Index);
        result.map_err(|message| error(kernel, place, message))?;
    }
    verifier.block(&kernel.body)
}

/// Checks every rule: what passes can be made machine code.
///
/// # Errors
/// As [`verify`].
pub fn verify_emittable(kernel: &Kernel) -> Result<(), VerifyError> {
    verify(kernel)?;
    match has_math(kernel) {
        true => Err(error(
            kernel,
            "body".into(),
            "a function is not written out".into(),
        )),
        false => Ok(()),
    }
}

fn error(kernel: &Kernel, place: String, message: String) -> VerifyError {
    VerifyError {
        kernel: kernel.name.clone(),
        place,
        message,
    }
}

struct Verifier<'a> {
    kernel: &'a Kernel,
    /// What may be used here.
    known: EntitySet<Value>,
    /// What has been defined anywhere.
    defined: EntitySet<Value>,
    constants: SecondaryMap<Value, Option<i64>>,
}

type Checked = Result<(), String>;

impl Verifier<'_> {
    fn block(&mut self, block: &Block) -> Result<(), VerifyError> {
        for statement in &block.statements {
            let located =
                |message| error(self.kernel, statement_line(self.kernel, statement), message);
            match statement {
                Statement::Define(value, instruction) => {
                    self.define(*value, instruction).map_err(located)?;
                }
                Statement::Prefetch(address) => self.indices(address).map_err(located)?,
                Statement::Store { address, value, .. } => {
                    self.store(address, *value).map_err(located)?;
                }
                Statement::Loop(inner) => {
                    let outside = self.known.clone();
                    self.enter_loop(inner).map_err(located)?;
                    self.block(&inner.body)?;
                    let left = self.leave_loop(inner, outside);
                    left.map_err(|m| {
                        error(self.kernel, statement_line(self.kernel, statement), m)
                    })?;
                }
                Statement::If(inner) => {
                    self.typed(inner.condition, Type::Index).map_err(located)?;
                    let outside = self.known.clone();
                    self.block(&inner.body)?;
                    let left = self.leave_if(inner, outside);
                    left.map_err(|m| {
                        error(self.kernel, statement_line(self.kernel, statement), m)
                    })?;
                }
            }
        }
        Ok(())
    }

    fn define(&mut self, value: Value, instruction: &Instruction) -> Checked {
        let mut unknown = None;
        instruction.for_each_operand(|operand| {
            if !self.known.contains(operand) {
                unknown = Some(operand);
            }
        });
        if let Some(operand) = unknown {
            return Err(format!("{operand} is not defined here"));
        }
        if let Instruction::Load { address, .. } = instruction {
            self.address(address, Access::Write, "loaded from")?;
        }
        if let Instruction::Int(IntOp::DivFloor | IntOp::ModFloor, _, by) = instruction
            && self.constants[*by].is_none_or(|divisor| divisor < 1)
        {
            return Err(format!("the divisor {by} is no positive constant"));
        }
        let declared = self.type_of(value)?;
        let lanes = declared.lanes().unwrap_or(1);
        let inferred = infer(self.kernel, instruction, lanes).map_err(|e| e.to_string())?;
        if let Instruction::IndexConst(constant) = instruction {
            self.constants[value] = Some(*constant);
        }
        self.name(value, inferred)
    }

    fn store(&self, address: &Address, value: Value) -> Checked {
        self.address(address, Access::Read, "stored to")?;
        let lanes = self.type_of(value)?.lanes().unwrap_or(1);
        let element = self.kernel.buffers[address.buffer].element;
        self.typed(value, element.loaded(lanes))
    }

    fn address(&self, address: &Address, forbidden: Access, verb: &str) -> Checked {
        let Some(decl) = self.kernel.buffers.get(address.buffer) else {
            return Err(format!("there is no buffer {}", address.buffer));
        };
        if decl.access == forbidden {
            return Err(format!(
                "{} is {verb}, against its declaration",
                address.buffer
            ));
        }
        self.indices(address)
    }

    fn indices(&self, address: &Address) -> Checked {
        if self.kernel.buffers.get(address.buffer).is_none() {
            return Err(format!("there is no buffer {}", address.buffer));
        }
        let mut terms = address.terms.iter();
        terms.try_for_each(|term| self.typed(term.0, Type::Index))
    }

    fn enter_loop(&mut self, statement: &LoopStatement) -> Checked {
        if statement.step < 1 {
            return Err(format!("the step is {}", statement.step));
        }
        self.typed(statement.begin, Type::Index)?;
        self.typed(statement.end, Type::Index)?;
        self.name(statement.variable, Type::Index)?;
        for carried in &statement.carried {
            let ty = self.type_of(carried.initial)?;
            self.typed(carried.initial, ty)?;
            self.name(carried.argument, ty)?;
        }
        Ok(())
    }

    fn leave_loop(&mut self, statement: &LoopStatement, outside: EntitySet<Value>) -> Checked {
        for carried in &statement.carried {
            self.typed(carried.next, self.type_of(carried.argument)?)?;
        }
        self.known = outside;
        for carried in &statement.carried {
            self.name(carried.result, self.type_of(carried.argument)?)?;
        }
        Ok(())
    }

    fn leave_if(&mut self, conditional: &Conditional, outside: EntitySet<Value>) -> Checked {
        for &(result, then, _) in &conditional.results {
            self.typed(then, self.type_of(result)?)?;
        }
        self.known = outside;
        for &(result, _, otherwise) in &conditional.results {
            let ty = self.type_of(result)?;
            self.typed(otherwise, ty)?;
            self.name(result, ty)?;
        }
        Ok(())
    }

    /// Defines a value.
    fn name(&mut self, value: Value, ty: Type) -> Checked {
        let declared = self.type_of(value)?;
        if declared != ty {
            return Err(format!("{value} is declared {declared}, but is {ty}"));
        }
        if ty.lanes().is_some_and(|lanes| !LANES.contains(&lanes)) {
            return Err(format!("{value}: {ty} has no lawful number of lanes"));
        }
        if !self.defined.insert(value) {
            return Err(format!("{value} is defined twice"));
        }
        self.known.insert(value);
        Ok(())
    }

    fn typed(&self, value: Value, expected: Type) -> Checked {
        if !self.known.contains(value) {
            return Err(format!("{value} is not defined here"));
        }
        match self.type_of(value)? {
            found if found == expected => Ok(()),
            found => Err(format!("{value} is {found}, not {expected}")),
        }
    }

    fn type_of(&self, value: Value) -> Result<Type, String> {
        let found = self.kernel.values.get(value).copied();
        found.ok_or_else(|| format!("there is no value {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::text::parse_kernels;

    const HEAD: &str = "kernel \"k\" {\nbuffer b0 \"x\": f32 read\nbuffer b1 \"y\": f32 write\nscalar v0 \"n\"\n\
        v1: index = const 0\nv2: f32x4 = const 1.0\n";

    fn check(body: &str, expected: &str) {
        let text = format!("{HEAD}{body}\n}}");
        let kernel = parse_kernels(&text).expect("parses").remove(0);
        match verify_emittable(&kernel) {
            Ok(()) => assert_eq!(expected, "", "{text}"),
            Err(error) => assert_eq!(error.message, expected, "{text}"),
        }
    }

    #[test]
    fn lawful_kernels_pass() {
        check("v3: f32x4 = load b0[v0 * 4]\nstore b1[v1], v3", "");
        check(
            "for v3 \"i\" in v1..v0 step 4 domain carry v4: f32x4 = v2 {\nnext v4\n} give v5\nstore b1[v0], v5",
            "",
        );
    }

    #[test]
    fn each_rule_has_a_kernel_that_breaks_it() {
        check("v2: f32x4 = const 2.0", "v2 is defined twice");
        check("v3: f32x4 = neg v4", "v4 is not defined here");
        check(
            "for v3 \"i\" in v1..v0 step 1 domain {\nv4: f32x4 = neg v2\n}\nstore b1[v0], v4",
            "v4 is not defined here",
        );
        check(
            "if v0 {\nv3: f32x4 = neg v2\n}\nstore b1[v0], v3",
            "v3 is not defined here",
        );
        check("v3: f32x8 = neg v2", "v3 is declared f32x8, but is f32x4");
        check(
            "v3: f32x3 = const 1.0",
            "v3: f32x3 has no lawful number of lanes",
        );
        check(
            "v3: i32x4 = const 1\nstore b1[v0], v3",
            "v3 is i32x4, not f32x4",
        );
        check("store b1[v2], v2", "v2 is f32x4, not index");
        check(
            "store b0[v0], v2",
            "b0 is stored to, against its declaration",
        );
        check(
            "v3: f32x4 = load b1[v0]",
            "b1 is loaded from, against its declaration",
        );
        check(
            "v3: f32x4 = load_splat_pair b0[v0]",
            "pairs are of elements of two bytes, found f32",
        );
        check(
            "v3: f32x4 = dot_pairs v2, v2, v2",
            "expects i32x4, found v2: f32x4",
        );
        check("v3: f32x2 = half v2, 0", "v2: f32x4 has no half 0");
        check("v3: f32x8 = join v2, v0", "expects f32x4, found v0: index");
        check("store b7[v0], v2", "there is no buffer b7");
        check(
            "for v3 \"i\" in v1..v2 step 1 domain {\n}",
            "v2 is f32x4, not index",
        );
        check("if v2 {\n}", "v2 is f32x4, not index");
        check(
            "for v3 \"i\" in v1..v0 step 1 domain carry v4: f32x4 = v2 {\nnext v0\n} give v5",
            "v0 is index, not f32x4",
        );
        check(
            "if v0 {\n} give v3: f32x4 = v2 else v0",
            "v0 is index, not f32x4",
        );
        check("for v3 \"i\" in v1..v0 step 0 domain {\n}", "the step is 0");
        check(
            "v3: index = div_floor v0, v0",
            "the divisor v0 is no positive constant",
        );
        check(
            "v3: index = mod_floor v0, v1",
            "the divisor v1 is no positive constant",
        );
        check("v3: f32x4 = exp v2", "a function is not written out");
    }
}
