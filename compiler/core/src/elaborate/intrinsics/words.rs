//! Operations said in words: `einsum["b i, i o -> b o"]`, `rearrange["b (h w) -> b h w", h=3]`.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::Value;
use super::{Arguments, Intrinsic};
use crate::graph::{Dim, NodeId};
use dlm_grammar::Span;
use indexmap::IndexMap;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("einsum", &["pattern"], &["xs*"], einsum),
    Intrinsic::new("rearrange", &["pattern", "*"], &["x"], rearrange),
];

/// The pattern with its place.
fn pattern(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<(String, Span)> {
    let given = a.given_static("pattern");
    match given.and_then(|given| {
        given
            .value
            .as_text()
            .map(|text| (text.to_owned(), given.span))
    }) {
        Some(found) => Ok(found),
        None => {
            let message = format!("`{}` needs a pattern in square brackets", a.intrinsic.name);
            Err(e.report(error(codes::PATTERN, a.span, message)))
        }
    }
}

fn einsum(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let (text, span) = pattern(e, a)?;
    let mut operands = Vec::new();
    for position in 0..a.tensors.len() {
        operands.push(a.tensor(e, position)?);
    }
    if !operands.is_empty() {
        let places: Vec<Span> = (0..operands.len())
            .map(|position| a.place(position))
            .collect();
        e.one_type(&operands, &places)?;
    }
    let types: Vec<String> = operands
        .iter()
        .map(|&node| e.type_of(node).to_string())
        .collect();
    let place = e.unit.emitter.span;
    match e.emit().graph.einsum(&text, &operands, place) {
        Ok(node) => Ok(e.tensor(node)),
        Err(refusal) => {
            let mut diagnostic = error(codes::PATTERN, span, refusal.0);
            for (position, ty) in types.into_iter().enumerate() {
                diagnostic = diagnostic.label(a.place(position), ty);
            }
            Err(e.report(diagnostic))
        }
    }
}

/// One side of a pattern: axes, several of them in parentheses being one.
type Groups<'a> = Vec<Vec<&'a str>>;

fn groups(side: &str) -> Option<Groups<'_>> {
    let mut groups: Groups<'_> = Vec::new();
    let mut open = false;
    let spaced = side.replace('(', " ( ").replace(')', " ) ");
    // The words borrow from `side`, in which each is found again.
    let mut rest = side;
    for word in spaced.split_whitespace() {
        let at = rest.find(word)?;
        let own = &rest[at..at + word.len()];
        rest = &rest[at + word.len()..];
        match own {
            "(" if !open => {
                open = true;
                groups.push(Vec::new());
            }
            ")" if open => open = false,
            name if name.chars().all(|c| c.is_alphanumeric() || c == '_') => match open {
                true => groups.last_mut()?.push(own),
                false => groups.push(vec![own]),
            },
            _ => return None,
        }
    }
    (!open).then_some(groups)
}

fn rearrange(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let (text, span) = pattern(e, a)?;
    let x = a.tensor(e, 0)?;
    match rearranged(e, a, &text, x) {
        Ok(node) => Ok(e.tensor(node)),
        Err(message) => {
            let ty = e.type_of(x).to_string();
            Err(e.report(error(codes::PATTERN, span, message).label(a.place(0), ty)))
        }
    }
}

fn rearranged(
    e: &mut Elaborator<'_>,
    a: &Arguments,
    text: &str,
    x: NodeId,
) -> Result<NodeId, String> {
    let (left, right) = text.split_once("->").ok_or("the pattern needs `->`")?;
    let unreadable = |side: &str| format!("`{}` is no list of axis names", side.trim());
    let from = groups(left).ok_or_else(|| unreadable(left))?;
    let to = groups(right).ok_or_else(|| unreadable(right))?;
    let own = e.emit().shape(x);
    if from.len() != own.len() {
        return Err(format!(
            "the pattern names {} axes of {}",
            from.len(),
            own.len()
        ));
    }
    let sizes = named_sizes(a, &from, &own)?;
    let names: Vec<&str> = from.iter().flatten().copied().collect();
    let order: Vec<&str> = to.iter().flatten().copied().collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(format!("`{name}` stands twice on one side"));
        }
        if order.iter().filter(|other| other == &name).count() != 1 {
            return Err(format!("`{name}` must stand once on each side"));
        }
    }
    if let Some(name) = order.iter().find(|name| !names.contains(name)) {
        return Err(format!("`{name}` stands on the right side only"));
    }
    let parts: Vec<Dim> = names.iter().map(|name| sizes[*name]).collect();
    let split = e.emit().reshape(x, parts);
    let positions: Vec<usize> = order
        .iter()
        .filter_map(|name| names.iter().position(|other| other == name))
        .collect();
    let turned = e.emit().permute(split, &positions);
    let shape: Option<Vec<Dim>> = to.iter().map(|group| product(group, &sizes)).collect();
    let shape = shape.ok_or("a group of two axes that depend on the batch")?;
    Ok(e.emit().reshape(turned, shape))
}

/// The size of each name: given, or what is left of its group.
fn named_sizes(
    a: &Arguments,
    from: &Groups<'_>,
    own: &[Dim],
) -> Result<IndexMap<String, Dim>, String> {
    let mut sizes: IndexMap<String, Dim> = IndexMap::new();
    for given in &a.statics {
        let Some(name) = &given.name else { continue };
        let known = from.iter().flatten().any(|other| *other == name.as_str());
        let size = given.value.as_dim().filter(|_| known);
        sizes.insert(
            name.clone(),
            size.ok_or_else(|| format!("`{name}` is not the size of an axis of the pattern"))?,
        );
    }
    for (group, &dim) in from.iter().zip(own) {
        let open: Vec<&&str> = group
            .iter()
            .filter(|name| !sizes.contains_key(**name))
            .collect();
        let given: Vec<Dim> = group
            .iter()
            .filter_map(|name| sizes.get(*name))
            .copied()
            .collect();
        let factor: Option<i64> = given.iter().map(|dim| dim.known()).product();
        match (open.as_slice(), factor) {
            ([], _) if product(group, &sizes) == Some(dim) => {}
            ([name], Some(factor))
                if factor > 0 && dim.fixed % factor == 0 && dim.batch % factor == 0 =>
            {
                let rest = Dim {
                    batch: dim.batch / factor,
                    fixed: dim.fixed / factor,
                };
                sizes.insert((**name).to_owned(), rest);
            }
            ([] | [_], _) => {
                let sizes = group
                    .iter()
                    .filter_map(|name| Some(format!("{name} = {}", sizes.get(*name)?)));
                let sizes: Vec<String> = sizes.collect();
                let group = group.join(" ");
                return Err(format!(
                    "`({group})` does not make {dim} with {}",
                    sizes.join(", ")
                ));
            }
            ([first, second, ..], _) => {
                return Err(format!(
                    "the sizes of `{first}` and `{second}` are unknown: give one, `{first}=…`"
                ));
            }
        }
    }
    Ok(sizes)
}

fn product(group: &[&str], sizes: &IndexMap<String, Dim>) -> Option<Dim> {
    let mut whole = Dim::fixed(1);
    for name in group {
        let size = *sizes.get(*name)?;
        whole = match (whole.known(), size.known()) {
            (Some(factor), _) => Dim {
                batch: size.batch * factor,
                fixed: size.fixed * factor,
            },
            (None, Some(factor)) => Dim {
                batch: whole.batch * factor,
                fixed: whole.fixed * factor,
            },
            (None, None) => return None,
        };
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn sides_of_patterns() {
        assert_eq!(
            groups("b t (n h d)"),
            Some(vec![vec!["b"], vec!["t"], vec!["n", "h", "d"]])
        );
        assert_eq!(groups("b (h"), None);
        assert_eq!(groups("b ((h))"), None);
        assert_eq!(groups("b h*"), None);
        assert_eq!(groups(""), Some(vec![]));
    }
}
