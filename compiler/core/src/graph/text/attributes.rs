//! Between operations and `name {key=value}`: one table, read in both directions.

use crate::graph::{
    AxisIndex, BinaryOp, Contraction, DType, Dim, InputKind, Op, RandomOp, ReduceOp, Region,
    Scalar, Scan, TensorType, UnaryOp, View,
};
use std::collections::BTreeMap;

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// `name`, `12`, `0.5`, `B`, `2*B+1`.
    Word(String),
    /// `"text"`.
    Text(String),
    /// `[a, b]`.
    List(Vec<Attribute>),
}

/// Attributes by key.
pub type Attributes = BTreeMap<String, Attribute>;

const KINDS: &[(InputKind, &str)] = &[
    (InputKind::Parameter, "parameter"),
    (InputKind::State, "state"),
    (InputKind::Data, "data"),
    (InputKind::Scalar, "scalar"),
];
fn name_of<T: PartialEq + Copy>(table: &[(T, &'static str)], wanted: T) -> &'static str {
    table
        .iter()
        .find(|row| row.0 == wanted)
        .map_or("?", |row| row.1)
}

fn by_name<T: Copy>(table: &[(T, &'static str)], name: &str) -> Option<T> {
    table.iter().find(|row| row.1 == name).map(|row| row.0)
}

fn word(value: impl ToString) -> Attribute {
    Attribute::Word(value.to_string())
}

fn words<T: ToString>(values: &[T]) -> Attribute {
    Attribute::List(values.iter().map(|value| word(value.to_string())).collect())
}

/// The name and the attributes of an operation. The result's shape is in its type.
pub fn describe(op: &Op) -> (&'static str, Attributes) {
    let mut attributes = Attributes::new();
    let mut put = |key: &str, value: Attribute| {
        attributes.insert(key.into(), value);
    };
    match op {
        Op::Input { kind, name, .. } => {
            put("kind", word(name_of(KINDS, *kind)));
            put("name", Attribute::Text(name.clone()));
        }
        Op::Constant(scalar) => {
            put("value", scalar_text(*scalar));
        }
        Op::Iota { axis, .. } => {
            put("axis", word(axis));
        }
        Op::Reduce { axes, .. } => {
            put("axes", words(axes));
        }
        Op::Contract(contraction) => {
            put(
                "index",
                Attribute::List(
                    contraction
                        .operands
                        .iter()
                        .map(|axes| index_text(axes))
                        .collect(),
                ),
            );
            put("reduced", words(&contraction.reduced));
        }
        Op::View(view) => {
            put("fill", scalar_text(view.fill));
            put("index", index_text(&view.index));
        }
        Op::Concat { axis } => {
            put("axis", word(axis));
        }
        Op::CumulativeSum { axis, reverse } => {
            put("axis", word(axis));
            put("reverse", word(reverse));
        }
        Op::Random { place, .. } => {
            put("place", word(place));
        }
        Op::Argument { number, .. } => {
            put("number", word(number));
        }
        // The printer adds the region's name.
        Op::Scan(scan) => {
            put("captures", word(scan.captures));
            put("carries", word(scan.carries));
            put("result", word(scan.result));
            put("reverse", word(scan.reverse));
            put("rounds", word(scan.rounds));
        }
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::BatchSize => {}
        Op::Reshape { .. }
        | Op::Gather
        | Op::ScatterAdd { .. }
        | Op::StopGradient
        | Op::Gradient => {}
    }
    (op.name(), attributes)
}

/// The operation of a name with attributes and a result type.
///
/// # Errors
/// What is wrong, in words.
pub fn operation(name: &str, attributes: &Attributes, ty: &TensorType) -> Result<Op, String> {
    let get = |key: &str| {
        let found = attributes.get(key);
        found.ok_or_else(|| format!("`{name}` needs `{key}`"))
    };
    if let Some(op) = of_table(name, ty, &get) {
        return op;
    }
    let shape = ty.shape.clone();
    Ok(match name {
        "input" => {
            let kind = by_name(KINDS, as_word(get("kind")?)?).ok_or("no such kind of input")?;
            Op::Input {
                kind,
                name: as_text(get("name")?)?.into(),
                ty: ty.clone(),
            }
        }
        "constant" => Op::Constant(scalar(get("value")?, ty.dtype)?),
        "iota" => Op::Iota {
            shape,
            axis: number(get("axis")?)?,
        },
        "batch_size" => Op::BatchSize,
        "select" => Op::Select,
        "cast" => Op::Cast(ty.dtype),
        "contract" => Op::Contract(Contraction {
            shape,
            reduced: dims(get("reduced")?)?,
            operands: list(get("index")?)?
                .iter()
                .map(indices)
                .collect::<Result<_, String>>()?,
        }),
        "view" => Op::View(View {
            shape,
            index: indices(get("index")?)?,
            fill: scalar(get("fill")?, ty.dtype)?,
        }),
        "reshape" => Op::Reshape { shape },
        "concat" => Op::Concat {
            axis: number(get("axis")?)?,
        },
        "gather" => Op::Gather,
        "scatter_add" => Op::ScatterAdd {
            rows: *shape.first().ok_or("a scatter has rows")?,
        },
        "cumulative_sum" => Op::CumulativeSum {
            axis: number(get("axis")?)?,
            reverse: as_word(get("reverse")?)? == "true",
        },
        "stop_gradient" => Op::StopGradient,
        "gradient" => Op::Gradient,
        "argument" => Op::Argument {
            number: number(get("number")?)?,
            ty: ty.clone(),
        },
        other => return Err(format!("there is no operation `{other}`")),
    })
}

/// The scan of a body and attributes.
///
/// # Errors
/// What is wrong, in words.
pub fn scan(attributes: &Attributes, body: Region) -> Result<Scan, String> {
    let get = |key: &str| {
        let found = attributes.get(key);
        found.ok_or_else(|| format!("`scan` needs `{key}`"))
    };
    Ok(Scan {
        body,
        rounds: number(get("rounds")?)?,
        reverse: as_word(get("reverse")?)? == "true",
        captures: number(get("captures")?)?,
        carries: number(get("carries")?)?,
        result: number(get("result")?)?,
    })
}

/// The name of a scan's region.
///
/// # Errors
/// Where there is none.
pub fn region_name(attributes: &Attributes) -> Result<&str, String> {
    as_word(attributes.get("region").ok_or("`scan` needs `region`")?)
}

/// An operation of one of the tables of names, if it is one.
fn of_table<'a>(
    name: &str,
    ty: &TensorType,
    get: &impl Fn(&str) -> Result<&'a Attribute, String>,
) -> Option<Result<Op, String>> {
    if let Some(op) = UnaryOp::from_name(name) {
        return Some(Ok(Op::Unary(op)));
    }
    if let Some(op) = BinaryOp::from_name(name) {
        return Some(Ok(Op::Binary(op)));
    }
    if let Some(op) = ReduceOp::from_name(name) {
        let axes = get("axes").and_then(numbers);
        return Some(axes.map(|axes| Op::Reduce { op, axes }));
    }
    let op = RandomOp::from_name(name)?;
    let place = get("place").and_then(number);
    let shape = ty.shape.clone();
    Some(place.map(|place| Op::Random { op, place, shape }))
}

fn as_word(attribute: &Attribute) -> Result<&str, String> {
    match attribute {
        Attribute::Word(word) => Ok(word),
        _ => Err("a word was expected".into()),
    }
}

fn as_text(attribute: &Attribute) -> Result<&str, String> {
    match attribute {
        Attribute::Text(text) => Ok(text),
        _ => Err("a text in quotes was expected".into()),
    }
}

fn number<T: std::str::FromStr>(attribute: &Attribute) -> Result<T, String> {
    let word = as_word(attribute)?;
    word.parse()
        .map_err(|_| format!("`{word}` is no number that fits"))
}

fn list(attribute: &Attribute) -> Result<&[Attribute], String> {
    match attribute {
        Attribute::List(list) => Ok(list),
        _ => Err("a list was expected".into()),
    }
}

fn numbers(attribute: &Attribute) -> Result<Vec<usize>, String> {
    list(attribute)?.iter().map(number).collect()
}

fn dims(attribute: &Attribute) -> Result<Vec<Dim>, String> {
    list(attribute)?
        .iter()
        .map(|attribute| dim(as_word(attribute)?))
        .collect()
}

/// A number of an index or extent. Bounded, so that no arithmetic on a few of them overflows.
fn small(text: &str) -> Option<i64> {
    text.parse::<i64>()
        .ok()
        .filter(|number| number.unsigned_abs() <= 1 << 31)
}

/// `28`, `B`, `2*B`, `B+1`.
pub fn dim(text: &str) -> Result<Dim, String> {
    let wrong = || format!("`{text}` is no extent");
    let Some(at) = text.find('B') else {
        return small(text).map(Dim::fixed).ok_or_else(wrong);
    };
    let (factor, rest) = (&text[..at], &text[at + 1..]);
    let batch = match factor.strip_suffix('*') {
        Some(factor) => small(factor).ok_or_else(wrong)?,
        None if factor.is_empty() => 1,
        None => return Err(wrong()),
    };
    let fixed = if rest.is_empty() {
        0
    } else {
        small(rest).ok_or_else(wrong)?
    };
    Ok(Dim { batch, fixed })
}

fn scalar_text(scalar: Scalar) -> Attribute {
    match scalar {
        Scalar::F32(value) if value.is_nan() => {
            Attribute::Word(format!("nan:{:08x}", value.to_bits()))
        }
        Scalar::F32(value) => word(format!("{value:?}")),
        Scalar::I32(value) => word(value),
        Scalar::Bool(value) => word(value),
    }
}

fn scalar(attribute: &Attribute, dtype: DType) -> Result<Scalar, String> {
    let word = as_word(attribute)?;
    let wrong = || format!("`{word}` is no {dtype}");
    Ok(match dtype {
        DType::F32 | DType::Bf16 => match word.strip_prefix("nan:") {
            Some(bits) => Scalar::F32(f32::from_bits(
                u32::from_str_radix(bits, 16).map_err(|_| wrong())?,
            )),
            None => Scalar::F32(word.parse().map_err(|_| wrong())?),
        },
        DType::Bool => Scalar::Bool(word.parse().map_err(|_| wrong())?),
        _ => Scalar::I32(word.parse().map_err(|_| wrong())?),
    })
}

fn index_text(axes: &[AxisIndex]) -> Attribute {
    Attribute::Text(axes.iter().map(axis_text).collect::<Vec<_>>().join(", "))
}

/// `2*v3+v5-4`, with a divisor `(…)/2`.
fn axis_text(axis: &AxisIndex) -> String {
    let mut text = String::new();
    for &(variable, coefficient) in &axis.terms {
        match coefficient {
            1 if text.is_empty() => text += &format!("v{variable}"),
            1 => text += &format!("+v{variable}"),
            -1 => text += &format!("-v{variable}"),
            _ if text.is_empty() => text += &format!("{coefficient}*v{variable}"),
            _ => text += &format!("{coefficient:+}*v{variable}"),
        }
    }
    if text.is_empty() {
        text = axis.offset.to_string();
    } else if axis.offset != 0 {
        text += &format!("{:+}", axis.offset);
    }
    if axis.divisor == 1 {
        text
    } else {
        format!("({text})/{}", axis.divisor)
    }
}

fn indices(attribute: &Attribute) -> Result<Vec<AxisIndex>, String> {
    let text = as_text(attribute)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|axis| self::axis(axis.trim()))
        .collect()
}

fn axis(text: &str) -> Result<AxisIndex, String> {
    let wrong = || format!("`{text}` is no index");
    if let Some(rest) = text.strip_prefix('(') {
        let (inner, divisor) = rest.split_once(")/").ok_or_else(wrong)?;
        let divisor = small(divisor).ok_or_else(wrong)?;
        let inner = axis(inner)?;
        if divisor < 1 || inner.divisor != 1 {
            return Err(wrong());
        }
        return Ok(AxisIndex { divisor, ..inner });
    }
    let mut terms = Vec::new();
    let mut offset = 0i64;
    let spaced = text.replace('-', "+-");
    for part in spaced.split('+').filter(|part| !part.is_empty()) {
        match part.split_once('v') {
            None => offset += small(part).ok_or_else(wrong)?,
            Some((factor, variable)) => {
                let factor = match factor {
                    "" => 1,
                    "-" => -1,
                    factor => factor.strip_suffix('*').and_then(small).ok_or_else(wrong)?,
                };
                terms.push((variable.parse().map_err(|_| wrong())?, factor));
            }
        }
    }
    Ok(AxisIndex::affine(&terms, offset, 1))
}
