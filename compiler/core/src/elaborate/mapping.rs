//! The stage `map[fn]`: a function of one sample, as a graph that whoever loads the data runs for each.

use super::codes;
use super::context::Elaborator;
use super::data::DataValue;
use super::diagnose::{Checked, error};
use super::expr::Given;
use super::program::{StageSpec, StaticArgument, StaticValue};
use super::value::{GivenStatic, Value};
use super::world::PartDescription;
use crate::graph::{DType, Dim, Graph, InputKind, OutputKind, TensorType};
use dlm_grammar::Span;

impl Elaborator<'_> {
    /// `map[f]`: `f` takes the first parts of a sample, as many as it has parameters, and gives as many. The stage's only
    /// argument is the number of its graph, among the program's `maps`.
    pub fn map_stage(
        &mut self,
        value: &mut DataValue,
        given: &[GivenStatic],
        span: Span,
    ) -> Checked<StageSpec> {
        let [given] = given else {
            let message = "`map` takes one function";
            return Err(self.report(
                error(codes::DATA_STAGE, span, message)
                    .help("`map[f]` with `fn f(x: f32[..]) { … }`"),
            ));
        };
        let count = match &given.value {
            Value::Function(function) => function.definition.get().params.len(),
            Value::Intrinsic(_) => 1,
            other => {
                let message = format!("`map` takes a function, this is {}", other.kind());
                return Err(self.report(error(codes::DATA_STAGE, given.span, message)));
            }
        };
        if count == 0 || count > value.parts.len() {
            let message = format!(
                "a sample has {}, the function takes {count}",
                super::call::counted(value.parts.len(), "part")
            );
            return Err(self.report(error(codes::DATA_STAGE, given.span, message)));
        }
        let unit = self.new_unit("map");
        let outer = std::mem::replace(&mut self.unit, unit);
        let parts = self.mapped(&given.value, &value.parts[..count], given.span);
        self.guard_indices();
        let unit = std::mem::replace(&mut self.unit, outer);
        let parts = parts?;
        if !unit.draws.is_empty() {
            let message = "the function draws random values, and `map` runs once for each sample";
            return Err(self.report(
                error(codes::DATA_STAGE, given.span, message)
                    .help("random changes belong in the `step`"),
            ));
        }
        if value.parts[..count]
            .iter()
            .any(|part| part.classes.is_some())
        {
            value.uncounted = Some("`map` may give other labels");
        }
        value.parts.splice(..count, parts);
        let program = self.map_number(unit.emitter.graph);
        Ok(StageSpec {
            name: "map".to_owned(),
            arguments: vec![StaticArgument {
                name: None,
                value: StaticValue::Int(program as i64),
            }],
            span,
        })
    }

    /// Calls the function on the parts, and describes what it gives.
    fn mapped(
        &mut self,
        function: &Value,
        parts: &[PartDescription],
        span: Span,
    ) -> Checked<Vec<PartDescription>> {
        self.at(span);
        let mut given = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let shape: Vec<Dim> = part.shape.iter().map(|&size| Dim::fixed(size)).collect();
            let ty = TensorType::new(part.dtype, shape);
            let node = self
                .emit()
                .input(InputKind::Data, &format!("in.{index}"), ty);
            given.push(Given {
                name: None,
                value: self.tensor(node),
                span,
            });
        }
        let values = match self.apply(function.clone(), given, span, span)? {
            Value::Results(values) => values.to_vec(),
            value => vec![value],
        };
        if values.len() != parts.len() {
            let message = format!(
                "the function takes {} and gives {}",
                super::call::counted(parts.len(), "part"),
                values.len()
            );
            return Err(self.report(error(codes::DATA_STAGE, span, message)));
        }
        let described = values.iter().zip(parts).enumerate();
        described
            .map(|(index, (value, part))| self.mapped_part(index, value, part, span))
            .collect()
    }

    fn mapped_part(
        &mut self,
        index: usize,
        value: &Value,
        part: &PartDescription,
        span: Span,
    ) -> Checked<PartDescription> {
        let node = self.tensor_of(value, span)?;
        let ty = self.type_of(node).clone();
        if !matches!(ty.dtype, DType::F32 | DType::I32) {
            let message = format!("data is f32 or i32, the function gives {ty}");
            return Err(self.report(
                error(codes::DATA_STAGE, span, message).help("`f32(…)` and `i32(…)` convert"),
            ));
        }
        self.emit()
            .graph
            .output(OutputKind::Result, format!("out.{index}"), node);
        let shape: Option<Vec<i64>> = ty.shape.iter().map(|dim| dim.known()).collect();
        let is_label = ty.dtype == part.dtype && part.classes.is_some();
        Ok(PartDescription {
            dtype: ty.dtype,
            shape: shape.unwrap_or_default(),
            classes: part.classes.filter(|_| is_label),
        })
    }

    /// The number of a graph among the program's `maps`; equal ones are one.
    fn map_number(&mut self, graph: Graph) -> usize {
        let text = graph.to_string();
        let known = self.maps.iter().position(|own| own.to_string() == text);
        known.unwrap_or_else(|| {
            self.maps.push(graph);
            self.maps.len() - 1
        })
    }
}
