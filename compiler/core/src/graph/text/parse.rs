//! Parsing: the printer's inverse.

use super::attributes::{Attribute, Attributes, dim, operation, region_name, scan};
use super::lexer::{Placed, Token, tokens};
use super::print::kind;
use crate::graph::{DType, Graph, NodeId, Op, OutputKind, Region, TensorType};
use dlm_grammar::Span;
use std::collections::BTreeMap;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct TextError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads a graph.
///
/// # Errors
/// Where the text is no graph, an operation does not type, or a type is not what the operation gives.
pub fn parse(text: &str) -> Result<Graph, TextError> {
    let tokens = tokens(text).map_err(|(line, column, message)| TextError {
        line,
        column,
        message,
    })?;
    let mut parser = Parser {
        tokens,
        next: 0,
        nodes: BTreeMap::new(),
        regions: BTreeMap::new(),
    };
    parser.graph()
}

/// How deep regions may nest.
const DEEPEST: usize = 16;

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    nodes: BTreeMap<String, NodeId>,
    regions: BTreeMap<String, Region>,
}

type Parsed<T> = Result<T, TextError>;

impl Parser {
    fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        let at = self
            .tokens
            .get(self.next.saturating_sub(1))
            .or(self.tokens.last());
        let (line, column) = at.map_or((1, 1), |placed| (placed.line, placed.column));
        Err(TextError {
            line,
            column,
            message: message.into(),
        })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += 1;
        token
    }

    fn mark(&mut self, mark: char) -> Parsed<()> {
        match self.take() {
            Some(Token::Mark(found)) if found == mark => Ok(()),
            _ => self.fail(format!("`{mark}` was expected")),
        }
    }

    fn has_mark(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.next += usize::from(found);
        found
    }

    fn word(&mut self) -> Parsed<String> {
        match self.take() {
            Some(Token::Word(word)) => Ok(word),
            _ => self.fail("a word was expected"),
        }
    }

    fn text(&mut self) -> Parsed<String> {
        match self.take() {
            Some(Token::Text(text)) => Ok(text),
            _ => self.fail("a text in quotes was expected"),
        }
    }

    fn graph(&mut self) -> Parsed<Graph> {
        if self.word()? != "graph" {
            return self.fail("`graph` was expected");
        }
        let name = self.word()?;
        let graph = self.content(name, 0)?;
        if self.peek().is_some() {
            self.next += 1;
            return self.fail("nothing follows a graph");
        }
        Ok(graph)
    }

    /// What stands between braces.
    fn content(&mut self, name: String, depth: usize) -> Parsed<Graph> {
        let mut graph = Graph::new(name);
        self.mark('{')?;
        while !self.has_mark('}') {
            let first = self.word()?;
            match first.as_str() {
                "output" => self.output(&mut graph)?,
                "region" if depth < DEEPEST => self.region(depth + 1)?,
                _ => self.node(&mut graph, first)?,
            }
        }
        Ok(graph)
    }

    /// A body, with names of its own.
    fn region(&mut self, depth: usize) -> Parsed<()> {
        let name = self.word()?;
        let outer = (
            std::mem::take(&mut self.nodes),
            std::mem::take(&mut self.regions),
        );
        let body = self.content("body".into(), depth)?;
        (self.nodes, self.regions) = outer;
        if self
            .regions
            .insert(name.clone(), Region::new(body))
            .is_some()
        {
            return self.fail(format!("there are two regions `{name}`"));
        }
        Ok(())
    }

    fn output(&mut self, graph: &mut Graph) -> Parsed<()> {
        let name = self.word()?;
        let all = [
            OutputKind::Parameter,
            OutputKind::State,
            OutputKind::Report,
            OutputKind::Result,
            OutputKind::Check,
        ];
        let Some(&found) = all.iter().find(|&&own| kind(own) == name) else {
            return self.fail(format!("there is no kind of output `{name}`"));
        };
        let name = self.text()?;
        self.mark('=')?;
        let node = self.operand()?;
        graph.output(found, name, node);
        Ok(())
    }

    fn operand(&mut self) -> Parsed<NodeId> {
        let name = self.word()?;
        match self.nodes.get(&name) {
            Some(&node) => Ok(node),
            None => self.fail(format!("`{name}` is not defined before")),
        }
    }

    fn node(&mut self, graph: &mut Graph, name: String) -> Parsed<()> {
        if !name.starts_with('%') || self.nodes.contains_key(&name) {
            return self.fail(format!("`{name}` is no new value"));
        }
        self.mark('=')?;
        let op = self.word()?;
        let mut inputs = Vec::new();
        while !self.has_mark(':') {
            if !inputs.is_empty() {
                self.mark(',')?;
            }
            inputs.push(self.operand()?);
        }
        let ty = self.ty()?;
        let attributes = self.attributes()?;
        let op = match op.as_str() {
            "scan" => self.scan(&attributes),
            name => operation(name, &attributes, &ty),
        };
        let op = match op {
            Ok(op) => op,
            Err(message) => return self.fail(message),
        };
        let node = match graph.add(op, &inputs, Span::default()) {
            Ok(node) => node,
            Err(error) => return self.fail(error.to_string()),
        };
        if *graph.ty(node) != ty {
            return self.fail(format!("the operation gives {}, not {ty}", graph.ty(node)));
        }
        self.nodes.insert(name, node);
        Ok(())
    }

    fn scan(&self, attributes: &Attributes) -> Result<Op, String> {
        let name = region_name(attributes)?;
        let body = self.regions.get(name).cloned();
        let body = body.ok_or_else(|| format!("there is no region `{name}` before"))?;
        scan(attributes, body).map(Op::Scan)
    }

    fn ty(&mut self) -> Parsed<TensorType> {
        let name = self.word()?;
        let Some(dtype) = DType::from_name(&name) else {
            return self.fail(format!("there is no element type `{name}`"));
        };
        let mut shape = Vec::new();
        if self.has_mark('[') {
            while !self.has_mark(']') {
                if !shape.is_empty() {
                    self.mark(',')?;
                }
                let extent = self.word()?;
                match dim(&extent) {
                    Ok(dim) => shape.push(dim),
                    Err(message) => return self.fail(message),
                }
            }
        }
        Ok(TensorType::new(dtype, shape))
    }

    fn attributes(&mut self) -> Parsed<Attributes> {
        let mut attributes = Attributes::new();
        if !self.has_mark('{') {
            return Ok(attributes);
        }
        while !self.has_mark('}') {
            if !attributes.is_empty() {
                self.mark(',')?;
            }
            let key = self.word()?;
            self.mark('=')?;
            let value = self.attribute(0)?;
            if attributes.insert(key.clone(), value).is_some() {
                return self.fail(format!("`{key}` stands twice"));
            }
        }
        Ok(attributes)
    }

    fn attribute(&mut self, depth: usize) -> Parsed<Attribute> {
        match self.take() {
            Some(Token::Word(word)) => Ok(Attribute::Word(word)),
            Some(Token::Text(text)) => Ok(Attribute::Text(text)),
            Some(Token::Mark('[')) if depth < 4 => {
                let mut list = Vec::new();
                while !self.has_mark(']') {
                    if !list.is_empty() {
                        self.mark(',')?;
                    }
                    list.push(self.attribute(depth + 1)?);
                }
                Ok(Attribute::List(list))
            }
            _ => self.fail("a value was expected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    const TEXT: &str = r#"graph step {
  %0 = input : f32[B, 1, 28, 28] {kind=data, name="x \"1\""}
  %1 = input : f32[6, 1, 5, 5] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 6, 24, 24] {index=["v0, v4, v2+v5, v3+v6", "v1, v4, v5, v6"], reduced=[1, 5, 5]}
  %3 = view %2 : f32[B, 6, 12, 12, 2, 2] {fill=-inf, index="v0, v1, 2*v2+v4, 2*v3+v5-1"}
  %4 = reduce_max %3 : f32[B, 6, 12, 12] {axes=[4, 5]}
  %5 = argmax %3 : i32[B, 6, 12, 12] {axes=[4, 5]}
  %6 = constant : f32 {value=1e-8}
  %7 = view %6 : f32[2*B+1] {fill=0.0, index=""}
  %8 = contract %4 : f32[B, 25] {index=["v0, v2, (-v1+24)/2, v3"], reduced=[6, 12]}
  output report "loss" = %8
  output result "place" = %5
}
"#;

    #[test]
    fn prints_what_it_reads() {
        assert_eq!(parse(TEXT).unwrap().to_string(), TEXT);
    }

    #[test]
    fn says_where_a_text_is_wrong() {
        let check = |text: &str, want: &str| assert_eq!(parse(text).unwrap_err().to_string(), want);
        check("", "1:1: a word was expected");
        check(
            "graph g {\n  %0 = foo : f32\n}",
            "2:14: there is no operation `foo`",
        );
        check(
            "graph g {\n  %0 = neg %1 : f32\n}",
            "2:12: `%1` is not defined before",
        );
        check(
            "graph g {\n  %0 = constant : i32 {value=1.5}\n}",
            "2:33: `1.5` is no i32",
        );
        check(
            "graph g {\n  %0 = constant : f32[3] {value=1.5}\n}",
            "2:36: the operation gives f32, not f32[3]",
        );
        check("graph g {\n  ;\n}", "2:3: `;` is not expected");
        check("graph g {", "1:9: a word was expected");
    }
}
