//! Equal layers are one piece of code: depth adds calls, not kernels.

use dlm_core::elaborate::program::SourceSpec;
use dlm_core::elaborate::world::{PartDescription, SourceDescription, SplitDescription};
use dlm_core::elaborate::{DataCatalog, NoWorld, Settings, Source, World, train};
use dlm_core::graph::DType;
use dlm_core::loops::Kernel;
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use dlm_grammar::SourceMap;
use dlm_jit::distinct;

/// Sequences of 16 of 65 characters.
struct Characters;

impl DataCatalog for Characters {
    fn describe(&self, _: &SourceSpec) -> Result<SourceDescription, String> {
        let part = || PartDescription {
            dtype: DType::I32,
            shape: vec![16],
            classes: Some(65),
        };
        let split = |name: &str| SplitDescription {
            name: name.into(),
            count: 64,
            class_counts: Vec::new(),
            vocab: None,
        };
        Ok(SourceDescription {
            parts: vec![part(), part()],
            splits: vec![split("train"), split("test")],
        })
    }
}

const GPT: &str = r#"
data text = synthetic[64, "i32[16] 0..65", "i32[16] 0..65"]

block Layer[heads: int](x: f32[B, T, D]) -> f32[B, T, D] {
  let q, k, v = x |> LayerNorm |> Linear[3 * D] |> rearrange["b t (n h d) -> n b h t d", n=3, h=heads]
  let a = einsum["b h i d, b h j d -> b h i j"](q, k) / sqrt(D / heads) |> causal_mask |> softmax[axis=-1]
  let y = einsum["b h i j, b h j d -> b i h d"](a, v) |> rearrange["b t h d -> b t (h d)"] |> Linear[D]
  let h = x + y
  return h + (h |> LayerNorm |> Linear[4 * D] |> gelu |> Linear[D])
}

block Gpt[vocab: int](ids: i32[B, T]) -> f32[B, T, vocab] {
  let tok = Embedding[vocab, 32]
  param pos: f32[16, 32] = normal[0.02]
  let h = tok(ids) + pos[0:T]
  for i in 0..LAYERS { h = h |> Layer[4] }
  return h |> LayerNorm |> Linear[vocab]
}

train gpt[epochs=1] {
  let net = Gpt[65]
  let opt = adamw[lr=1e-3](net)
  step (x, y) in text.train |> batch[16] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
"#;

/// Kernel calls of a training step, and kernels that are compiled for it.
fn kernels(layers: usize) -> (usize, usize) {
    let text = GPT.replace("LAYERS", &layers.to_string());
    let (mut sources, settings) = (SourceMap::new(), Settings::default());
    let world = World {
        loader: &NoWorld,
        catalog: &Characters,
        settings: &settings,
    };
    let source = Source {
        name: "gpt.dlm",
        text: &text,
    };
    let elaborated = train(&mut sources, source, world, None);
    let program = elaborated
        .value
        .unwrap_or_else(|| panic!("{:?}", elaborated.diagnostics));
    let graph = run_passes(&program.step, PASSES, |_, _| {}).expect("passes");
    let layout = PersistentLayout::of(&graph);
    let plan = schedule(&graph, &Target::avx2(), 16, &layout).expect("a plan");
    let all: Vec<&Kernel> = plan.kernels.values().collect();
    let (kept, places) = distinct(&all);
    assert!(places.iter().all(|&place| place < kept.len()));
    (all.len(), kept.len())
}

#[test]
fn twelve_layers_are_compiled_as_two_are() {
    let (few_calls, few) = kernels(2);
    let (many_calls, many) = kernels(12);
    assert!(many_calls > 4 * few_calls, "{few_calls}, {many_calls}");
    assert!(
        10 * many <= 13 * few,
        "{few} kernels, {many} with 12 layers"
    );
}
