//! Plans with each product in a kernel of its own, and which products are the gradients of which.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::loops::{Instruction, Statement};
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Product, Target, schedule_apart};
use programs::{agrees, step};

const IMAGES: &str = r#"
data images = digits[]
block Net(x: f32[B, 1, 16, 16]) -> f32[B, 10] {
  let a = x |> Conv2d[16, 3, pad=1, bias=false] |> BatchNorm |> relu
  let b = a |> Conv2d[16, 3, pad=1] |> relu |> Conv2d[8, 3, stride=2] |> relu
  return b |> flatten |> Linear[32] |> gelu |> Linear[10]
}
train pictures[steps=1] {
  let net = Net
  let opt = sgd[lr=0.1, momentum=0.9](net)
  step (x, y) in images.train |> batch[19] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
"#;

fn apart(graph: &Graph, samples: usize, target: &Target) -> (Plan, Vec<Product>) {
    let layout = PersistentLayout::of(graph);
    schedule_apart(graph, target, samples, &layout).expect("a plan")
}

/// The products with their gradients, a line each.
fn told(products: &[Product]) -> Vec<String> {
    let line = |product: &Product| {
        let name = product.parameter.as_deref().unwrap_or("two values");
        let of = |of_parameter: bool| if of_parameter { "weights" } else { "input" };
        let gradients = product.gradients.iter();
        let gradients: Vec<&str> = gradients.map(|own| of(own.of_parameter)).collect();
        format!("{name}: {}", gradients.join(", "))
    };
    products.iter().map(line).collect()
}

fn kernels(products: &[Product]) -> Vec<&str> {
    let mut names = Vec::new();
    for product in products {
        names.push(product.kernel.as_str());
        names.extend(product.gradients.iter().map(|own| own.kernel.as_str()));
    }
    names
}

#[test]
fn each_product_knows_its_gradients() {
    let (_, products) = apart(&step(IMAGES), 19, &Target::avx2());
    assert_eq!(
        told(&products),
        [
            "net.conv2d_1.weight: weights",
            "net.conv2d_2.weight: input, weights",
            "net.conv2d_3.weight: input, weights",
            "net.linear_1.weight: input, weights",
            "net.linear_2.weight: input, weights",
        ]
    );
    let mut names = kernels(&products);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

/// Rows with room for windows, in batches that fill half a register; groups; every other pixel.
#[test]
fn gradients_are_found_in_other_orders() {
    let layers = [
        "Conv2d[32, 5, pad=2]",
        "Conv2d[4, 3] |> relu |> Conv2d[4, 3, groups=2]",
        "Conv2d[8, 1, stride=2, bias=false] |> BatchNorm",
    ];
    for layer in layers {
        let text = IMAGES.replace("Conv2d[16, 3, pad=1, bias=false] |> BatchNorm", layer);
        assert_ne!(text, IMAGES);
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            for samples in [2, 4, 19] {
                let (_, products) = apart(&step(&text), samples, &target);
                let found = told(&products);
                let weights = found.iter().filter(|line| line.ends_with("weights"));
                let inputs = found.iter().filter(|line| line.contains("input, weights"));
                let count = found.len();
                assert!(count >= 5, "{found:?}");
                assert_eq!(
                    (weights.count(), inputs.count()),
                    (count, count - 1),
                    "{layer}: {found:#?}"
                );
            }
        }
    }
}

/// Layers of one place in the source are told apart, and products of two values have two gradients.
#[test]
fn attention_has_products_of_values() {
    let text = include_str!("programs/gpt.dlm").replace(", clip_norm=1.0", "");
    let text = text.replace(
        "h |> TransformerLayer[4, causal=true]",
        "h + (h |> LayerNorm |> Attention[4])",
    );
    let (_, products) = apart(&step(&text), 4, &Target::avx2());
    let layer = [
        "linear_1.weight: input, weights",
        "two values: input, input",
        "two values: input, input",
        "linear_2.weight: input, weights",
    ];
    let found: Vec<String> = told(&products);
    let found: Vec<&str> = found
        .iter()
        .map(|line| line.rsplit_once("_1.").map_or(line.as_str(), |_| line))
        .collect();
    for layer_of in found.chunks(4).take(2) {
        for (line, wanted) in layer_of.iter().zip(layer) {
            assert!(line.ends_with(wanted), "{found:#?}");
        }
    }
}

/// A kernel that multiplies does nothing else than sum: its loops hold no functions, and what stands behind them is stored.
#[test]
fn nothing_is_joined_to_a_product() {
    let (plan, products) = apart(&step(IMAGES), 19, &Target::avx2());
    for name in kernels(&products) {
        let own = |kernel: &&dlm_core::loops::Kernel| {
            kernel.name == name || kernel.name == format!("{name}_part")
        };
        let found: Vec<_> = plan.kernels.values().filter(own).collect();
        assert!(!found.is_empty(), "{name}\n{plan}");
        let mut multiplies = 0;
        for kernel in found {
            kernel.body.for_each_statement(&mut |statement| {
                multiplies += usize::from(matches!(
                    statement,
                    Statement::Define(_, Instruction::Fma(..))
                ));
                let function = matches!(statement, Statement::Define(_, Instruction::Math(..)));
                assert!(!function, "{kernel}");
            });
        }
        assert!(multiplies > 0, "{name}");
    }
}

#[test]
fn values_are_those_of_the_graph() {
    let graph = step(IMAGES);
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        let (plan, _) = apart(&graph, 19, &target);
        assert!(agrees(&graph, &plan, 19) > 15);
    }
}
