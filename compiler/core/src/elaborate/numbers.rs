//! Arithmetic on values that are known when the program is compiled.

use super::value::Value;
use crate::graph::Dim;
use dlm_grammar::ast::BinaryOp;
use std::rc::Rc;

/// The longest list, and the longest text, that arithmetic makes.
const LONGEST_LIST: usize = 1 << 20;

/// The result of a compile-time operation; an error is one sentence for the user.
pub(super) type Folded = Result<Value, String>;

/// `left op right` where both are known when the program is compiled; `None` where they are not, or where the result
/// depends on the batch size in a way that only the run can compute.
pub(super) fn binary(op: BinaryOp, left: &Value, right: &Value) -> Option<Folded> {
    if let Some(equal) = equality(op, left, right) {
        return Some(Ok(equal));
    }
    match (left, right) {
        (Value::List(a), Value::List(b)) => lists(op, a, b),
        (Value::List(a), b) if b.is_number() => elementwise(op, a, |item| (item, b)),
        (a, Value::List(b)) if a.is_number() => elementwise(op, b, |item| (a, item)),
        (Value::Bool(a), Value::Bool(b)) => logic(op, *a, *b),
        (Value::Text(a), Value::Text(b))
            if op == BinaryOp::Add && a.len() + b.len() <= LONGEST_LIST =>
        {
            Some(Ok(Value::Text(Rc::from(format!("{a}{b}")))))
        }
        (Value::Int(a), Value::Int(b)) => Some(integers(op, *a, *b)),
        (Value::Int(_) | Value::Ratio(..), Value::Int(_) | Value::Ratio(..)) => {
            ratios(op, left, right)
                .or_else(|| Some(floats(op, left.as_float()?, right.as_float()?)))
        }
        (Value::Extent(_), _) | (_, Value::Extent(_)) => extents(op, left, right),
        _ => Some(floats(op, left.as_float()?, right.as_float()?)),
    }
}

/// `-value`, for numbers and lists of them.
pub(super) fn negate(value: &Value) -> Option<Folded> {
    Some(match value {
        Value::Int(number) => number
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| overflow("-", *number, 0)),
        Value::Ratio(above, below) => Ok(quotient(-i128::from(*above), i128::from(*below))
            .unwrap_or(Value::Float(-(*above as f64) / *below as f64))),
        Value::Float(number) => Ok(Value::Float(-number)),
        Value::Extent(dim) => Ok(Value::Extent(Dim {
            batch: dim.batch.saturating_neg(),
            fixed: dim.fixed.saturating_neg(),
        })),
        Value::List(items) => items
            .iter()
            .map(negate)
            .collect::<Option<Result<Vec<Value>, String>>>()?
            .map(Value::list),
        _ => return None,
    })
}

/// `==` and `!=` of values whose kinds alone may decide: anything may be compared with `none`.
fn equality(op: BinaryOp, left: &Value, right: &Value) -> Option<Value> {
    let negated = match op {
        BinaryOp::Equal => false,
        BinaryOp::NotEqual => true,
        _ => return None,
    };
    same(left, right).map(|equal| Value::Bool(equal != negated))
}

/// Whether two values are equal, where that is known.
fn same(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::None, Value::None) => Some(true),
        (Value::None, _) | (_, Value::None) => Some(false),
        (Value::Bool(a), Value::Bool(b)) => Some(a == b),
        (Value::Text(a), Value::Text(b)) => Some(a == b),
        (Value::Text(_), _) | (_, Value::Text(_)) => Some(false),
        (Value::List(a) | Value::Tuple(a), Value::List(b) | Value::Tuple(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            let mut equal = true;
            for (a, b) in a.iter().zip(b.iter()) {
                equal &= same(a, b)?;
            }
            Some(equal)
        }
        (Value::List(_) | Value::Tuple(_), other) if other.as_float().is_some() => Some(false),
        (other, Value::List(_) | Value::Tuple(_)) if other.as_float().is_some() => Some(false),
        (Value::Extent(_), _) | (_, Value::Extent(_)) => {
            let (a, b) = (left.as_dim()?, right.as_dim()?);
            if a == b {
                return Some(true);
            }
            (a.batch == b.batch).then_some(false)
        }
        _ => Some(left.as_float()? == right.as_float()?),
    }
}

fn logic(op: BinaryOp, a: bool, b: bool) -> Option<Folded> {
    match op {
        BinaryOp::And => Some(Ok(Value::Bool(a && b))),
        BinaryOp::Or => Some(Ok(Value::Bool(a || b))),
        _ => Some(Err(format!("`{}` does not apply to bools", op.symbol()))),
    }
}

fn integers(op: BinaryOp, a: i64, b: i64) -> Folded {
    let checked = match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Subtract => a.checked_sub(b),
        BinaryOp::Multiply => a.checked_mul(b),
        BinaryOp::Divide | BinaryOp::Remainder if b == 0 => return Err(zero_divisor()),
        BinaryOp::Divide => {
            let exact = quotient(i128::from(a), i128::from(b));
            return Ok(exact.unwrap_or(Value::Float(a as f64 / b as f64)));
        }
        BinaryOp::Remainder => a.checked_rem(b).map(|rest| {
            if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            }
        }),
        BinaryOp::Power => match u32::try_from(b) {
            Ok(exponent) => a.checked_pow(exponent),
            Err(_) => {
                let power = b.checked_neg().and_then(|b| u32::try_from(b).ok());
                let power = power.and_then(|exponent| a.checked_pow(exponent));
                let exact = power.filter(|&power| power != 0);
                let exact = exact.and_then(|power| quotient(1, i128::from(power)));
                return exact.map_or_else(|| floats(op, a as f64, b as f64), Ok);
            }
        },
        _ => return floats(op, a as f64, b as f64),
    };
    checked
        .map(Value::Int)
        .ok_or_else(|| overflow(op.symbol(), a, b))
}

/// `above / below` in lowest terms, if both fit.
fn quotient(above: i128, below: i128) -> Option<Value> {
    let (mut a, mut b) = (above.unsigned_abs(), below.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = i128::try_from(a).ok().filter(|&divisor| divisor != 0)?;
    let sign = if below < 0 { -1 } else { 1 };
    let above = i64::try_from(sign * above / divisor).ok()?;
    let below = i64::try_from(sign * below / divisor).ok()?;
    match below {
        1 => Some(Value::Int(above)),
        _ => Some(Value::Ratio(above, below)),
    }
}

/// Arithmetic on quotients, if the result is one that fits.
fn ratios(op: BinaryOp, left: &Value, right: &Value) -> Option<Folded> {
    let terms = |value: &Value| match *value {
        Value::Int(whole) => Some((i128::from(whole), 1)),
        Value::Ratio(above, below) => Some((i128::from(above), i128::from(below))),
        _ => None,
    };
    let ((a, b), (c, d)) = (terms(left)?, terms(right)?);
    let (ad, cb) = (a.checked_mul(d)?, c.checked_mul(b)?);
    let value = match op {
        BinaryOp::Add => quotient(ad.checked_add(cb)?, b * d),
        BinaryOp::Subtract => quotient(ad.checked_sub(cb)?, b * d),
        BinaryOp::Multiply => quotient(a * c, b * d),
        BinaryOp::Divide | BinaryOp::Remainder if c == 0 => return Some(Err(zero_divisor())),
        BinaryOp::Divide => quotient(ad, cb),
        BinaryOp::Remainder => {
            let rest = ad.rem_euclid(cb);
            let rest = if rest != 0 && cb < 0 { rest + cb } else { rest };
            quotient(rest, b * d)
        }
        BinaryOp::Power => {
            let exponent = right.as_int().and_then(|power| u32::try_from(power).ok())?;
            quotient(a.checked_pow(exponent)?, b.checked_pow(exponent)?)
        }
        _ => None,
    };
    value.map(Ok)
}

fn overflow(symbol: &str, a: i64, b: i64) -> String {
    format!("`{a} {symbol} {b}` is too large for a whole number")
}

fn zero_divisor() -> String {
    "a division by zero".to_owned()
}

fn floats(op: BinaryOp, a: f64, b: f64) -> Folded {
    let number = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Subtract => a - b,
        BinaryOp::Multiply => a * b,
        BinaryOp::Divide | BinaryOp::Remainder if b == 0.0 => return Err(zero_divisor()),
        BinaryOp::Divide => a / b,
        BinaryOp::Remainder => a - b * (a / b).floor(),
        BinaryOp::Power => a.powf(b),
        BinaryOp::Less => return Ok(Value::Bool(a < b)),
        BinaryOp::LessEqual => return Ok(Value::Bool(a <= b)),
        BinaryOp::Greater => return Ok(Value::Bool(a > b)),
        BinaryOp::GreaterEqual => return Ok(Value::Bool(a >= b)),
        _ => return Err(format!("`{}` does not apply to numbers", op.symbol())),
    };
    if number.is_nan() {
        return Err(format!("`{a} {} {b}` is not a number", op.symbol()));
    }
    Ok(Value::Float(number))
}

/// Sums, differences, products and quotients that stay of the form `k * B + n`.
fn extents(op: BinaryOp, left: &Value, right: &Value) -> Option<Folded> {
    let (a, b) = (left.as_dim()?, right.as_dim()?);
    let dim = match op {
        BinaryOp::Add => Dim {
            batch: a.batch.saturating_add(b.batch),
            fixed: a.fixed.saturating_add(b.fixed),
        },
        BinaryOp::Subtract => Dim {
            batch: a.batch.saturating_sub(b.batch),
            fixed: a.fixed.saturating_sub(b.fixed),
        },
        BinaryOp::Multiply => scaled(a, b.known()?).or_else(|| scaled(b, a.known()?))?,
        BinaryOp::Divide => divided(a, b)?,
        BinaryOp::Remainder => {
            let divisor = b.known().filter(|&divisor| divisor != 0)?;
            (a.batch % divisor == 0).then(|| Dim::fixed(a.fixed.rem_euclid(divisor)))?
        }
        _ => return None,
    };
    Some(Ok(Value::dimension(dim)))
}

fn scaled(dim: Dim, factor: i64) -> Option<Dim> {
    Some(Dim {
        batch: dim.batch.checked_mul(factor)?,
        fixed: dim.fixed.checked_mul(factor)?,
    })
}

fn divided(a: Dim, b: Dim) -> Option<Dim> {
    if a == b {
        return Some(Dim::fixed(1));
    }
    let divisor = match b.known() {
        Some(divisor) => divisor,
        None if b.fixed == 0 && a.fixed == 0 && a.batch % b.batch == 0 => {
            return Some(Dim::fixed(a.batch / b.batch));
        }
        None => return None,
    };
    (divisor != 0 && a.batch % divisor == 0 && a.fixed % divisor == 0).then(|| Dim {
        batch: a.batch / divisor,
        fixed: a.fixed / divisor,
    })
}

/// `+` joins lists, as in Python; other arithmetic is elementwise on lists of one length.
fn lists(op: BinaryOp, a: &Rc<Vec<Value>>, b: &Rc<Vec<Value>>) -> Option<Folded> {
    if op == BinaryOp::Add && a.len() + b.len() > LONGEST_LIST {
        return Some(Err(format!("a list of more than {LONGEST_LIST} elements")));
    }
    if op == BinaryOp::Add {
        return Some(Ok(Value::list(a.iter().chain(b.iter()).cloned().collect())));
    }
    if a.len() != b.len() {
        return Some(Err(format!(
            "lists of {} and {} elements: elementwise arithmetic takes equal lengths",
            a.len(),
            b.len()
        )));
    }
    a.iter()
        .zip(b.iter())
        .map(|(a, b)| binary(op, a, b))
        .collect::<Option<Result<Vec<Value>, String>>>()
        .map(|values| values.map(Value::list))
}

fn elementwise<'a>(
    op: BinaryOp,
    items: &'a [Value],
    operands: impl Fn(&'a Value) -> (&'a Value, &'a Value),
) -> Option<Folded> {
    items
        .iter()
        .map(|item| {
            let (a, b) = operands(item);
            binary(op, a, b)
        })
        .collect::<Option<Result<Vec<Value>, String>>>()
        .map(|values| values.map(Value::list))
}
