use super::*;
use crate::plan::parse_plan;

/// Every kind of group, layout, space and scalar, on exact numbers.
const SMALL: &str = include_str!("small.plan");

fn parsed(text: &str) -> Plan {
    parse_plan(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Whole numbers, some negative.
fn x(batch: usize) -> Tensor {
    Tensor::from_fn(&[batch as i64, 4], |at| (at[0] * 3 % 7 - 2 * at[1]) as f64)
}

fn inputs(batch: usize) -> BTreeMap<(InputKind, String), Tensor> {
    let labels = Tensor::from_fn(&[batch as i64], |at| at[0] as f64 - 3.0);
    BTreeMap::from([
        ((InputKind::Data, "x".into()), x(batch)),
        ((InputKind::Data, "labels".into()), labels),
        (
            (InputKind::Parameter, "net.w".into()),
            Tensor::new(&[4], vec![1.0, 2.0, 3.0, 4.0]),
        ),
        ((InputKind::State, "net.seen".into()), Tensor::scalar(100.0)),
        ((InputKind::Scalar, "scale".into()), Tensor::scalar(2.0)),
    ])
}

#[test]
fn a_step_is_what_it_says() {
    let plan = parsed(SMALL);
    for batch in [1, 7, 8, 9, 16, 17, 20] {
        let outputs = interpret(&plan, batch, &inputs(batch)).expect("runs");
        let relu = Tensor::from_fn(&[batch as i64, 4], |at| (2.0 * x(batch).at(at)).max(0.0));
        let column = |i: i64| (0..batch as i64).map(|b| relu.at(&[b, i])).sum::<f64>();
        let gradient: Vec<f64> = (0..4).map(column).collect();
        assert!(gradient[0] > 0.0 || batch == 1);
        let weights = (0..4).map(|i| i as f64 + 1.0 - 0.5 * gradient[i]).collect();
        let doubled = Tensor::from_fn(&[batch as i64], |at| 2.0 * (at[0] as f64 - 3.0));
        let expected = [
            (OutputKind::Parameter, "net.w", Tensor::new(&[4], weights)),
            (
                OutputKind::State,
                "net.seen",
                Tensor::scalar(100.0 + batch as f64),
            ),
            (OutputKind::Result, "relu", relu),
            (OutputKind::Result, "doubled", doubled),
            (OutputKind::Report, "gradient", Tensor::new(&[4], gradient)),
        ];
        let expected: Vec<_> = expected
            .map(|(kind, name, value)| ((kind, name.to_string()), value))
            .into();
        assert_eq!(
            outputs.into_iter().collect::<Vec<_>>(),
            expected,
            "batch {batch}"
        );
    }
}

#[test]
fn steps_go_on_from_each_other_in_any_order() {
    let plan = parsed(SMALL);
    let run = |order| {
        let mut interpreter = Interpreter::new(&plan).expect("a good plan");
        for ((kind, name), value) in inputs(20) {
            interpreter.feed(kind, &name, 20, &value).expect("an input");
        }
        interpreter.step(20, order).expect("runs");
        for name in ["x", "labels"] {
            let value = &inputs(9)[&(InputKind::Data, name.to_string())];
            interpreter
                .feed(InputKind::Data, name, 9, value)
                .expect("an input");
        }
        interpreter.step(9, order).expect("runs");
        let seen = interpreter
            .read(OutputKind::State, "net.seen", 9)
            .expect("an output");
        assert_eq!(seen, Tensor::scalar(129.0));
        interpreter
            .read(OutputKind::Parameter, "net.w", 9)
            .expect("an output")
    };
    let forward = run(Order::Forward);
    assert!(forward.data.iter().all(|weight| weight.is_finite()));
    assert_eq!(forward, run(Order::Backward));
}

#[test]
fn values_in_lanes_read_back() {
    let plan = parsed(
        "plan \"p\" {\n  batch 5\n  space arena 1024 bytes\n  buffer m0 \"x\": bool[3, B, 2] lanes(1)x4 in arena at 0, \
         48 bytes, block 24\n}",
    );
    let buffer = plan.buffers.values().next().expect("one");
    let value = Tensor::from_fn(&[3, 5, 2], |at| ((at[0] + at[1] * at[2]) % 2) as f64);
    let mut memory = vec![7; 48];
    values::pack(buffer, &value, &mut memory);
    assert_eq!(values::unpack(buffer, &[3, 5, 2], &memory), value);
    let index = |at: [usize; 3]| (at[1] / 4 * 6 + at[0] * 2 + at[2]) * 4 + at[1] % 4;
    assert_eq!(memory[index([1, 4, 0])], 1);
    assert_eq!(memory[index([1, 3, 1])], 0);
    assert_eq!(&memory[25..28], [0, 0, 0]);
}

#[test]
fn what_was_not_written_is_not_a_number() {
    let text = SMALL.replacen("index = const 4", "index = const 3", 1);
    let plan = parsed(&text);
    let outputs = interpret(&plan, 20, &inputs(20)).expect("runs");
    let relu = &outputs[&(OutputKind::Result, "relu".to_string())];
    assert!(relu.at(&[19, 3]).is_nan());
    assert!(relu.at(&[19, 2]).is_finite());
}

fn error(text: &str, batch: usize) -> String {
    let plan = parsed(text);
    interpret(&plan, batch, &inputs(batch))
        .expect_err("fails")
        .to_string()
}

#[test]
fn what_goes_wrong_is_told() {
    let beyond_block = SMALL.replace("store b1[v3 * 8], v5", "store b1[v3 * 8 + 1], v5");
    let beyond_range = SMALL.replace("store b2[v6], v11", "store b2[v3 + 3], v11");
    let backwards = SMALL
        .replace(
            "v3: i32x1 = load b0[v2]",
            "v3: i32x1 = load b0[v2 * -1 + 19]",
        )
        .replace("from\": i32 read", "from\": i32 read_write")
        .replace("store b1[v2], v4", "store b1[v2], v4\n    store b0[v2], v4");
    let faulty = SMALL
        .replace("  phase 1 {\n", "")
        .replace("m3, m6; batch)\n    }\n  }\n", "m3, m6; batch)\n    }\n");
    let huge = SMALL.replace(
        "space scratch 128 bytes",
        "space scratch 9223372036854775808 bytes",
    );
    let shown = [
        ("a store beyond the block", error(&beyond_block, 20)),
        ("every range writes one element", error(&beyond_range, 20)),
        ("ranges read what others write", error(&backwards, 20)),
        ("a race by the plan", error(&faulty, 20)),
        ("too much memory", error(&huge, 20)),
        ("too large a batch", error(SMALL, 21)),
        ("no batch", error(SMALL, 0)),
    ];
    let plan = parsed(SMALL);
    let mut few = inputs(20);
    few.remove(&(InputKind::Data, "x".to_string()));
    let missing = interpret(&plan, 20, &few)
        .expect_err("x is missing")
        .to_string();
    few.insert((InputKind::Data, "x".to_string()), x(19));
    let misshapen = interpret(&plan, 20, &few)
        .expect_err("x is short")
        .to_string();
    let shown = shown
        .map(|(what, error)| format!("{what}:\n{error}\n"))
        .join("\n");
    insta::assert_snapshot!(format!("{shown}\n{missing}\n{misshapen}"));
}
