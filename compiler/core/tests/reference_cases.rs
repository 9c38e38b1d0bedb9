//! Each reference case elaborates, and the slow evaluator computes what PyTorch does, gradients included.

use dlm_core::elaborate::{self, CallRequest, Callable, NoWorld, Settings, Source, World};
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::passes;
use dlm_grammar::SourceMap;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One case: its program, its tensors, its tolerances.
struct Case {
    text: String,
    tensors: BTreeMap<String, (DType, Tensor)>,
    training: bool,
    rtol: f64,
    atol: f64,
}

/// The cases beside the project, if they are there.
fn reference_folder() -> Option<PathBuf> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference/cases"
    );
    let path = Path::new(path);
    if path.is_dir() {
        return Some(path.to_owned());
    }
    println!("skipped: no reference cases beside the project");
    None
}

fn decoded(view: &safetensors::tensor::TensorView<'_>) -> (DType, Tensor) {
    let shape: Vec<i64> = view.shape().iter().map(|&extent| extent as i64).collect();
    let words = view
        .data()
        .chunks_exact(4)
        .map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]]);
    let (dtype, data): (DType, Vec<f64>) = match view.dtype() {
        Dtype::F32 => (
            DType::F32,
            words
                .map(|bytes| f64::from(f32::from_le_bytes(bytes)))
                .collect(),
        ),
        Dtype::I32 => (
            DType::I32,
            words
                .map(|bytes| f64::from(i32::from_le_bytes(bytes)))
                .collect(),
        ),
        other => panic!("a case has {other:?}"),
    };
    (dtype, Tensor::new(&shape, data))
}

fn load(program: &Path) -> Case {
    let text = std::fs::read_to_string(program).expect("the case is readable");
    let bytes =
        std::fs::read(program.with_extension("safetensors")).expect("its tensors are readable");
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a safetensors header");
    let metadata = header.metadata().clone().expect("its metadata");
    let number = |key: &str| metadata[key].parse::<f64>().expect("a number");
    Case {
        text,
        training: metadata["mode"] == "train",
        rtol: number("rtol"),
        atol: number("atol"),
        tensors: tensors
            .tensors()
            .iter()
            .map(|(key, view)| (key.clone(), decoded(view)))
            .collect(),
    }
}

fn callable(case: &Case) -> Result<Callable, String> {
    let arguments = case.tensors.iter().filter_map(|(key, (dtype, tensor))| {
        let name = key.strip_prefix("in.")?;
        let shape: Vec<Dim> = tensor
            .shape
            .iter()
            .map(|&extent| Dim::fixed(extent))
            .collect();
        Some((name.to_owned(), TensorType::new(*dtype, shape)))
    });
    let request = CallRequest {
        arguments: arguments.collect(),
        training: case.training,
        gradients: case.tensors.contains_key("cotangent"),
    };
    let settings = Settings::default();
    let world = World {
        loader: &NoWorld,
        catalog: &NoWorld,
        settings: &settings,
    };
    let name = if case.text.contains("fn case") {
        "case"
    } else {
        "Case"
    };
    let mut sources = SourceMap::new();
    let main = Source {
        name: "case.dlm",
        text: &case.text,
    };
    let elaborated = elaborate::callable(&mut sources, main, world, name, &request);
    let rendered = sources.render_all(&elaborated.diagnostics);
    elaborated.value.ok_or(rendered)
}

/// What is wrong with a computed tensor, if anything.
fn difference(key: &str, case: &Case, got: &Tensor) -> Option<String> {
    let (_, want) = case.tensors.get(key)?;
    if got.shape != want.shape {
        return Some(format!(
            "{key}: shape {:?}, wanted {:?}",
            got.shape, want.shape
        ));
    }
    let far = |(got, want): (&f64, &f64)| {
        let distance = (got - want).abs();
        distance.is_nan() || distance > case.atol + case.rtol * want.abs()
    };
    let wrong = got.data.iter().zip(&want.data).position(far);
    wrong.map(|index| {
        format!(
            "{key}[{index}]: {}, wanted {}",
            got.data[index], want.data[index]
        )
    })
}

fn run(case: &Case) -> Result<(), String> {
    let callable = callable(case)?;
    let graph = passes::run_passes(&callable.graph, passes::PASSES, |_, _| {})
        .map_err(|error| format!("passes: {error}"))?;
    let inputs = case.tensors.iter().map(|(key, (_, tensor))| {
        let name = ["in.", "param.", "state."]
            .iter()
            .find_map(|prefix| key.strip_prefix(prefix));
        (name.unwrap_or(key).to_owned(), tensor.clone())
    });
    let mut inputs: eval::Inputs = inputs.collect();
    inputs.insert("seed".into(), Tensor::scalar(0.0));
    inputs.insert("counter".into(), Tensor::scalar(0.0));
    let outputs = eval::evaluate_single(&graph, 1, &inputs).map_err(|error| error.to_string())?;
    let states: Vec<&str> = callable
        .states
        .iter()
        .map(|state| state.path.as_str())
        .collect();
    let mut compared = 0;
    for (name, value) in &outputs {
        let key = if states.contains(&name.as_str()) {
            format!("state_out.{name}")
        } else {
            name.clone()
        };
        if let Some(difference) = difference(&key, case, value) {
            return Err(difference);
        }
        compared += usize::from(case.tensors.contains_key(&key));
    }
    let wanted = case.tensors.keys().filter(|key| {
        key.starts_with("out") || key.starts_with("grad.") || key.starts_with("state_out.")
    });
    let wanted: Vec<&String> = wanted.collect();
    if compared != wanted.len() {
        return Err(format!("{compared} tensors computed of {wanted:?}"));
    }
    let telling = wanted.iter().any(|key| {
        case.tensors[*key]
            .1
            .data
            .iter()
            .any(|x| *x != 0.0 && x.is_finite())
    });
    if telling {
        Ok(())
    } else {
        Err("the case tells nothing".to_owned())
    }
}

/// Runs every case of a folder; names those that fail.
fn run_folder(folder: &Path) {
    let mut programs: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dlm"))
        .collect();
    programs.sort();
    let mut failures = Vec::new();
    let mut passed = 0;
    for program in &programs {
        match run(&load(program)) {
            Ok(()) => passed += 1,
            Err(reason) => failures.push(format!("{}: {reason}", program.display())),
        }
    }
    println!("{passed} cases pass, {} fail", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 0, "no case was run");
}

#[test]
fn every_reference_case_agrees_with_pytorch() {
    if let Some(folder) = reference_folder() {
        run_folder(&folder);
    }
}

#[test]
fn the_rest_of_the_library_agrees_with_pytorch() {
    run_folder(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/pytorch"
    )));
}
