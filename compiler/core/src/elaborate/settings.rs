//! The statics of a `train`, and values from the command line.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::{Checked, Poison, error};
use super::program::{PathBase, Precision, RunSettings};
use super::scope::BindingKind;
use super::value::Value;
use dlm_grammar::ast::{Expr, ItemKind, StaticParam, Train};
use dlm_grammar::suggest;
use std::rc::Rc;

/// The settings that every run has.
const SETTINGS: &[&str] = &[
    "epochs",
    "steps",
    "seed",
    "keep",
    "patience",
    "precision",
    "memory",
    "log_every",
];

impl Elaborator<'_> {
    /// The value that the command line gives a constant of the main file.
    pub fn override_of(&mut self, name: &str) -> Option<Checked<Rc<Expr>>> {
        let values = &self.settings.values;
        let text = values
            .iter()
            .rev()
            .find(|(own, _)| own == name)
            .map(|(_, text)| text.clone())?;
        Some(self.outside_expression(&format!("--set {name}"), &text))
    }

    /// The source that the command line gives a data set of the main file.
    pub fn data_override(&mut self, name: &str) -> Option<(Checked<Rc<Expr>>, PathBase)> {
        let values = &self.settings.data;
        let place = values.iter().rposition(|(own, _)| own == name)?;
        let text = values[place].1.clone();
        let base = match place < self.settings.earlier {
            true => PathBase::EarlierCommandLine,
            false => PathBase::CommandLine,
        };
        Some((
            self.outside_expression(&format!("--data {name}"), &text),
            base,
        ))
    }

    /// Read once, so that a mistake is said once, however often the value is asked for.
    fn outside_expression(&mut self, name: &str, text: &str) -> Checked<Rc<Expr>> {
        if let Some(known) = self.outside.get(name) {
            return known.clone();
        }
        let read = self.read_outside(name, text);
        self.outside.insert(name.to_owned(), read.clone());
        read
    }

    fn read_outside(&mut self, name: &str, text: &str) -> Checked<Rc<Expr>> {
        let id = self.sources.add(name, text);
        dlm_grammar::parse_expression(text, id)
            .map(Rc::new)
            .map_err(|diagnostics| {
                for diagnostic in diagnostics {
                    self.reporter.report(diagnostic, &[]);
                }
                Poison
            })
    }

    /// Errors for names on the command line that the program has not.
    pub fn check_overrides(&mut self) {
        let tree = self.files[0].tree.clone();
        let mut constants = Vec::new();
        let mut data = Vec::new();
        for item in &tree.items {
            match &item.kind {
                ItemKind::Let { name, .. } => constants.push(name.name.clone()),
                ItemKind::Data { name, .. } => data.push(name.name.clone()),
                ItemKind::Train(train) => constants.extend(setting_names(train)),
                _ => {}
            }
        }
        let broken = &self.files[0].broken;
        constants.extend(broken.names.iter().cloned());
        data.extend(broken.names.iter().cloned());
        let settings = broken.trains.iter();
        let of_broken = |name: &str| settings.clone().any(|train| inside_train(train, name));
        for (given, known, option) in [
            (&self.settings.values, constants, "--set"),
            (&self.settings.data, data, "--data"),
        ] {
            for (name, _) in given {
                if known.contains(name) || of_broken(name) {
                    continue;
                }
                let near = suggest(name, known.iter().map(String::as_str));
                let message = format!("{option}: the program has no `{name}`");
                let span = dlm_grammar::Span {
                    end: tree.span.start,
                    ..tree.span
                };
                let diagnostic = error(codes::OVERRIDE, span, message).did_you_mean(near);
                self.reporter.report(diagnostic, &[]);
            }
        }
    }

    /// Binds the statics that a run declares, in the innermost body.
    pub fn bind_run_statics(&mut self, train: &Train) -> Checked<()> {
        for param in &train.statics {
            if SETTINGS.contains(&param.name.name.as_str()) && param.ty.is_none() {
                continue;
            }
            let value = self.run_static(train, param);
            let name = &param.name;
            self.frame_mut()
                .scopes
                .bind(&name.name, value, BindingKind::Static, name.span);
        }
        Ok(())
    }

    fn run_static(&mut self, train: &Train, param: &StaticParam) -> Checked<Value> {
        let given = self.override_of(&format!("{}.{}", train.name.name, param.name.name));
        let (value, span) =
            match (given, &param.default) {
                (Some(given), _) => {
                    let given = given?;
                    (self.static_value(&given)?, given.span)
                }
                (None, Some(default)) => (self.static_value(default)?, default.span),
                (None, None) => {
                    let message = format!("`{}` has no value", param.name.name);
                    return Err(self.report(
                        error(codes::MISSING_STATIC, param.span, message).help(format!(
                            "give it a default, or `--set {}.{}=…`",
                            train.name.name, param.name.name
                        )),
                    ));
                }
            };
        self.coerce_static(value, param, span)
    }

    /// The settings of a run.
    pub fn settings(&mut self, train: &Train) -> Checked<RunSettings> {
        let frame = Frame::new(FrameKind::File, 0, train.name.span);
        let (settings, _) = self.within(frame, |this| this.settings_here(train));
        settings
    }

    fn settings_here(&mut self, train: &Train) -> Checked<RunSettings> {
        let mut settings = RunSettings {
            epochs: None,
            steps: None,
            seed: 0,
            keep: None,
            patience: None,
            precision: Precision::F32,
            memory: None,
            log_every: 1,
        };
        let mut failed = self.check_statics_of(train);
        for name in SETTINGS {
            match self.setting(train, name) {
                Ok(Some((value, span))) => {
                    if let Err(poison) = self.set(&mut settings, name, value, span) {
                        failed = Err(poison);
                    }
                }
                Ok(None) => {}
                Err(poison) => failed = Err(poison),
            }
        }
        if settings.epochs.is_none() && settings.steps.is_none() {
            settings.epochs = Some(1);
        }
        failed.map(|()| settings)
    }

    /// Statics without a type must be settings.
    fn check_statics_of(&mut self, train: &Train) -> Checked<()> {
        let mut failed = Ok(());
        for param in &train.statics {
            let name = &param.name.name;
            if param.ty.is_some() || SETTINGS.contains(&name.as_str()) {
                continue;
            }
            let near = suggest(name, SETTINGS.iter().copied());
            let message = format!("`{name}` is no setting of a run");
            let diagnostic = error(codes::UNKNOWN_STATIC, param.span, message)
                .did_you_mean(near)
                .help(format!("a static of its own has a type: `{name}: int = …`"));
            failed = Err(self.report(diagnostic));
        }
        failed
    }

    /// A setting from the command line or the file.
    pub fn setting(
        &mut self,
        train: &Train,
        name: &str,
    ) -> Checked<Option<(Value, dlm_grammar::Span)>> {
        let given = self.override_of(&format!("{}.{name}", train.name.name));
        let own = train.statics.iter().find(|param| param.name.name == name);
        match (given, own.and_then(|param| param.default.as_ref())) {
            (Some(given), _) => {
                let given = given?;
                Ok(Some((self.static_value(&given)?, given.span)))
            }
            (None, Some(default)) => Ok(Some((self.static_value(default)?, default.span))),
            (None, None) => Ok(None),
        }
    }

    fn set(
        &mut self,
        settings: &mut RunSettings,
        name: &str,
        value: Value,
        span: dlm_grammar::Span,
    ) -> Checked<()> {
        if name == "precision" {
            settings.precision = match value.as_text() {
                Some("f32") => Precision::F32,
                Some("bf16") => Precision::Bf16,
                _ => return Err(self.wrong_setting(name, &value, "\"f32\" or \"bf16\"", span)),
            };
            return Ok(());
        }
        if let ("memory", Some(text)) = (name, value.as_text()) {
            settings.memory = bytes(text);
            return match settings.memory {
                Some(_) => Ok(()),
                None => Err(self.wrong_setting(name, &value, "bytes, such as \"512MB\"", span)),
            };
        }
        let least = if name == "seed" { i64::MIN } else { 1 };
        let Some(number) = value.as_int().filter(|&number| number >= least) else {
            let wanted = if name == "seed" {
                "a whole number"
            } else {
                "a whole number, at least 1"
            };
            return Err(self.wrong_setting(name, &value, wanted, span));
        };
        match name {
            "epochs" => settings.epochs = Some(number),
            "steps" => settings.steps = Some(number),
            "seed" => settings.seed = number,
            "keep" => settings.keep = Some(number),
            "patience" => settings.patience = Some(number),
            "memory" => settings.memory = Some(number),
            _ => settings.log_every = number,
        }
        Ok(())
    }

    fn wrong_setting(
        &mut self,
        name: &str,
        value: &Value,
        wanted: &str,
        span: dlm_grammar::Span,
    ) -> Poison {
        let shown = value
            .as_float()
            .map_or_else(|| value.kind().to_owned(), |number| number.to_string());
        let message = format!("`{name}` is {wanted}, and this is {shown}");
        self.report(error(codes::STATIC_TYPE, span, message))
    }
}

/// `512MB`, with powers of 1000, or `512MiB`, with powers of 1024.
fn bytes(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 6] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ];
    let of_unit = |(unit, size): &(&str, i64)| {
        let count: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        count.checked_mul(*size).filter(|&bytes| bytes > 0)
    };
    UNITS.iter().find_map(of_unit)
}

/// Whether a name on the command line is of a static of that run.
fn inside_train(train: &str, name: &str) -> bool {
    name.split_once('.').is_some_and(|(own, _)| own == train)
}

fn setting_names(train: &Train) -> Vec<String> {
    let own = train.statics.iter().map(|param| param.name.name.as_str());
    let all = SETTINGS.iter().copied().chain(own);
    all.map(|name| format!("{}.{name}", train.name.name))
        .collect()
}
