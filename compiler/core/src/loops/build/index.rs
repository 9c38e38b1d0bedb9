//! Index arithmetic: folds with constants, affine forms and ranges of values.

use super::super::{Address, Affine, Instruction, IntOp, Range, Statement, Type, Value};
use super::KernelBuilder;

impl KernelBuilder {
    /// An index constant.
    pub fn index(&mut self, constant: i64) -> Value {
        self.define(Instruction::IndexConst(constant), 1)
    }

    /// A name of its own for a constant, so that forms can tell it from equal constants; code holds the constant.
    pub fn symbol(&mut self, constant: i64) -> Value {
        let value = self.fresh(Type::Index, self.frames.len() - 1);
        self.push(Statement::Define(value, Instruction::IndexConst(constant)));
        self.facts[value].range = Range::new(constant, constant);
        value
    }

    /// The affine form a value was computed from; the value itself if it is no sum.
    pub fn affine(&self, value: Value) -> Affine {
        match &self.facts[value].form {
            Some(form) => form.clone(),
            None => Affine::value(value),
        }
    }

    /// Declares what values an `Index` takes where the caller knows better, e.g. one read from memory and checked.
    pub fn assume(&mut self, value: Value, range: Range) {
        self.facts[value].range = range;
    }

    /// The values that `form` may take.
    pub fn range(&self, form: &Affine) -> Range {
        let offset = form.offset();
        let start = Range::new(offset, offset);
        let by_terms = form.terms().iter().fold(start, |sum, &(value, factor)| {
            sum.add(self.facts[value].range.scale(factor))
        });
        match self.known_forms.get(form.terms()) {
            Some(known) => by_terms.within(known.add(start)),
            None => by_terms,
        }
    }

    /// Records that `form` stays within `range` wherever all its terms are in scope, though they alone could leave it.
    pub fn assume_form(&mut self, form: &Affine, range: Range) {
        let form = self.expanded(form);
        if form.terms().len() < 2 {
            return;
        }
        let offset = Range::new(-form.offset(), -form.offset());
        let range = range.add(offset);
        self.known_forms.insert(form.terms().to_vec(), range);
        let negative = form.scale(-1);
        self.known_forms
            .insert(negative.terms().to_vec(), range.scale(-1));
    }

    /// `form` as one value, computed where its terms are known.
    pub fn materialise(&mut self, form: &Affine) -> Value {
        let form = self.expanded(form);
        if let Some(constant) = form.as_constant() {
            return self.index(constant);
        }
        let mut sum: Option<Value> = None;
        let mut terms = form.terms().to_vec();
        terms.sort_by_key(|term| (self.facts[term.0].depth, term.0));
        for (value, factor) in terms {
            let product = self.scaled(value, factor);
            sum = Some(match sum {
                None => product,
                Some(sum) => self.raw_int(IntOp::Add, sum, product),
            });
        }
        let sum = sum.unwrap_or_else(|| self.index(0));
        match form.offset() {
            0 => sum,
            offset => {
                let offset = self.index(offset);
                self.raw_int(IntOp::Add, sum, offset)
            }
        }
    }

    /// The largest multiple below: `form / divisor` rounded down. The divisor is positive.
    pub fn div_floor(&mut self, form: &Affine, divisor: i64) -> Affine {
        let divisor = self.positive(divisor);
        let (quotient, rest) = self.expanded(form).split(divisor);
        let ends = self.range(&rest).map(|end| end.div_euclid(divisor));
        if let Some(whole) = ends.exact() {
            return quotient.add_constant(whole);
        }
        let (rest, by) = (self.materialise(&rest), self.index(divisor));
        let rounded = self.raw_int(IntOp::DivFloor, rest, by);
        quotient.add(&Affine::value(rounded))
    }

    /// What [`KernelBuilder::div_floor`] leaves: in `0..divisor`.
    pub fn mod_floor(&mut self, form: &Affine, divisor: i64) -> Affine {
        let divisor = self.positive(divisor);
        let (_, rest) = self.expanded(form).split(divisor);
        let ends = self.range(&rest).map(|end| end.div_euclid(divisor));
        if let Some(whole) = ends.exact() {
            return rest.add_constant(-whole * divisor);
        }
        let (rest, by) = (self.materialise(&rest), self.index(divisor));
        Affine::value(self.raw_int(IntOp::ModFloor, rest, by))
    }

    /// Any integer operation on forms, folded where constants and ranges allow.
    pub fn int(&mut self, op: IntOp, a: &Affine, b: &Affine) -> Affine {
        let (a, b) = (self.expanded(a), self.expanded(b));
        match op {
            IntOp::Add => return a.add(&b),
            IntOp::Sub => return a.sub(&b),
            IntOp::Mul => return self.product(&a, &b),
            IntOp::DivFloor | IntOp::ModFloor => return self.divide(op, &a, &b),
            _ => {}
        }
        match self.decide(op, &a, &b) {
            Some(form) => form,
            None => {
                let (a, b) = (self.materialise(&a), self.materialise(&b));
                Affine::value(self.raw_int(op, a, b))
            }
        }
    }

    /// A condition as a value: `op` is `Less`, `LessEqual`, `Equal` or `And`.
    pub fn condition(&mut self, op: IntOp, a: &Affine, b: &Affine) -> Value {
        let form = self.int(op, a, b);
        self.materialise(&form)
    }

    /// The float that every lane is known to be.
    pub fn float_constant(&self, value: Value) -> Option<f32> {
        match self.facts[value].instruction {
            Some(Instruction::FloatConst(constant)) => Some(constant.0),
            _ => None,
        }
    }

    /// The constant that an `Index` value is known to be.
    pub fn index_constant(&self, value: Value) -> Option<i64> {
        self.facts[value].range.exact()
    }

    /// With every term replaced by the form it was computed from, and constants folded.
    pub(super) fn expanded(&self, form: &Affine) -> Affine {
        let start = Affine::constant(form.offset());
        form.terms().iter().fold(start, |sum, &(value, factor)| {
            let fact = &self.facts[value];
            let part = match (fact.range.exact(), &fact.form) {
                (Some(constant), _) => Affine::constant(constant.wrapping_mul(factor)),
                (None, Some(form)) => form.scale(factor),
                (None, None) => Affine::term(value, factor),
            };
            sum.add(&part)
        })
    }

    pub(super) fn canonical(&self, address: Address) -> Address {
        let form = Affine::from_terms(address.terms, address.offset);
        self.expanded(&form).address(address.buffer)
    }

    fn scaled(&mut self, value: Value, factor: i64) -> Value {
        match factor {
            1 => value,
            _ => {
                let factor = self.index(factor);
                self.raw_int(IntOp::Mul, value, factor)
            }
        }
    }

    fn product(&mut self, a: &Affine, b: &Affine) -> Affine {
        match (a.as_constant(), b.as_constant()) {
            (Some(factor), _) => b.scale(factor),
            (_, Some(factor)) => a.scale(factor),
            _ => {
                let (a, b) = (self.materialise(a), self.materialise(b));
                Affine::value(self.raw_int(IntOp::Mul, a, b))
            }
        }
    }

    fn divide(&mut self, op: IntOp, a: &Affine, b: &Affine) -> Affine {
        match b.as_constant() {
            Some(divisor) if op == IntOp::DivFloor => self.div_floor(a, divisor),
            Some(divisor) => self.mod_floor(a, divisor),
            None => {
                self.fail("an index is divided by a value that is not constant");
                a.clone()
            }
        }
    }

    fn positive(&mut self, divisor: i64) -> i64 {
        if divisor < 1 {
            self.fail(format!("an index is divided by {divisor}"));
        }
        divisor.max(1)
    }

    /// The result of a minimum, maximum or condition, where ranges settle it.
    fn decide(&self, op: IntOp, a: &Affine, b: &Affine) -> Option<Affine> {
        let difference = self.range(&a.sub(b));
        let at_most = |bound: i64| difference.max.is_some_and(|max| max <= bound);
        let at_least = |bound: i64| difference.min.is_some_and(|min| min >= bound);
        let truth = |yes: bool, no: bool| match (yes, no) {
            (true, _) => Some(Affine::constant(1)),
            (_, true) => Some(Affine::constant(0)),
            _ => None,
        };
        match op {
            IntOp::Min if at_most(0) => Some(a.clone()),
            IntOp::Min if at_least(0) => Some(b.clone()),
            IntOp::Max if at_least(0) => Some(a.clone()),
            IntOp::Max if at_most(0) => Some(b.clone()),
            IntOp::Less => truth(at_most(-1), at_least(0)),
            IntOp::LessEqual => truth(at_most(0), at_least(1)),
            IntOp::Equal => truth(difference == Range::new(0, 0), at_most(-1) || at_least(1)),
            IntOp::And => conjunction(self, a, b),
            _ => None,
        }
    }

    /// Numbers an operation on values as it stands and records what is known of the result.
    fn raw_int(&mut self, op: IntOp, a: Value, b: Value) -> Value {
        let (ra, rb) = (self.facts[a].range, self.facts[b].range);
        let value = self.number(Instruction::Int(op, a, b), Type::Index);
        let form = match op {
            IntOp::Add => Some(self.affine(a).add(&self.affine(b))),
            IntOp::Mul => rb.exact().map(|factor| self.affine(a).scale(factor)),
            _ => None,
        };
        let form = form.map(|form| self.expanded(&form));
        let range = match &form {
            Some(form) => self.range(form),
            None => Range::of_int(op, ra, rb),
        };
        self.facts[value].range = range;
        self.facts[value].form = form;
        value
    }
}

fn conjunction(builder: &KernelBuilder, a: &Affine, b: &Affine) -> Option<Affine> {
    let false_or = |known: Option<i64>, other: &Affine| match known {
        Some(0) => Some(Affine::constant(0)),
        Some(1) if builder.range(other).min >= Some(0) && builder.range(other).max == Some(1) => {
            Some(other.clone())
        }
        _ => None,
    };
    false_or(a.as_constant(), b).or_else(|| false_or(b.as_constant(), a))
}
