//! What products do by themselves, their gradients beside them.

use dlm_core::schedule::{Gradient, Product};
use dlm_grammar::SourceMap;
use serde_json::{Value, json};

use super::show::repeated;
use crate::report::spread::Spread;
use crate::report::table::Table;

/// Measurements of which medians are taken: kernels of microseconds differ by a tenth from one to the next where others use the
/// machine.
pub const MEASUREMENTS: usize = 15;

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

/// A product's kernels together, in one measurement.
#[derive(Clone, Copy, Debug, Default)]
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

/// A product's speed in each measurement; there is one at least.
struct Speeds(Vec<Speed>);

impl Speeds {
    fn of(measurements: &[Vec<Done>], product: &str) -> Speeds {
        let speed = |done: &Vec<Done>| Speed::of(done, product);
        Speeds(measurements.iter().map(speed).collect())
    }

    fn is_known(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(Speed::is_known)
    }

    fn median(&self, of: impl Fn(&Speed) -> f64) -> f64 {
        Spread::of(self.0.iter().map(of)).median
    }

    fn microseconds(&self) -> f64 {
        self.median(|speed| speed.microseconds)
    }

    fn gflops(&self) -> f64 {
        self.median(Speed::gflops)
    }

    fn around(&self) -> f64 {
        self.median(|speed| speed.around)
    }

    /// GFLOP/s beside another's of the same measurement.
    fn beside(&self, other: &Speeds) -> Spread {
        let pairs = self.0.iter().zip(&other.0);
        Spread::of(pairs.map(|(own, other)| own.gflops() / other.gflops()))
    }
}

/// A product and its gradients, as they were measured.
struct Line {
    name: String,
    forward: Speeds,
    /// Of the input, and of the weights or the second input.
    gradients: [Option<Speeds>; 2],
}

fn lines(products: &[Product], done: &[Vec<Done>], sources: &SourceMap) -> Vec<Line> {
    let line = |product: &Product| {
        let forward = Speeds::of(done, &product.kernel);
        let speed = |gradient: &Gradient| Speeds::of(done, &gradient.kernel);
        let mut gradients = [None, None];
        for gradient in &product.gradients {
            let own = Some(speed(gradient)).filter(Speeds::is_known);
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
pub fn table(
    (products, repeats): (&[Product], u32),
    done: &[Vec<Done>],
    sources: &SourceMap,
) -> String {
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
        table.row(line.cells());
    }
    let mut text = format!(
        "Each product in a kernel of its own, microseconds of a step; then its gradients. Around them operands are turned, and \
         the parts of all blocks added up. Medians of {} measurements; of forward also the range, each beside the forward \
         product of the same measurement.\n\n",
        done.len()
    );
    text += &repeated(repeats);
    match lines.is_empty() {
        true => text += "  none\n",
        false => text += &table.render(),
    }
    let mut kernels = done.iter().flatten();
    if kernels.any(|own| own.kernel.starts_with("scan")) {
        text += "\nProducts within loops over time are left out.\n";
    }
    text
}

impl Line {
    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.name.clone()];
        cells.extend(speed(&self.forward));
        for gradient in &self.gradients {
            match gradient {
                None => cells.extend([String::new(), String::new(), String::new()]),
                Some(own) => {
                    cells.extend(speed(own));
                    let part = own.beside(&self.forward);
                    let [min, median, max] =
                        [part.min, part.median, part.max].map(|part| 100.0 * part);
                    cells.push(format!("{median:.0} % ({min:.0}-{max:.0})"));
                }
            }
        }
        let around: f64 = self.gradients.iter().flatten().map(Speeds::around).sum();
        cells.push(if around > 0.0 {
            format!("{around:.1}")
        } else {
            String::new()
        });
        cells
    }
}

fn speed(own: &Speeds) -> [String; 2] {
    [
        format!("{:.1}", own.microseconds()),
        format!("{:.0}", own.gflops()),
    ]
}

/// The objects that tools read.
pub fn json(
    (products, repeats): (&[Product], u32),
    done: &[Vec<Done>],
    sources: &SourceMap,
) -> Value {
    let shown =
        |speed: &Speeds| json!({"microseconds": speed.microseconds(), "gflops": speed.gflops()});
    let object = |line: &Line| {
        let gradient = |own: &Option<Speeds>| {
            own.as_ref().map(|own| {
                let part = own.beside(&line.forward);
                json!({
                    "microseconds": own.microseconds(),
                    "gflops": own.gflops(),
                    "of_forward": part.median,
                    "of_forward_min": part.min,
                    "of_forward_max": part.max,
                    "microseconds_around": own.around(),
                })
            })
        };
        json!({
            "product": line.name,
            "repeat": repeats,
            "measurements": done.len(),
            "forward": shown(&line.forward),
            "input_gradient": gradient(&line.gradients[0]),
            "weight_gradient": gradient(&line.gradients[1]),
        })
    };
    lines(products, done, sources).iter().map(object).collect()
}
