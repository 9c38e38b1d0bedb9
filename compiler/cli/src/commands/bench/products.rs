//! What products do by themselves, their gradients beside them.

use dlm_core::schedule::{Gradient, Product};
use dlm_grammar::SourceMap;
use serde_json::{Value, json};

use super::show::repeated;
use crate::report::table::Table;

/// What a kernel did in a step.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its name.
    pub kernel: String,
    /// On all workers together.
    pub microseconds: f64,
    /// Operations.
    pub flops: f64,
}

/// A product's kernels together.
#[derive(Clone, Copy, Default)]
struct Speed {
    /// Of those that multiply.
    microseconds: f64,
    flops: f64,
    /// Of those that turn an operand for it, and that add up its parts of all blocks.
    around: f64,
}

impl Speed {
    /// Those whose names are `product` or begin with it and an underscore.
    fn of(done: &[Done], product: &str) -> Speed {
        let number = product.trim_start_matches(char::is_alphabetic);
        let turned = format!("turned{number}");
        let part = format!("{product}_part");
        let has_parts = done.iter().any(|own| own.kernel == part);
        let mut speed = Speed::default();
        for own in done {
            let rest = own.kernel.strip_prefix(product);
            let is_own = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
            match is_own {
                true if !has_parts || own.kernel == part => {
                    speed.microseconds += own.microseconds;
                    speed.flops += own.flops;
                }
                true => speed.around += own.microseconds,
                false if own.kernel == turned => speed.around += own.microseconds,
                false => {}
            }
        }
        speed
    }

    fn gflops(&self) -> f64 {
        self.flops / self.microseconds / 1e3
    }

    fn is_known(&self) -> bool {
        self.flops > 0.0 && self.microseconds > 0.0
    }
}

/// A product and its gradients, as they were measured.
struct Line {
    name: String,
    forward: Speed,
    /// Of the input, and of the weights or the second input.
    gradients: [Option<Speed>; 2],
}

fn lines(products: &[Product], done: &[Done], sources: &SourceMap) -> Vec<Line> {
    let line = |product: &Product| {
        let forward = Speed::of(done, &product.kernel);
        let speed = |gradient: &Gradient| Speed::of(done, &gradient.kernel);
        let mut gradients = [None, None];
        for gradient in &product.gradients {
            let own = Some(speed(gradient)).filter(Speed::is_known);
            // Of two parameters, too, each has a column.
            let column = match gradients {
                [_, None] if gradient.of_parameter => 1,
                [None, _] => 0,
                _ => 1,
            };
            gradients[column] = own;
        }
        let place = || {
            let position = sources.position(product.span);
            format!("{} {}:{}", product.kernel, position.file, position.line)
        };
        Line {
            name: product.parameter.clone().unwrap_or_else(place),
            forward,
            gradients,
        }
    };
    let lines = products.iter().map(line);
    lines.filter(|line| line.forward.is_known()).collect()
}

/// The text that people read.
pub fn table((products, repeats): (&[Product], u32), done: &[Done], sources: &SourceMap) -> String {
    let mut table = Table::new(&[
        "<product",
        "us",
        "GFLOP/s a thread",
        "of the input",
        "GFLOP/s",
        "of forward",
        "of weights or second input",
        "GFLOP/s",
        "of forward",
        "us around it",
    ]);
    let lines = lines(products, done, sources);
    for line in &lines {
        let mut cells = vec![line.name.clone()];
        cells.extend(speed(&line.forward));
        for gradient in line.gradients {
            match gradient {
                None => cells.extend([String::new(), String::new(), String::new()]),
                Some(own) => {
                    cells.extend(speed(&own));
                    let part = own.gflops() / line.forward.gflops();
                    cells.push(format!("{:.0} %", 100.0 * part));
                }
            }
        }
        let around: f64 = line.gradients.iter().flatten().map(|own| own.around).sum();
        cells.push(if around > 0.0 {
            format!("{around:.1}")
        } else {
            String::new()
        });
        table.row(cells);
    }
    let mut text = String::from(
        "Each product in a kernel of its own, microseconds of a step; then its gradients. Around them operands are turned, and \
         the parts of all blocks added up.\n\n",
    );
    text += &repeated(repeats);
    match lines.is_empty() {
        true => text += "  none\n",
        false => text += &table.render(),
    }
    if done.iter().any(|own| own.kernel.starts_with("scan")) {
        text += "\nProducts within loops over time are left out.\n";
    }
    text
}

fn speed(own: &Speed) -> [String; 2] {
    [
        format!("{:.1}", own.microseconds),
        format!("{:.0}", own.gflops()),
    ]
}

/// The objects that tools read.
pub fn json((products, repeats): (&[Product], u32), done: &[Done], sources: &SourceMap) -> Value {
    let shown =
        |speed: &Speed| json!({"microseconds": speed.microseconds, "gflops": speed.gflops()});
    let object = |line: &Line| {
        let gradient = |own: &Option<Speed>| {
            own.map(|own| {
                json!({
                    "microseconds": own.microseconds,
                    "gflops": own.gflops(),
                    "of_forward": own.gflops() / line.forward.gflops(),
                    "microseconds_around": own.around,
                })
            })
        };
        json!({
            "product": line.name,
            "repeat": repeats,
            "forward": shown(&line.forward),
            "input_gradient": gradient(&line.gradients[0]),
            "weight_gradient": gradient(&line.gradients[1]),
        })
    };
    lines(products, done, sources).iter().map(object).collect()
}
