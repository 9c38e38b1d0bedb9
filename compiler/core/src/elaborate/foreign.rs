//! What people write who know PyTorch, Keras or Python, and what it is here.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::expr::Given;
use super::value::{GivenStatic, Value};
use dlm_grammar::ast::{Expr, ExprKind};
use dlm_grammar::{Diagnostic, Span, suggest};

/// Names that nothing has here, and what to write.
const NAMES: &[(&str, &str)] = &[
    ("None", "`none`"),
    ("True", "`true`"),
    ("False", "`false`"),
    (
        "self",
        "no word: a block's parts have names of their own: `let fc = Linear[10]`, then `fc(x)`",
    ),
    ("torch", "no word: operations stand by themselves: `exp(x)`"),
    ("nn", "no word: layers stand by themselves: `Linear[10]`"),
    ("np", "no word: operations stand by themselves: `exp(x)`"),
    ("matmul", "`a @ b`"),
    ("mm", "`a @ b`"),
    ("bmm", "`a @ b`"),
    ("cat", "`concat[axis](a, b)`"),
    ("view", "`reshape[…](x)`"),
    ("detach", "`stop_grad(x)`"),
    ("print", "`report`, in a `step` or an `eval`"),
    ("range", "`0..n`"),
    ("Dropout", "`dropout[p]`"),
    ("ReLU", "`relu`"),
    ("Softmax", "`softmax[axis]`"),
    ("Flatten", "`flatten`"),
    ("Dense", "`Linear[out]`"),
    ("LSTM", "`Lstm[hidden]`"),
    ("GRU", "`Gru[hidden]`"),
    ("RNN", "`Rnn[hidden]`"),
    ("BatchNorm1d", "`BatchNorm`"),
    ("BatchNorm2d", "`BatchNorm`"),
    ("MaxPool2d", "`max_pool2d[k]`"),
    ("AvgPool2d", "`avg_pool2d[k]`"),
    ("Sequential", "`x |> a |> b`"),
    ("CrossEntropyLoss", "`cross_entropy(logits, y)`"),
    ("MSELoss", "`mse(x, y)`"),
    ("BCEWithLogitsLoss", "`bce_logits(logits, y)`"),
];

/// What stands after the dot of a tensor elsewhere, and what to write; `x` is the tensor.
const MEMBERS: &[(&str, &str)] = &[
    ("T", "`transpose[-2, -1](x)`"),
    ("mT", "`transpose[-2, -1](x)`"),
    ("t", "`transpose[0, 1](x)`"),
    ("view", "`reshape[…](x)`, or `flatten(x)`"),
    ("size", "`x.shape[0]`"),
    ("dim", "`len(x.shape)`"),
    ("ndim", "`len(x.shape)`"),
    ("detach", "`stop_grad(x)`"),
    ("float", "`f32(x)`"),
    ("long", "`i32(x)`"),
    ("int", "`i32(x)`"),
    ("astype", "`f32(x)` or `i32(x)`"),
    (
        "to",
        "`f32(x)` or `i32(x)`; where values lie, the compiler decides",
    ),
    (
        "cuda",
        "leave it out: where values lie, the compiler decides",
    ),
    (
        "cpu",
        "leave it out: where values lie, the compiler decides",
    ),
    (
        "contiguous",
        "leave it out: how values lie in memory, the compiler decides",
    ),
    ("clone", "leave it out: values never change"),
    ("item", "leave it out: `report` shows a value"),
    (
        "backward",
        "`minimize loss with opt` updates parameters, `grad(loss, x)` is a gradient",
    ),
    ("matmul", "`a @ b`"),
];

/// Names of statics elsewhere and here.
const STATICS: &[(&str, &str)] = &[
    ("dim", "axis"),
    ("dims", "axis"),
    ("axes", "axis"),
    ("keepdim", "keep"),
    ("keepdims", "keep"),
    ("learning_rate", "lr"),
    ("weight_decay", "decay"),
    ("beta_1", "beta1"),
    ("beta_2", "beta2"),
    ("betas", "beta1"),
    ("epsilon", "eps"),
    ("rho", "alpha"),
    ("padding", "pad"),
    ("kernel_size", "kernel"),
    ("kernel_size", "k"),
    ("out_features", "out"),
    ("out_channels", "out"),
    ("units", "out"),
    ("filters", "out"),
    ("use_bias", "bias"),
    ("num_groups", "groups"),
    ("num_classes", "n"),
    ("num_embeddings", "count"),
    ("embedding_dim", "dim"),
    ("hidden_size", "hidden"),
    ("num_layers", "layers"),
    ("num_heads", "heads"),
    ("negative_slope", "slope"),
    ("label_smoothing", "smoothing"),
    ("ignore_index", "ignore"),
    ("batch_size", "n"),
];

/// The static of that name, or else the one that is most likely meant.
pub(super) fn near_static<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    if known.clone().any(|known| known == name) {
        return Some(name.to_owned());
    }
    let elsewhere = STATICS.iter().filter(|(own, _)| *own == name);
    let mut here = elsewhere.map(|(_, here)| *here);
    let found = here.find(|here| known.clone().any(|known| known == *here));
    found.or_else(|| suggest(name, known)).map(str::to_owned)
}

/// What a name is here that nothing has.
pub(super) fn name_here(name: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(own, _)| *own == name)
        .map(|found| found.1)
}

/// What a call may be given, and what is given in square brackets.
struct Signature {
    name: String,
    statics: Vec<String>,
    tensors: usize,
    tensor_names: Vec<String>,
    /// Whether it takes any number of tensors.
    any: bool,
    /// Whether a static is missing that has no default.
    lacks: bool,
}

impl Elaborator<'_> {
    /// An error where what stands in a call's parentheses belongs in square brackets.
    pub(super) fn statics_in_parentheses(
        &mut self,
        callee: &Expr,
        value: &Value,
        given: &[Given],
    ) -> Checked<()> {
        let Some(signature) = self.signature(value) else {
            return Ok(());
        };
        let mut unnamed = 0;
        let (mut tensors, mut statics) = (Vec::new(), Vec::new());
        for argument in given {
            let text = self.text_at(argument.span);
            let is_plain = argument.value.is_plain();
            match &argument.name {
                Some(name) if signature.tensor_names.contains(&name.name) => {
                    tensors.push(format!("{}={text}", name.name));
                }
                Some(name) => {
                    let known = signature.statics.iter().map(String::as_str);
                    let Some(own) = near_static(&name.name, known) else {
                        return Ok(());
                    };
                    statics.push((name.span, format!("{own}={text}")));
                }
                None => {
                    unnamed += 1;
                    let is_extra = !signature.any && unnamed > signature.tensors;
                    let is_missed = signature.lacks && tensors.is_empty();
                    match is_plain && (is_extra || is_missed) {
                        true => statics.push((argument.span, text)),
                        false => tensors.push(text),
                    }
                }
            }
        }
        let Some((first, _)) = statics.first() else {
            return Ok(());
        };
        let statics_text: Vec<&str> = statics.iter().map(|(_, text)| text.as_str()).collect();
        let mut help = format!("`{}", self.with_brackets(callee, &statics_text.join(", ")));
        if !tensors.is_empty() {
            help += &format!("({})", tensors.join(", "));
        }
        help += "`";
        if signature.name == "max" || signature.name == "min" {
            help += &format!(
                "; of two values the larger or smaller is `{}imum(a, b)`",
                signature.name
            );
        }
        let what = self.text_at(*first);
        let message = format!(
            "`{what}` is no tensor: what is known at compile time stands in square brackets"
        );
        Err(self.report(error(codes::STATIC_IN_PARENTHESES, *first, message).help(help)))
    }

    fn signature(&self, value: &Value) -> Option<Signature> {
        let applied = match value {
            Value::Function(applied) | Value::Recipe(applied) => applied.clone(),
            Value::Instance(instance) => self.instances[instance.id].recipe.clone()?,
            Value::Intrinsic(primitive) => {
                let intrinsic = primitive.intrinsic;
                let tensors = intrinsic.tensors.iter();
                let names = tensors.map(|name| name.trim_end_matches(['?', '*']).to_owned());
                return Some(Signature {
                    name: intrinsic.name.to_owned(),
                    statics: intrinsic
                        .statics
                        .iter()
                        .map(|name| (*name).to_owned())
                        .collect(),
                    tensors: intrinsic.tensors.len(),
                    tensor_names: names.collect(),
                    any: intrinsic.takes_any(),
                    lacks: false,
                });
            }
            _ => return None,
        };
        let definition = applied.definition.get();
        let named = |name: &str| {
            let by_name = |given: &GivenStatic| given.name.as_deref() == Some(name);
            applied.statics.iter().any(by_name)
        };
        let unnamed = applied
            .statics
            .iter()
            .filter(|given| given.name.is_none())
            .count();
        let lacks = definition
            .statics
            .iter()
            .enumerate()
            .any(|(position, param)| {
                param.default.is_none() && position >= unnamed && !named(&param.name.name)
            });
        Some(Signature {
            name: definition.name.name.clone(),
            statics: definition
                .statics
                .iter()
                .map(|param| param.name.name.clone())
                .collect(),
            tensors: definition.params.len(),
            tensor_names: definition
                .params
                .iter()
                .map(|param| param.name.name.clone())
                .collect(),
            any: false,
            lacks,
        })
    }

    /// The text of a callee with more in its square brackets.
    fn with_brackets(&self, callee: &Expr, more: &str) -> String {
        let text = self.text_at(callee.span);
        match (&callee.unparenthesized().kind, text.strip_suffix(']')) {
            (ExprKind::Bracket { .. }, Some(open)) => format!("{open}, {more}]"),
            _ => format!("{text}[{more}]"),
        }
    }

    fn text_at(&self, span: Span) -> String {
        span.text(self.sources.text(span.file)).to_owned()
    }

    /// The help for what stands after a tensor's dot.
    pub(super) fn member_here(&self, diagnostic: Diagnostic, base: Span, name: &str) -> Diagnostic {
        let base = self.text_at(base);
        let is_name = base
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '.');
        let base = if is_name { base.as_str() } else { "x" };
        let found = MEMBERS.iter().find(|(own, _)| *own == name);
        match found {
            Some((_, here)) => diagnostic.help(
                here.replace("(x)", &format!("({base})"))
                    .replace("x.shape", &format!("{base}.shape")),
            ),
            None if self.is_outside(name) => {
                diagnostic.help(format!("operations are functions: `{name}({base})`"))
            }
            None => diagnostic,
        }
    }
}
