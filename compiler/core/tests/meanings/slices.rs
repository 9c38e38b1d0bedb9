//! "Slices are Python's", of the batch too: for every size that the data's batches have, also where bounds lie beyond a
//! smaller last one.

use crate::programs;
use crate::support::{HEAD, initial, passed, run_refused};
use dlm_core::elaborate::TrainProgram;
use dlm_core::graph::eval::{self, Tensor};

/// A run whose step reports the sum of a slice of the labels, and how many they are. The last of 94 batches of 64 has 48.
fn program(slice: &str) -> TrainProgram {
    let text = format!(
        "{HEAD}train run[epochs=1] {{
  let net = Net
  let opt = sgd(net)
  step (x, y) in numbers.train |> batch[64] {{
    let part = f32(y{slice})
    minimize net(x) * mean(x{slice}) with opt
    report s = sum(part), n = part.shape[0] + 0 * sum(part)
  }}
}}"
    );
    programs::train_ok("run.dlm", &text)
}

/// What the step reports of labels that count from 0.
fn reported(program: &TrainProgram, size: i64) -> (f64, f64) {
    let own = program.sized.iter().find(|own| own.batch == size);
    let graph = own.map_or(&program.step, |own| &own.graph);
    let mut values = initial(&program.init, 0.0);
    let labels = (0..size).map(|label| label as f64).collect();
    values.insert(
        "x".into(),
        Tensor::new(&[size, 1, 28, 28], vec![0.5; size as usize * 784]),
    );
    values.insert("y".into(), Tensor::new(&[size], labels));
    let outputs = eval::evaluate(&passed(graph), size, &values).expect("a step");
    let value = |name: &str| {
        outputs
            .iter()
            .find(|(own, _)| *own == name)
            .expect("reported")
            .1
            .data[0]
    };
    (value("s"), value("n"))
}

/// Python's positions of `[start:stop:step]` in an axis of that length.
fn python(start: Option<i64>, stop: Option<i64>, step: i64, length: i64) -> Vec<i64> {
    let (low, high) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let clip = |bound: i64| (if bound < 0 { bound + length } else { bound }).clamp(low, high);
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (mut at, stop) = (start.map_or(first, clip), stop.map_or(last, clip));
    let mut found = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        found.push(at);
        at += step;
    }
    found
}

#[test]
fn slices_of_a_batch_are_pythons() {
    let bounds = [
        None,
        Some(0),
        Some(2),
        Some(50),
        Some(100),
        Some(-1),
        Some(-50),
        Some(-100),
    ];
    let shown = |bound: Option<i64>| bound.map_or_else(String::new, |bound| bound.to_string());
    for (place, start) in bounds.into_iter().enumerate() {
        for (other, stop) in bounds.into_iter().enumerate() {
            let step = [1, 2, -1, 5, -7, 100][(place * 3 + other) % 6];
            let slice = format!("[{}:{}:{step}]", shown(start), shown(stop));
            let mut rows = [64, 48].map(|size| (size, python(start, stop, step, size)));
            // A mean of nothing is none.
            if rows.iter_mut().any(|(_, rows)| rows.is_empty()) {
                continue;
            }
            let program = program(&slice);
            for (size, rows) in rows {
                let want = (rows.iter().sum::<i64>() as f64, rows.len() as f64);
                assert_eq!(reported(&program, size), want, "{slice} of {size}");
            }
        }
    }
}

/// Where one rule serves all sizes there is one graph; else there is one for each size.
#[test]
fn only_what_differs_by_size_is_elaborated_for_each() {
    let sizes = |slice| -> Vec<i64> { program(slice).sized.iter().map(|own| own.batch).collect() };
    for slice in ["[1:]", "[:100]", "[-3:]", "[::-1]", "[:-1]", "[10:20]"] {
        assert_eq!(sizes(slice), [0; 0], "{slice}");
    }
    for slice in ["[::2]", "[2:]", "[:50]", "[-50:]"] {
        assert_eq!(sizes(slice), [64, 48], "{slice}");
    }
}

fn step(body: &str, batch: &str) -> String {
    format!(
        "{HEAD}train run[epochs=1] {{
  let net = Net
  let opt = sgd(net)
  step (x, y) in numbers.train |> {batch} {{ minimize net(x) * {body} with opt }}
}}"
    )
}

/// An index beyond a batch is no position; the message says whose batch is too small.
#[test]
fn an_index_beyond_a_batch_says_which_is_too_small() {
    let full = step("mean(x[60])", "batch[8]");
    run_refused(&full, &["this needs 61 samples, and a batch has 8"]);
    let last = step("mean(x[60])", "batch[64]");
    run_refused(
        &last,
        &[
            "this needs 61 samples, and the last batch has 48",
            "drop=true",
        ],
    );
    let odd = step("mean(x[::5] - x[4::5])", "batch[64]");
    run_refused(&odd, &["do not broadcast", "where a batch has 64 samples"]);
    let zero = step("mean(x[::0])", "batch[8]");
    run_refused(&zero, &["a slice with step 0"]);
}

/// A metric of the whole set takes all samples.
#[test]
fn a_metric_of_the_whole_set_takes_no_part_of_a_batch() {
    for slice in ["[1:]", "[::2]"] {
        let text = format!(
            "{HEAD}train run {{
          let net = Linear[10]
          let opt = sgd(net)
          step (x, y) in numbers.train |> batch[64] {{
            minimize cross_entropy(net(flatten(x)), y) with opt
          }}
          eval (x, y) in numbers.test |> batch[64] {{
            report f1(net(flatten(x)){slice}, y{slice})
          }}
        }}"
        );
        run_refused(
            &text,
            &["a metric of the whole set takes a row for each sample"],
        );
    }
}
