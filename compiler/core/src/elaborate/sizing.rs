//! Sizes for what a signature leaves open, so that a definition can be elaborated by itself: those that it is called
//! with in the program, or else a guess. That a guess does not fit is no mistake of the program.

use super::callable::CallRequest;
use super::codes;
use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::{Checked, Poison};
use super::files::{DefinitionHandle, ItemRef};
use super::guesses::{Guess, Open, guesses};
use super::program::Callable;
use super::scope::BindingKind;
use super::value::{Applied, GivenStatic, Value};
use crate::graph::{Dim, TensorType};
use dlm_grammar::ast::{Definition, DefinitionKind, DimKind, Param, Type, TypeKind};
use dlm_grammar::{Diagnostic, Severity};
use std::collections::BTreeMap;

/// After so many guesses, a mistake of each that no size can cause is the program's.
const ENOUGH: usize = 8;

/// After so many statements of guesses there are no more guesses.
const MOST_WORK: u64 = 200_000;

/// A function or block as if called alone.
#[derive(Clone, Debug)]
pub struct SizedDefinition {
    /// Its graph.
    pub callable: Callable,
    /// Where the signature does not fix all types: the sizes, as the end of a sentence that begins with the name.
    pub sizes: String,
}

/// The first call of a definition: enough to call it again.
#[derive(Clone, Debug)]
pub(super) struct KnownCall {
    statics: Vec<GivenStatic>,
    arguments: BTreeMap<String, TensorType>,
}

/// What guesses have shown.
enum Outcome {
    Fits(Box<SizedDefinition>),
    /// The diagnostics that every guess led to.
    Fails(Vec<Diagnostic>, String),
}

impl Elaborator<'_> {
    /// Notes the types that the innermost body is called with, if it is the first of its definition.
    pub fn note_call(&mut self, applied: &Applied) {
        let definition = applied.definition.get();
        let key = definition.name.span;
        let known = applied.definition.file != 0 || self.calls.contains_key(&key);
        if known || !applied.statics.iter().all(|given| lasts(&given.value)) {
            return;
        }
        let mut arguments = BTreeMap::new();
        for param in &definition.params {
            let binding = self.frame().scopes.find(&param.name.name);
            match binding.map(|binding| binding.value.clone()) {
                Some(Ok(Value::Tensor(tensor))) if tensor.graph == self.unit.number => {
                    let ty = self.type_of(tensor.node).clone();
                    arguments.insert(param.name.name.clone(), ty);
                }
                Some(Ok(Value::None)) => {}
                _ => return,
            }
        }
        let statics = applied.statics.clone();
        self.calls.insert(key, KnownCall { statics, arguments });
    }

    /// A definition with the types of its first call in the program; none where that call has a mistake, which has been
    /// reported.
    pub fn as_called(&mut self, handle: &DefinitionHandle) -> Option<SizedDefinition> {
        let definition = handle.get();
        let call = self.calls.get(&definition.name.span)?.clone();
        let (callable, _) = self.tried(|this| this.alone(handle, &call));
        let sizes = format!(", as called with {}", shown_call(definition, &call));
        callable
            .ok()
            .map(|callable| SizedDefinition { callable, sizes })
    }

    /// A definition that no call reaches, with sizes that fit it. Mistakes that no sizes can cause are reported, others
    /// are warnings. The error is the reason why it was not elaborated, if there is more to say than that.
    pub fn as_guessed(
        &mut self,
        handle: &DefinitionHandle,
    ) -> Result<SizedDefinition, Option<String>> {
        let definition = handle.get();
        let open = self.open(definition).map_err(Some)?;
        match self.guessed(handle, &open) {
            Outcome::Fits(sized) => Ok(*sized),
            Outcome::Fails(common, sizes) => {
                let nothing = "no sizes were found that it fits".to_owned();
                Err(if self.blame(definition, common, &sizes) {
                    None
                } else {
                    Some(nothing)
                })
            }
        }
    }

    fn guessed(&mut self, handle: &DefinitionHandle, open: &Open) -> Outcome {
        let mut common: Option<(Vec<Diagnostic>, String)> = None;
        let mut work = 0;
        for (number, guess) in guesses(open, handle.get()).into_iter().enumerate() {
            let (result, said) = self.tried(|this| {
                let arguments = this.guessed_types(handle, &guess)?;
                let statics = guess.statics.clone();
                this.alone(handle, &KnownCall { statics, arguments })
            });
            let sizes = guess.to_string();
            if let Ok(callable) = result {
                let warnings = said.into_iter().filter(|each| !each.is_error());
                warnings.for_each(|warning| {
                    self.reporter.report(warning, &[]);
                });
                let sizes = format!(", with {sizes}");
                return Outcome::Fits(Box::new(SizedDefinition { callable, sizes }));
            }
            let (common, _) = common.get_or_insert_with(|| (said.clone(), sizes));
            common.retain(|known| {
                let same =
                    |each: &Diagnostic| each.code == known.code && each.span() == known.span();
                known.is_error() && said.iter().any(same)
            });
            work += self.statements;
            let found = common.iter().any(|each| !of_a_guess(each));
            if work > MOST_WORK || (number >= ENOUGH && found) {
                break;
            }
        }
        let (common, sizes) = common.unwrap_or_default();
        Outcome::Fails(common, sizes)
    }

    /// Reports what every guess led to; whether there was anything.
    fn blame(&mut self, definition: &Definition, common: Vec<Diagnostic>, sizes: &str) -> bool {
        let (unsure, sure): (Vec<Diagnostic>, Vec<Diagnostic>) =
            common.into_iter().partition(of_a_guess);
        let found = !sure.is_empty() || !unsure.is_empty();
        // What calls it, and says its sizes, may be among what could not be read.
        let is_all = sure.is_empty() && self.unreadable == 0;
        if let (true, Some(mut first)) = (is_all, unsure.into_iter().next()) {
            let name = &definition.name.name;
            first.severity = Severity::Warning;
            first.message = format!("no sizes were found that `{name}` fits: {}", first.message);
            let first = first
                .note(format!("with {sizes}"))
                .help("where it is made for certain sizes, its signature can say them");
            self.reporter.report(first, &[]);
        }
        for diagnostic in sure {
            self.reporter.report(diagnostic, &[]);
        }
        found
    }

    /// Calls a definition alone.
    fn alone(&mut self, handle: &DefinitionHandle, call: &KnownCall) -> Checked<Callable> {
        let request = CallRequest {
            arguments: call.arguments.clone(),
            training: true,
            gradients: false,
        };
        self.callable_of(handle, &call.statics, &request)
    }

    /// Does something for a try: what it says is given back and not reported, and where it fails nothing has been reached.
    fn tried<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> Checked<T>,
    ) -> (Checked<T>, Vec<Diagnostic>) {
        let before = self.reporter.set_aside();
        let (calls, reached) = (self.calls.clone(), self.reached.clone());
        self.forget_run();
        let result = action(self);
        if result.is_err() {
            (self.calls, self.reached) = (calls, reached);
        }
        (result, self.reporter.take_back(before))
    }

    /// What a signature leaves open, or what keeps it from being guessed.
    fn open(&self, definition: &Definition) -> Result<Open, String> {
        let mut open = Open::default();
        for param in &definition.statics {
            if param.default.is_none() {
                open.add_static(param)?;
            }
        }
        for param in required(definition) {
            let Some(Type {
                kind: TypeKind::Tensor { dims, .. },
                ..
            }) = &param.ty
            else {
                return Err(format!("the type of `{}` is not known", param.name.name));
            };
            for dim in dims.iter().flatten() {
                match &dim.kind {
                    DimKind::Rest => open.rest = true,
                    DimKind::Size(size) => {
                        open.add_names(size, &|name| self.is_known(definition, name))
                    }
                }
            }
        }
        Ok(open)
    }

    fn is_known(&self, definition: &Definition, name: &str) -> bool {
        definition.statics.iter().any(|own| own.name.name == name)
            || matches!(self.item(0, name), Some(ItemRef::Let(..) | ItemRef::Broken))
    }

    /// The types of a definition's required arguments, with guessed sizes.
    fn guessed_types(
        &mut self,
        handle: &DefinitionHandle,
        guess: &Guess,
    ) -> Checked<BTreeMap<String, TensorType>> {
        let definition = handle.get();
        let frame = Frame::new(FrameKind::Function, handle.file, definition.name.span);
        let (types, _) = self.within(frame, |this| {
            this.bind_statics(&definition.statics, &guess.statics, definition)?;
            let sizes = guess
                .sizes
                .iter()
                .map(|(name, size)| (name.as_str(), Dim::fixed(*size)));
            for (name, size) in sizes.chain([("B", Dim::BATCH)]) {
                if this.frame().scopes.find(name).is_none() {
                    let value = Ok(Value::dimension(size));
                    let scopes = &mut this.frame_mut().scopes;
                    scopes.bind(name, value, BindingKind::Dimension, definition.name.span);
                }
            }
            let types = required(definition).map(|param| {
                let ty = this.guessed_type(param, guess)?;
                Ok((param.name.name.clone(), ty))
            });
            types.collect()
        });
        types
    }

    fn guessed_type(&mut self, param: &Param, guess: &Guess) -> Checked<TensorType> {
        let Some(Type {
            kind: TypeKind::Tensor { dtype, dims },
            ..
        }) = &param.ty
        else {
            return Err(Poison);
        };
        let mut shape = Vec::new();
        for dim in dims.iter().flatten() {
            match &dim.kind {
                DimKind::Size(size) => shape.push(self.size(size)?),
                DimKind::Rest => shape.extend(guess.rest.iter().map(|&size| Dim::fixed(size))),
            }
        }
        Ok(TensorType::new(
            super::signature::element_type(*dtype),
            shape,
        ))
    }
}

/// The tensors that a definition needs.
fn required(definition: &Definition) -> impl Iterator<Item = &Param> {
    definition
        .params
        .iter()
        .filter(|param| param.default.is_none())
}

/// Whether a definition can be called alone at all: it takes tensors and gives some.
pub(super) fn takes_tensors(definition: &Definition) -> bool {
    let gives_static = |ty: &Type| matches!(ty.kind, TypeKind::Static(_));
    definition.kind != DefinitionKind::Optimizer
        && !definition.params.is_empty()
        && !definition.results.iter().any(gives_static)
}

/// Whether a mistake can come from the sizes that were guessed.
fn of_a_guess(diagnostic: &Diagnostic) -> bool {
    codes::OF_GUESSES.contains(&diagnostic.code)
}

/// Whether a value means the same in another run.
fn lasts(value: &Value) -> bool {
    match value {
        Value::List(items) | Value::Tuple(items) => items.iter().all(lasts),
        Value::Function(applied) | Value::Recipe(applied) => {
            applied.statics.iter().all(|given| lasts(&given.value))
        }
        Value::Intrinsic(primitive) => primitive.statics.iter().all(|given| lasts(&given.value)),
        other => other.is_plain(),
    }
}

/// `c = 16, x: f32[B, 16, 32, 32]`
fn shown_call(definition: &Definition, call: &KnownCall) -> String {
    let mut unnamed = definition
        .statics
        .iter()
        .map(|param| param.name.name.as_str());
    let mut parts = Vec::new();
    for given in &call.statics {
        let name = given.name.as_deref().or_else(|| unnamed.next());
        if let (Some(name), Some(number)) = (name, given.value.as_float()) {
            parts.push(format!("{name} = {number}"));
        }
    }
    let types = definition.params.iter().filter_map(|param| {
        let ty = call.arguments.get(&param.name.name)?;
        Some(format!("{}: {ty}", param.name.name))
    });
    parts.extend(types);
    parts.join(", ")
}
