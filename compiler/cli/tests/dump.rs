//! What a person who tunes kernels reads: the plan of LeNet's training step, whole.

mod common;

use common::{Place, workspace};

#[test]
fn the_plan_of_lenet_has_two_phases_and_no_kernel_too_many() {
    let program = workspace().join("models/lenet.dlm").display().to_string();
    let arguments = [
        "dump",
        &program,
        "--emit",
        "plan",
        "--target-features",
        "vector128",
    ];
    let plan = Place::new().dlmc(&arguments).good().stdout;
    insta::assert_snapshot!(plan);
    assert_eq!(plan.matches("\n  phase ").count(), 2);
    let kernels: Vec<&str> = plan
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("kernel k"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(kernels.len() > 20, "{kernels:?}");
    // Elementwise kernels: the exponentials of the loss, and the optimizer's count of updates.
    let maps = kernels.iter().filter(|name| name.starts_with("map"));
    assert_eq!(maps.count(), 2, "{kernels:?}");
    // Plain copies: the activations that the weight gradients of the three dense layers read.
    let copies = kernels.iter().filter(|name| name.starts_with("relayout"));
    assert_eq!(copies.count(), 3, "{kernels:?}");
}
