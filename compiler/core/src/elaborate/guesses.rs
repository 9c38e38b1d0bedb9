//! Numbers to try for the statics and dimension variables that a signature leaves open.

use super::value::{GivenStatic, Value};
use dlm_grammar::Span;
use dlm_grammar::ast::{Definition, Expr, ExprKind, StaticParam, StaticType, TypeKind};
use std::fmt;

/// The most guesses for one definition.
const MOST_GUESSES: usize = 150;

/// The most numbers of a body that are tried.
const MOST_NUMBERS: usize = 12;

/// What a signature leaves open.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Statics that are whole numbers.
    ints: Vec<(String, Span)>,
    /// Statics of other types, with a value that is as good as any.
    others: Vec<GivenStatic>,
    /// Dimension variables, in the order of the signature; `B` is the batch.
    dims: Vec<String>,
    /// Whether `..` stands somewhere.
    pub rest: bool,
}

/// One choice of numbers.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    /// The statics without defaults.
    pub statics: Vec<GivenStatic>,
    /// The dimension variables.
    pub sizes: Vec<(String, i64)>,
    /// What `..` stands for.
    pub rest: Vec<i64>,
}

impl Open {
    /// A static without a default; the error is a sentence.
    pub fn add_static(&mut self, param: &StaticParam) -> Result<(), String> {
        let name = param.name.name.clone();
        let value = match param.ty.as_ref().map(|ty| &ty.kind) {
            None | Some(TypeKind::Static(StaticType::Int)) => {
                self.ints.push((name, param.span));
                return Ok(());
            }
            Some(TypeKind::Static(StaticType::Float | StaticType::Schedule)) => Value::Float(0.5),
            Some(TypeKind::Static(StaticType::Bool)) => Value::Bool(true),
            Some(TypeKind::Tensor { dims: None, .. }) => Value::Bool(true),
            _ => {
                return Err(format!(
                    "it needs a value for `{name}`, and nothing calls it"
                ));
            }
        };
        self.others.push(GivenStatic {
            name: Some(name),
            value,
            span: param.span,
        });
        Ok(())
    }

    /// The names in a dimension that are not known.
    pub fn add_names(&mut self, size: &Expr, known: &impl Fn(&str) -> bool) {
        match &size.kind {
            ExprKind::Name(name) if name != "B" && !known(name) && !self.dims.contains(name) => {
                self.dims.push(name.clone());
            }
            ExprKind::Paren(inside)
            | ExprKind::Unary {
                operand: inside, ..
            } => {
                self.add_names(inside, known);
            }
            ExprKind::Binary { left, right, .. } => {
                self.add_names(left, known);
                self.add_names(right, known);
            }
            _ => {}
        }
    }
}

/// A number for each of several names.
type Pattern = Vec<i64>;

/// Choices of numbers, the likeliest first: numbers with many divisors, then those that the definition names.
pub(super) fn guesses(open: &Open, definition: &Definition) -> Vec<Guess> {
    let numbers = super::literals::numbers(definition, MOST_NUMBERS);
    let dims = patterns(
        open.dims.len(),
        &[64, 32, 16, 128],
        &numbers,
        &[96, 8, 4, 3, 1, 2, 60],
    );
    let ints = patterns(open.ints.len(), &[4, 64, 8], &numbers, &[2, 1, 3, 16, 128]);
    let rests: &[usize] = if open.rest { &[1, 2, 0, 3] } else { &[0] };
    let mut all = Vec::new();
    // By the sum of the places, so that no list's end has to wait for all of another's.
    for sum in 0..dims.len() + ints.len() + rests.len() {
        for (i, dims) in dims.iter().enumerate() {
            for (j, ints) in ints.iter().enumerate() {
                let Some(rest) = sum.checked_sub(i + j).and_then(|k| rests.get(k)) else {
                    continue;
                };
                all.push(open.guess(dims, ints, *rest));
            }
        }
    }
    all.truncate(MOST_GUESSES);
    all
}

impl Open {
    fn guess(&self, dims: &Pattern, ints: &Pattern, rest: usize) -> Guess {
        let ints = self.ints.iter().zip(ints);
        let ints = ints.map(|((name, span), &number)| GivenStatic {
            name: Some(name.clone()),
            value: Value::Int(number),
            span: *span,
        });
        Guess {
            statics: ints.chain(self.others.iter().cloned()).collect(),
            sizes: self
                .dims
                .iter()
                .cloned()
                .zip(dims.iter().copied())
                .collect(),
            rest: vec![dims.first().copied().unwrap_or(16); rest],
        }
    }
}

/// Numbers for so many names: all alike, or rising, or one of the definition's own among others.
fn patterns(count: usize, first: &[i64], own: &[i64], last: &[i64]) -> Vec<Pattern> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let alike = |number: i64| vec![number; count];
    let mut patterns: Vec<Pattern> = first.iter().map(|&number| alike(number)).collect();
    if count > 1 {
        let rising: Pattern = (0..count as u32).map(|place| 8 << place.min(8)).collect();
        patterns.push(rising.iter().rev().copied().collect());
        patterns.push(rising);
    }
    for &number in own {
        patterns.push(alike(number));
        for place in 0..count.min(4) {
            let mut pattern = alike(first[0]);
            pattern[place] = number;
            patterns.push(pattern);
        }
    }
    patterns.extend(last.iter().map(|&number| alike(number)));
    let mut once: Vec<Pattern> = Vec::new();
    for pattern in patterns {
        if !once.contains(&pattern) {
            once.push(pattern);
        }
    }
    once
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statics = self.statics.iter().filter_map(|given| {
            let name = given.name.as_deref()?;
            Some(match given.value.as_bool() {
                Some(value) => format!("{name} = {value}"),
                None => format!("{name} = {}", given.value.as_float()?),
            })
        });
        let sizes = self
            .sizes
            .iter()
            .map(|(name, size)| format!("{name} = {size}"));
        let mut parts: Vec<String> = statics.chain(sizes).collect();
        if !self.rest.is_empty() {
            let rest: Vec<String> = self.rest.iter().map(i64::to_string).collect();
            parts.push(format!("`..` = {}", rest.join(", ")));
        }
        match parts.is_empty() {
            true => f.write_str("no further dimensions"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}
