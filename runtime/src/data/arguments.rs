//! The arguments of sources and stages, as plain data, and reading them with errors that say what would be right.

use std::fmt;
use std::sync::Arc;

use super::DataError;
use crate::tensor::Tensor;

/// A source or stage with what stands in its brackets.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// `digits`, `normalize` …
    pub name: String,
    /// By position or by name.
    pub arguments: Vec<Argument>,
    /// What `map` does to a sample.
    pub function: Option<SampleFunction>,
}

/// New parts of a sample for its first ones; the error is a sentence.
pub type SampleCall = dyn Fn(&[Tensor]) -> Result<Vec<Tensor>, String> + Send + Sync;

/// A function of one sample.
#[derive(Clone)]
pub struct SampleFunction {
    /// How many parts it takes, and gives.
    pub parts: usize,
    /// What it does.
    pub call: Arc<SampleCall>,
}

impl fmt::Debug for SampleFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a function of {} parts", self.parts)
    }
}

/// One value in square brackets.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// The name, where it is given by name.
    pub name: Option<String>,
    /// The value.
    pub value: Value,
}

/// A compile-time value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `none`
    None,
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list or a tuple.
    List(Vec<Value>),
}

impl Invocation {
    /// A source or stage with arguments by position.
    pub fn new(name: &str, values: impl IntoIterator<Item = Value>) -> Invocation {
        let arguments = values
            .into_iter()
            .map(|value| Argument { name: None, value })
            .collect();
        Invocation {
            name: name.to_string(),
            arguments,
            function: None,
        }
    }

    /// The same with one more argument, by name.
    pub fn with(mut self, name: &str, value: Value) -> Invocation {
        self.arguments.push(Argument {
            name: Some(name.to_string()),
            value,
        });
        self
    }
}

/// The arguments of one invocation, matched to the names that it takes.
pub struct Arguments<'a> {
    /// Whose arguments: `mnist`, `normalize` …
    pub owner: &'a str,
    values: Vec<(&'a str, Option<&'a Value>)>,
    rest: Vec<&'a Value>,
    /// Whether any number of values may follow those with names.
    open: bool,
    /// How it is written, where the names alone do not show it.
    form: Option<&'static str>,
}

impl<'a> Arguments<'a> {
    /// Matches arguments to `names`, in the order in which they stand without a name.
    ///
    /// # Errors
    /// When there are more than names, an unknown one, or one twice.
    pub fn new(invocation: &'a Invocation, names: &[&'a str]) -> Result<Arguments<'a>, DataError> {
        let arguments = Arguments::matched(invocation, names, false, None)?;
        arguments.closed()
    }

    /// As [`Arguments::new`], for what is written in that form.
    ///
    /// # Errors
    /// As [`Arguments::new`].
    pub fn in_form(
        invocation: &'a Invocation,
        names: &[&'a str],
        form: &'static str,
    ) -> Result<Arguments<'a>, DataError> {
        let arguments = Arguments::matched(invocation, names, false, Some(form))?;
        arguments.closed()
    }

    /// An error where there are more arguments than names.
    fn closed(self) -> Result<Arguments<'a>, DataError> {
        let (arguments, names) = (&self, &self.values);
        let found = names.len() + arguments.rest.len();
        let usage = arguments.usage();
        match (arguments.rest.is_empty(), found) {
            (true, _) => Ok(self),
            (false, 1) => {
                Err(arguments.error(format!("1 value in square brackets; it takes {usage}")))
            }
            (false, _) => Err(arguments.error(format!(
                "{found} values in square brackets; it takes {usage}"
            ))),
        }
    }

    /// As [`Arguments::new`], but any number of arguments may follow.
    ///
    /// # Errors
    /// When there is an unknown name, or one twice.
    pub fn with_rest(
        invocation: &'a Invocation,
        names: &[&'a str],
    ) -> Result<Arguments<'a>, DataError> {
        Arguments::matched(invocation, names, true, None)
    }

    fn matched(
        invocation: &'a Invocation,
        names: &[&'a str],
        open: bool,
        form: Option<&'static str>,
    ) -> Result<Arguments<'a>, DataError> {
        let values = names.iter().map(|name| (*name, None)).collect();
        let mut arguments = Arguments {
            owner: &invocation.name,
            values,
            rest: Vec::new(),
            open,
            form,
        };
        let mut position = 0;
        for argument in &invocation.arguments {
            let index = match &argument.name {
                Some(name) => Some(names.iter().position(|known| known == name).ok_or_else(
                    || {
                        let usage = arguments.usage();
                        arguments.error(format!("no argument `{name}`; it takes {usage}"))
                    },
                )?),
                None => (position < names.len()).then_some(position),
            };
            position += usize::from(argument.name.is_none());
            let Some(index) = index else {
                arguments.rest.push(&argument.value);
                continue;
            };
            if arguments.values[index].1.is_some() {
                return Err(arguments.error(format!("`{}` is given twice", names[index])));
            }
            arguments.values[index].1 = Some(&argument.value);
        }
        Ok(arguments)
    }

    /// What it takes in square brackets.
    fn usage(&self) -> String {
        if let Some(form) = self.form {
            return form.to_string();
        }
        let names: Vec<&str> = self.values.iter().map(|value| value.0).collect();
        match (names.is_empty(), self.open) {
            (true, true) => "values without names".to_string(),
            (true, false) => "none".to_string(),
            (false, _) => format!("`{}[{}]`", self.owner, names.join(", ")),
        }
    }

    /// An error that names the owner.
    pub fn error(&self, reason: String) -> DataError {
        DataError::Argument {
            owner: self.owner.to_string(),
            reason,
        }
    }

    /// What follows the named arguments.
    pub fn rest(&self) -> &[&'a Value] {
        &self.rest
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let value = self
            .values
            .iter()
            .find(|(known, _)| *known == name)
            .and_then(|(_, value)| *value);
        value.filter(|value| **value != Value::None)
    }

    fn require<T>(&self, name: &str, value: Option<T>) -> Result<T, DataError> {
        value.ok_or_else(|| self.error(format!("`{name}` is missing; it takes {}", self.usage())))
    }

    fn wrong(&self, name: &str, expected: &str) -> DataError {
        self.error(format!("`{name}` should be {expected}"))
    }

    /// Text, if given.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, DataError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "text in quotes")),
        }
    }

    /// Text that must be given.
    pub fn required_text(&self, name: &str) -> Result<&'a str, DataError> {
        self.require(name, self.text(name)?)
    }

    /// A whole number from `least` on, if given.
    pub fn integer(&self, name: &str, least: i64) -> Result<Option<i64>, DataError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Int(number)) if *number >= least => Ok(Some(*number)),
            Some(_) => Err(self.wrong(name, &format!("a whole number, at least {least}"))),
        }
    }

    /// A whole number that must be given.
    pub fn required_integer(&self, name: &str, least: i64) -> Result<i64, DataError> {
        self.require(name, self.integer(name, least)?)
    }

    /// A number, if given.
    pub fn number(&self, name: &str) -> Result<Option<f64>, DataError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => as_number(value)
                .map(Some)
                .ok_or_else(|| self.wrong(name, "a number")),
        }
    }

    /// A number that must be given.
    pub fn required_number(&self, name: &str) -> Result<f64, DataError> {
        self.require(name, self.number(name)?)
    }

    /// A number or a list of numbers that must be given; never empty.
    pub fn required_numbers(&self, name: &str) -> Result<Vec<f64>, DataError> {
        let numbers = match self.require(name, self.get(name))? {
            Value::List(values) => values.iter().map(as_number).collect(),
            value => as_number(value).map(|number| vec![number]),
        };
        let numbers = numbers.filter(|numbers| !numbers.is_empty());
        numbers.ok_or_else(|| self.wrong(name, "a number or a list of numbers"))
    }

    /// The value itself, if given.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.get(name)
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}
