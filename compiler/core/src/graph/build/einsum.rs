//! Products said in words: `b h i d, b h j d -> b h i j`.

use super::super::{AxisIndex, Contraction, Dim, Graph, NodeId, Op, TypeError};
use dlm_grammar::Span;
use indexmap::IndexMap;

/// One side of a specification: names, with `..` for any further axes.
fn axes(text: &str) -> Result<Vec<&str>, TypeError> {
    let names: Vec<&str> = text.split_whitespace().collect();
    for name in &names {
        let word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if *name != ".." && !word {
            return Err(TypeError(format!(
                "`{name}` is no axis name; axes are words separated by spaces"
            )));
        }
    }
    if names.iter().filter(|name| **name == "..").count() > 1 {
        return Err(TypeError("`..` stands twice on one side".into()));
    }
    Ok(names)
}

impl Graph {
    /// A sum of products over named axes; `..` stands for any further axes, aligned from the right. Names that the
    /// result lacks are summed over.
    ///
    /// # Errors
    /// Where the text is no specification, or extents differ.
    pub fn einsum(
        &mut self,
        text: &str,
        operands: &[NodeId],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let Some((left, right)) = text.split_once("->") else {
            return Err(TypeError(
                "an einsum needs `->` before the result's axes".into(),
            ));
        };
        let sides: Vec<&str> = left.split(',').collect();
        if sides.len() != operands.len() {
            return Err(TypeError(format!(
                "{} tensors given, the text names {}",
                operands.len(),
                sides.len()
            )));
        }
        let mut extents: IndexMap<String, Dim> = IndexMap::new();
        let mut named = Vec::with_capacity(sides.len());
        let mut most = 0;
        for (side, &operand) in sides.iter().zip(operands) {
            let names = self.operand_axes(&axes(side)?, operand)?;
            most = most.max(names.iter().filter(|name| name.starts_with("..")).count());
            for (name, dim) in names.iter().zip(&self.nodes[operand].ty.shape) {
                let known = extents.entry(name.clone()).or_insert(*dim);
                if *known == Dim::fixed(1) && name.starts_with("..") {
                    *known = *dim;
                } else if *known != *dim && !(name.starts_with("..") && *dim == Dim::fixed(1)) {
                    return Err(TypeError(format!("`{name}` is {known} and {dim}")));
                }
            }
            named.push(names);
        }
        let result = result_axes(&axes(right)?, most);
        for (number, name) in result.iter().enumerate() {
            if !extents.contains_key(name) {
                return Err(TypeError(format!("`{name}` stands in the result only")));
            }
            if result[..number].contains(name) {
                return Err(TypeError(format!("`{name}` stands twice in the result")));
            }
        }
        self.einsum_of(&result, &named, &extents, operands, span)
    }

    fn operand_axes(&self, names: &[&str], operand: NodeId) -> Result<Vec<String>, TypeError> {
        let rank = self.nodes[operand].ty.rank();
        let open = names.contains(&"..");
        let explicit = names.len() - usize::from(open);
        if explicit > rank || (!open && explicit < rank) {
            return Err(TypeError(format!(
                "{explicit} axes named of {}",
                self.nodes[operand].ty
            )));
        }
        let further = rank - explicit;
        Ok(names
            .iter()
            .flat_map(|name| expand(name, further))
            .collect())
    }

    fn einsum_of(
        &mut self,
        result: &[String],
        named: &[Vec<String>],
        extents: &IndexMap<String, Dim>,
        operands: &[NodeId],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let summed: Vec<&String> = extents
            .keys()
            .filter(|name| !result.contains(name))
            .collect();
        let order: Vec<&String> = result.iter().chain(summed.iter().copied()).collect();
        let variable = |name: &String| order.iter().position(|other| *other == name).unwrap_or(0);
        let index = |(names, &operand): (&Vec<String>, &NodeId)| -> Vec<AxisIndex> {
            let shape = &self.nodes[operand].ty.shape;
            let axis = |(name, dim): (&String, &Dim)| match *dim == extents[name] {
                true => AxisIndex::variable(variable(name)),
                false => AxisIndex::constant(0),
            };
            names.iter().zip(shape).map(axis).collect()
        };
        let contraction = Contraction {
            shape: result.iter().map(|name| extents[name]).collect(),
            reduced: summed.iter().map(|name| extents[*name]).collect(),
            operands: named.iter().zip(operands).map(index).collect(),
        };
        self.contract(contraction, operands, span)
    }

    /// A sum of products.
    ///
    /// # Errors
    /// Where operands do not fit.
    pub fn contract(
        &mut self,
        contraction: Contraction,
        operands: &[NodeId],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        self.add(Op::Contract(contraction), operands, span)
    }
}

/// `..` as so many names, counted from the right so that they align.
fn expand(name: &str, further: usize) -> Vec<String> {
    match name {
        ".." => (0..further)
            .rev()
            .map(|number| format!("..{number}"))
            .collect(),
        name => vec![name.to_string()],
    }
}

fn result_axes(names: &[&str], most: usize) -> Vec<String> {
    names.iter().flat_map(|name| expand(name, most)).collect()
}
