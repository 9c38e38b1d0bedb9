//! What is asked of optimizers once a run has been elaborated: only then is it known what their nets are made of.

use super::codes;
use super::context::Elaborator;
use super::diagnose::error;
use super::glob::{matches, near_pattern};
use super::optimizer::{OptimizerRecord, inside};
use dlm_grammar::{Diagnostic, Span};
use std::collections::BTreeMap;

/// How many parameters a message names.
const MOST_NAMED: usize = 4;

impl Elaborator<'_> {
    /// Errors for optimizers over what has no parameters or is another's, and for patterns that no parameter fits.
    pub fn check_optimizers(&mut self) {
        self.check_targets();
        self.check_owners();
        for record in self.optimizers.clone() {
            self.check_patterns(&record);
        }
    }

    /// Errors for what optimizers update and has no parameters, and warnings where it is merely not called: what an
    /// instance is made of is known once all of the run has been elaborated.
    fn check_targets(&mut self) {
        let targets = self.optimizers.iter().flat_map(|record| &record.targets);
        let empty = |(target, _): &&(String, Span)| {
            !self.parameters.keys().any(|path| inside(target, path))
        };
        let found: Vec<(String, Span)> = targets.filter(empty).cloned().collect();
        for (target, span) in found {
            let mut instances = self.instances.iter().filter(|each| each.recipe.is_some());
            let uncalled = instances
                .find(|each| inside(&each.path, &target) && each.first_call.is_none())
                .map(|each| (each.path.clone(), each.span));
            let diagnostic = match uncalled {
                Some((path, made)) => {
                    let message = format!("no loss reaches `{target}`: nothing calls `{path}`");
                    Diagnostic::warning(codes::UNTRAINED, span, message).label(made, "made here")
                }
                None => {
                    let message = format!("`{target}` has no parameters");
                    error(codes::OPTIMIZER_TARGET, span, message)
                }
            };
            self.reporter_only(diagnostic);
        }
    }

    /// Errors for parameters in two optimizers, whether or not a `minimize` uses them.
    fn check_owners(&mut self) {
        let owned = self.parameters.iter();
        let mut owners: BTreeMap<String, usize> = owned
            .filter_map(|(path, record)| Some((path.clone(), record.optimizer?)))
            .collect();
        for (index, record) in self.optimizers.clone().iter().enumerate() {
            for (path, span) in self.own_parameters(record) {
                let owner = *owners.entry(path.clone()).or_insert(index);
                if owner != index {
                    let diagnostic = self.in_two(&path, owner, span);
                    self.reporter_only(diagnostic);
                }
            }
        }
    }

    /// The report that a parameter is in two optimizers, at the second.
    pub fn in_two(&self, path: &str, other: usize, span: Span) -> Diagnostic {
        let message = format!("`{path}` is in two optimizers");
        let other = self.optimizers[other].span;
        error(codes::TWO_OPTIMIZERS, span, message).label(other, "the other one")
    }

    /// The parameters that an optimizer is given, each with the place of what it is a part of.
    fn own_parameters(&self, record: &OptimizerRecord) -> Vec<(String, Span)> {
        let targets = record.targets.iter();
        let own = |path: &String| {
            let target = targets.clone().find(|(target, _)| inside(target, path));
            target.map(|(_, span)| (path.clone(), *span))
        };
        self.parameters.keys().filter_map(own).collect()
    }

    /// Errors for patterns that fit none of an optimizer's parameters: what they are to do would silently not be done.
    fn check_patterns(&mut self, record: &OptimizerRecord) {
        let own = self.own_parameters(record).into_iter();
        let own: Vec<String> = own.map(|(path, _)| path).collect();
        if own.is_empty() {
            return;
        }
        for given in &record.rule.statics {
            let name = given.name.as_deref().unwrap_or("");
            if !["freeze", "no_decay"].contains(&name) {
                continue;
            }
            // What is no list of patterns has been reported where the optimizer is made.
            let patterns = self.patterns(given).unwrap_or_default();
            for pattern in patterns {
                if !own.iter().any(|path| matches(&pattern, path)) {
                    self.reporter_only(no_match(name, &pattern, &own, given.span));
                }
            }
        }
    }
}

fn no_match(name: &str, pattern: &str, own: &[String], span: Span) -> Diagnostic {
    let message = format!("`{name}`: no parameter of this optimizer fits \"{pattern}\"");
    let mut named: Vec<&str> = own.iter().map(String::as_str).take(MOST_NAMED).collect();
    if own.len() > MOST_NAMED {
        named.push("…");
    }
    error(codes::OPTIMIZER_TARGET, span, message)
        .did_you_mean(near_pattern(pattern, own).as_deref())
        .note(format!("its parameters are {}", named.join(", ")))
}
