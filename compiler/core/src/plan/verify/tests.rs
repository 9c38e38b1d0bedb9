use std::collections::BTreeSet;

use super::*;
use crate::plan::parse_plan;

/// Breaks no rule.
const GOOD: &str = r#"plan "net.step" {
  batch 20
  space persistent 320 bytes
  space arena 7424 bytes
  space scratch 512 bytes

  buffer m0 "x": f32[B, 16] lanes(0)x8 in arena at 0, 1536 bytes, block 512
  buffer m1 "labels": u8[B] plain in arena at 1536, 24 bytes
  buffer m2 "net.w": f32[4, 16] plain in persistent at 0, 256 bytes
  buffer m3 "net.seen": i32[] plain in persistent at 256, 4 bytes
  buffer m4 "hidden": f32[B, 16] lanes(0)x8 in scratch at 0, 512 bytes
  buffer m5 "partial": f32[4, 16] partials in arena at 1600, 512 bytes, task 256
  buffer m6 "seen": i32[] plain in arena at 2432, 4 bytes
  buffer m7 "gradient": f32[4, 16] plain in arena at 2176, 256 bytes
  buffer m8 "copy": f32[4, 16] plain in arena at 0, 256 bytes
  buffer m9 "unused": f32[] plain in arena at 2496, 4 bytes
  buffer m10 "gradient[t]": f32[16] plain in arena at 2176, 64 bytes, row of m7
  buffer m11 "all": f32[4, 16] plain in arena at 2560, 256 bytes
  buffer m12 "all[t]": f32[16] plain in arena at 2560, 64 bytes, row of m11
  buffer m13 "columns": f32[B, 20] panels(16) in arena at 2816, 3072 bytes, block 512
  buffer m14 "ended": f32[B, 16] lanes(0)x8 in arena at 5888, 1536 bytes, block 512
  buffer m15 "behind": f32[B, 16] lanes(0)x8 in arena at 5888, 1536 bytes, block 512

  input data "x" m0
  input data "labels" m1
  input parameter "net.w" m2
  input state "net.seen" m3
  output parameter "net.w" m2
  output state "net.seen" m3
  output result "copy" m8

  kernel k0 "relu"(b0 "x": f32 read, b1 "y": f32 write)
  kernel k1 "part"(b0 "x": f32 read, b1 "w": f32 read, b2 "sum": f32 read_write; "valid")
  kernel k2 "update"(b0 "partial": f32 read, b1 "w": f32 read_write, b2 "sum": f32 write; "tasks", "begin", "end")
  kernel k3 "copy"(b0 "from": f32 read, b1 "to": f32 write)
  kernel k4 "count"(b0 "from": i32 read, b1 "to": i32 write)

  phase 0 {
    blocks of 8, at most 2 tasks "blocks" {
      zero m5
      call k0(m0, m14)
      call k0(m14, m4)
      call k0(m4, m13)
      call k0(m4, m15)
      call k1(m4, m2, m5; valid)
    }
    once "count" {
      call k4(m3, m6)
    }
  }
  phase 1 {
    ranges of 4 by 2 "update" {
      call k2(m5, m2, m7; tasks of 8 most 2, begin, end)
    }
  }
  phase 2 {
    once "copy" {
      call k3(m7, m8)
      repeat 4 backward {
        call k3(m10, m12)
      }
    }
  }

  commit m6 -> m3
}
"#;

/// Between the phases 0 and 1; without it they are one.
const JOINT: &str = "  }\n  phase 1 {\n    ranges of 4 by 2";

/// A rule, and a change of [`GOOD`] that breaks it.
const BREAKS: &[(Rule, &str, &str)] = &[
    (Rule::NotZero, "batch 20", "batch 0"),
    (
        Rule::NotZero,
        "blocks of 8, at most 2",
        "blocks of 8, at most 4294967296",
    ),
    (Rule::NotZero, "blocks of 8", "blocks of 0"),
    (Rule::NotZero, "ranges of 4 by 2", "ranges of 4 by 0"),
    (Rule::Exists, "call k0(m14, m4)", "call k0(m0, m44)"),
    (Rule::Exists, "call k0(m14, m4)", "call k9(m0, m4)"),
    (Rule::Exists, "commit m6 -> m3", "commit m6 -> m33"),
    (Rule::Alignment, "in arena at 2432", "in arena at 2436"),
    (
        Rule::Alignment,
        "512 bytes, task 256",
        "544 bytes, task 272",
    ),
    (Rule::WithinSpace, "persistent 320", "persistent 300"),
    (
        Rule::WithinSpace,
        "at 2176, 256 bytes",
        "at 18446744073709551552, 256 bytes",
    ),
    (Rule::Room, "at 2176, 256 bytes", "at 2176, 252 bytes"),
    (Rule::Room, "at 0, 1536 bytes", "at 0, 1535 bytes"),
    (Rule::Room, "1600, 512 bytes", "1600, 256 bytes"),
    (Rule::Room, "2816, 3072 bytes", "2816, 2560 bytes"),
    (
        Rule::Room,
        "copy\": f32[4, 16]",
        "copy\": f32[9000000000000000000, 16]",
    ),
    (Rule::Room, "copy\": f32[4, 16]", "copy\": f32[-1, -16]"),
    (
        Rule::Strides,
        "1536 bytes, block 512",
        "3072 bytes, block 1024",
    ),
    (Rule::Strides, "lanes(0)x8 in arena", "lanes(2)x8 in arena"),
    (
        Rule::Strides,
        "scratch at 0, 512 bytes",
        "scratch at 0, 512 bytes, block 512",
    ),
    (
        Rule::Strides,
        "partials in arena at 1600, 512 bytes, task 256",
        "partials in arena at 1600, 512 bytes",
    ),
    (
        Rule::Strides,
        "3072 bytes, block 512",
        "3072 bytes, block 528",
    ),
    (
        Rule::Strides,
        "3072 bytes, block 512",
        "3072 bytes, block 4",
    ),
    (
        Rule::Strides,
        "2816, 3072 bytes, block 512",
        "2816, 3072 bytes",
    ),
    (
        Rule::Strides,
        "panels(16) in arena",
        "panels(16) in scratch",
    ),
    (Rule::Strides, "panels(16) in arena", "panels(0) in arena"),
    (Rule::Arity, "m5; valid)", "m5)"),
    (Rule::Arity, "call k4(m3, m6)", "call k4(m3)"),
    (
        Rule::Elements,
        "seen\": i32[] plain in arena",
        "seen\": f32[] plain in arena",
    ),
    (Rule::Scalars, "m5; valid)", "m5; begin)"),
    (
        Rule::Scalars,
        "tasks of 8 most 2, begin, end)",
        "tasks of 8 most 2, begin, block)",
    ),
    (
        Rule::Scalars,
        "tasks of 8 most 2, begin, end)",
        "tasks of 8 most 2, begin, begin)",
    ),
    (
        Rule::Overwritten,
        "arena at 0, 256 bytes",
        "arena at 0, 256 bytes, cleared",
    ),
    (Rule::CallOverlap, "call k3(m7, m8)", "call k3(m7, m7)"),
    (
        Rule::CallOverlap,
        "copy\": f32[4, 16] plain in arena at 0",
        "copy\": f32[4, 16] plain in arena at 2368",
    ),
    (Rule::BlockSize, "blocks of 8", "blocks of 4"),
    (
        Rule::BlockSize,
        "3072 bytes, block 512",
        "3072 bytes, block 256",
    ),
    (Rule::Zeroed, "      zero m5\n", ""),
    (Rule::Zeroed, "zero m5", "zero m5, m7"),
    (Rule::PartialCount, "tasks of 8 most 2", "tasks of 8 most 4"),
    (Rule::Race, JOINT, "    ranges of 4 by 2"),
    (Rule::Race, "m2, m5; valid)", "m2, m7; valid)"),
    (Rule::Race, "call k4(m3, m6)", "call k3(m7, m2)"),
    (
        Rule::Race,
        "seen\": i32[] plain in arena at 2432",
        "seen\": i32[] plain in arena at 1600",
    ),
    (
        Rule::Race,
        "behind\": f32[B, 16] lanes(0)x8 in arena at 5888, 1536 bytes, block 512",
        "behind\": f32[B, 8] lanes(0)x8 in arena at 5888, 768 bytes, block 256",
    ),
    (
        Rule::Race,
        "ended\": f32[B, 16] lanes(0)x8 in arena at 5888",
        "ended\": f32[B, 16] lanes(0)x8 in arena at 5824",
    ),
    (Rule::Written, "      call k0(m14, m4)\n", ""),
    (Rule::Written, "call k3(m7, m8)", "call k3(m4, m8)"),
    (
        Rule::Written,
        "output result \"copy\" m8",
        "output result \"copy\" m8\n  output report \"part\" m9",
    ),
    (
        Rule::Overwritten,
        "copy\": f32[4, 16] plain in arena at 0",
        "copy\": f32[4, 16] plain in arena at 2432",
    ),
    (
        Rule::Overwritten,
        "labels\": u8[B] plain in arena at 1536",
        "labels\": u8[B] plain in arena at 1472",
    ),
    (
        Rule::Overwritten,
        "copy\": f32[4, 16] plain in arena at 0",
        "copy\": f32[4, 16] plain in persistent at 64",
    ),
    (Rule::Overwritten, "call k1(m4, m2", "call k1(m14, m2"),
    // The second round reads what the first has written over.
    (
        Rule::Overwritten,
        "      call k0(m14, m4)\n      call k0(m4, m13)\n      call k0(m4, m15)\n",
        "      repeat 2 {\n        call k0(m14, m4)\n        call k0(m4, m13)\n        call k0(m4, m15)\n      }\n",
    ),
    // Another group's blocks.
    (
        Rule::Race,
        "    once \"count\"",
        "    blocks of 8, at most 2 tasks \"others\" {\n      call k0(m0, m15)\n    }\n    once \"count\"",
    ),
    (Rule::Ports, "input data \"x\" m0", "input data \"x\" m2"),
    (
        Rule::Ports,
        "output result \"copy\" m8",
        "output result \"copy\" m5",
    ),
    (
        Rule::Ports,
        "output result \"copy\" m8",
        "output result \"copy\" m13",
    ),
    (
        Rule::Ports,
        "input data \"labels\" m1",
        "input data \"x\" m1",
    ),
    (
        Rule::Ports,
        "output result \"copy\" m8",
        "output result \"copy\" m4",
    ),
    (
        Rule::Ports,
        "output result \"copy\" m8",
        "output parameter \"copy\" m8",
    ),
    (Rule::Serial, "  phase 0 {", "  phase 0 serial {"),
    (Rule::Rows, "64 bytes, row of m7", "64 bytes, row of m0"),
    (Rule::Rows, "64 bytes, row of m11", "64 bytes, row of m13"),
    (Rule::Rows, "repeat 4 backward", "repeat 5 backward"),
    (Rule::Loops, "repeat 4 backward", "repeat 0 backward"),
    (Rule::Loops, "call k3(m7, m8)", "call k3(m10, m8)"),
    (Rule::Commits, "commit m6 -> m3", "commit m6 -> m2"),
    (Rule::Commits, "commit m6 -> m3", "commit m3 -> m6"),
];

fn faults(text: &str) -> Vec<Fault> {
    let plan = parse_plan(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    verify(&plan).err().unwrap_or_default()
}

#[test]
fn a_good_plan_has_no_fault() {
    assert_eq!(faults(GOOD), []);
}

#[test]
fn every_rule_has_a_plan_that_breaks_it() {
    let tested: BTreeSet<Rule> = BREAKS.iter().map(|case| case.0).collect();
    assert_eq!(tested, Rule::ALL.iter().copied().collect());
    let mut shown = String::new();
    for (rule, from, to) in BREAKS {
        assert!(GOOD.contains(from), "{from}");
        let mut broken = GOOD.replace(from, to);
        if *from == JOINT {
            broken = broken.replace("  phase 2 {", "  phase 1 {");
        }
        let found = faults(&broken);
        assert!(
            found.iter().any(|fault| fault.rule == *rule),
            "{rule:?}: {from} => {to}: {found:#?}"
        );
        shown += &format!("{} => {}\n", from.trim(), to.trim());
        for fault in found {
            shown += &format!("  {:?}: {}: {}\n", fault.rule, fault.place, fault.message);
        }
    }
    insta::assert_snapshot!(shown);
}
