use super::*;

const SAMPLE: &str = r#"kernel "every \"form\"" {
  note "tile 2x4, 8 lanes"
  span 0:12..40
  buffer b0 "x": f32 read
  buffer b1 "labels": u8 read
  buffer b2 "y": f32 read_write
  buffer b3 "flags": bool write
  buffer b4 "halves": bf16 read
  scalar v0 "n"
  v1: index = const -3
  v2: f32x8 = const 1.5e-12
  v3: f32x8 = const bits 0x7fc00000
  v4: maskx8 = const true
  v5: i32x8 = const -7
  v6: index = min v0, v1
  for v7 "k" in v1..v0 step 2 reduction carry v8: f32x8 = v2, v9: f32x8 = v3 {
    v10: f32x8 = load b0[v1 * -4 + v7 + 12]
    v11: f32x8 = load_splat b0[3]
    v12: f32x8 = load_strided b0[v7], 7
    v13: f32x8 = fma v10, v11, v12
    v14: maskx8 = lt v13, v2
    if v6 {
      v15: f32x8 = select v14, v13, v8
      store b2[v7 + -1], v15, stride 3
    } give v16: f32x8 = v15 else v13
    v17: f32x8 = exp v16
    next v17, v9
  } give v18, v19
  v20: i32x1 = load b1[v0]
  v21: index = int_to_index v20
  v22: i32x8 = shift_left v5, 3
  v23: f32x1 = extract v18, 2
  v24: i32x8 = lane_iota
  v25: i32x8 = load_splat_pair b4[v0 * 2]
  v26: f32x8 = dot_pairs v25, v24, v2
  v27: f32x4 = half v18, 1
  v28: f32x8 = join v27, v27
  store b3[v21], v4
}
"#;

#[test]
fn prints_what_it_parsed() {
    let kernels = parse_kernels(SAMPLE).expect("parses");
    assert_eq!(kernels[0].to_string(), SAMPLE);
    let again = parse_kernels(&kernels[0].to_string()).expect("parses");
    assert_eq!(again, kernels);
}

#[test]
fn every_operation_reads_back() {
    use crate::loops::{IntOp, MathOp, VectorBinary, VectorUnary};
    let mut text = String::from("kernel \"k\" {\n  scalar v0 \"n\"\n");
    for op in IntOp::ALL {
        text += &format!("  v1: index = {} v0, v0\n", op.name());
    }
    for op in VectorUnary::ALL {
        text += &format!("  v2: f32x4 = {} v2\n", op.name());
    }
    for op in VectorBinary::ALL {
        text += &format!("  v2: f32x4 = {} v2, v2\n", op.name());
    }
    for op in MathOp::ALL {
        let operands = vec!["v2"; op.operand_count()].join(", ");
        text += &format!("  v2: f32x4 = {} {operands}\n", op.name());
    }
    text += "}\n";
    let kernels = parse_kernels(&text).expect("parses");
    assert_eq!(kernels[0].to_string(), text);
}

#[test]
fn errors_name_line_and_expectation() {
    let check = |text: &str| parse_kernels(text).expect_err(text).to_string();
    insta::assert_snapshot!(
        [
            "kernel {",
            "kernel \"a\" {\n  v1: f32x8 = fnord v0\n}",
            "kernel \"a\" {\n  v1: f32x8 = fma v0, v1\n}",
            "kernel \"a\" {\n  v99999999: index = const 1\n}",
            "kernel \"a\" {\n  v1: index = const 99999999999999999999\n}",
            "kernel \"a\" {\n  for v1 \"i\" in v0..v0 step 1 domain carry v2: index = v0 {\n  }\n}",
            "kernel \"a\" {\n  buffer b1 \"x\": f32 read\n}",
            "kernel \"a\" {\n  $\n}",
            "kernel \"a",
        ]
        .map(|text| format!("{text}\n  => {}\n", check(text)))
        .join("\n")
    );
    let deep = format!("kernel \"a\" {{\n{}", "if v0 {\n".repeat(100_000));
    assert!(check(&deep).contains("nested too deep"));
}
