use super::{Memory, Streams, ask_for_next_tile};
use crate::loops::text::parse_kernels;
use crate::loops::{Kernel, verify};

/// Tiles of two rows of a matrix of 4096, the second so many elements behind the first, of which a round reads eight.
fn product(row: i64, apart: i64) -> String {
    let load = |own: i64, at: i64| {
        let offset = own * apart + at;
        let value = 20 + 2 * (8 * own + at);
        let sum = match at {
            0 => format!("v{}", 7 + own),
            _ => format!("v{}", value - 1),
        };
        format!(
            "      v{value}: f32x16 = load_splat b1[v4 * {row} + v6 * 8 + {offset}]\n      \
             v{}: f32x16 = fma v10, v{value}, {sum}\n",
            value + 1
        )
    };
    let loads = (0..2).flat_map(|own| (0..8).map(move |at| load(own, at)));
    let loads: String = loads.collect();
    format!(
        r#"kernel "product" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 read
  buffer b2 "y": f32 write
  v0: index = const 0
  v1: index = const 4096
  v2: index = const {rounds}
  v3: f32x16 = const 0.0
  for v4 "i" in v0..v1 step 2 domain {{
    for v6 "r" in v0..v2 step 1 reduction carry v7: f32x16 = v3, v8: f32x16 = v3 {{
      v10: f32x16 = load b0[v6 * 16]
{loads}      next v35, v51
    }} give v60, v61
    store b2[v4 * 16], v60
    store b2[v4 * 16 + 16], v61
  }}
}}
"#,
        rounds = row / 8
    )
    .replace(" + 0]", "]")
}

pub(super) fn kernel(text: &str) -> Kernel {
    let mut kernels = parse_kernels(text).expect("parses");
    kernels.remove(0)
}

/// A second cache of two megabytes.
const LARGE: Memory = Memory {
    far: 3 << 19,
    far_shared: 3 << 19,
    work_a_line: 24,
    far_of_one_loop: 1 << 20,
};

fn asked(kernel: &Kernel) -> Vec<String> {
    asked_with(kernel, LARGE)
}

fn asked_with(kernel: &Kernel, memory: Memory) -> Vec<String> {
    prefetches(kernel, memory, &Streams::default())
}

/// What a kernel is made to ask for.
pub(super) fn prefetches(kernel: &Kernel, memory: Memory, given: &Streams) -> Vec<String> {
    let Some(asking) = ask_for_next_tile(kernel, memory, given) else {
        return Vec::new();
    };
    verify(&asking).expect("verifies");
    let text = asking.to_string();
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with("prefetch"));
    lines.map(String::from).collect()
}

#[test]
fn rows_behind_each_other_are_one_stretch() {
    // Two rows of 512 bytes, in 16 rounds: 16 lines, one each round, from the next two rows on.
    let wanted = ["prefetch b1[v4 * 128 + v6 * 16 + 256]"];
    assert_eq!(asked(&kernel(&product(128, 128))), wanted);
}

#[test]
fn rows_that_are_near_or_long_or_apart_are_not_asked_for() {
    // 4096 rows of 32 elements are half a megabyte.
    assert!(asked(&kernel(&product(32, 32))).is_empty());
    // Rows of four kilobytes are streams that processors follow.
    assert!(asked(&kernel(&product(1024, 1024))).is_empty());
    // Each of two rows by itself is half a line a round.
    assert!(asked(&kernel(&product(128, 8192))).is_empty());
}

/// A sum over 512 rows of `row` elements, 16 columns of each, with so many multiply-adds for each of two sums.
fn columns(row: i64, work: i64) -> String {
    let sums = (0..2 * work).map(|at| {
        let before = if at < 2 { 6 + at } else { 10 + at };
        format!("      v{}: f32x16 = fma v8, v9, v{before}\n", 12 + at)
    });
    let sums: String = sums.collect();
    format!(
        r#"kernel "columns" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 read
  buffer b2 "y": f32 write
  v0: index = const 0
  v1: index = const 256
  v2: index = const 512
  v3: f32x16 = const 0.0
  for v4 "i" in v0..v1 step 16 domain {{
    for v5 "r" in v0..v2 step 1 reduction carry v6: f32x16 = v3, v7: f32x16 = v3 {{
      v8: f32x16 = load b0[v5 * 16]
      v9: f32x16 = load b1[v4 + v5 * {row}]
      v10: f32x16 = load b1[v4 + v5 * {row} + 8]
{sums}      next v{}, v{}
    }} give v60, v61
    store b2[v4 * 16], v60
    store b2[v4 * 16 + 16], v61
  }}
}}
"#,
        10 + 2 * work,
        11 + 2 * work,
    )
}

#[test]
fn the_next_columns_of_rows_that_lie_apart_are_asked_for() {
    // Two megabytes, a line of each row.
    let wanted = ["prefetch b1[v4 + v5 * 1024 + 16]"];
    assert_eq!(asked(&kernel(&columns(1024, 4))), wanted);
    // Rows of a kilobyte, half a megabyte in all.
    assert!(asked(&kernel(&columns(256, 4))).is_empty());
    // Six multiply-adds are less than a line takes.
    assert!(asked(&kernel(&columns(1024, 3))).is_empty());
}

/// Sums of eight channels of an image of 64 rows of so many pixels, 32 channels of 16 samples each, for each of nine taps;
/// `moved` is how many pixels a round goes on by, and `read` how many it reads.
fn taps(pixels: i64, (moved, read): (i64, i64)) -> String {
    let mut body = String::new();
    let mut value = 20;
    let mut before = 9;
    for pixel in 0..read {
        for channel in 0..8 {
            let at = pixel * 512 + channel * 16;
            body += &format!(
                "            v{value}: f32x16 = load b0[v4 * 16 + v7 * {row} + v8 * {step} + {at}]\n",
                row = pixels * 512,
                step = moved * 512,
            );
            for _ in 0..3 {
                value += 1;
                let load = value - value % 4;
                body +=
                    &format!("            v{value}: f32x16 = fma v{load}, v{load}, v{before}\n");
                before = value;
            }
            value += 1;
        }
    }
    format!(
        r#"kernel "taps" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 write
  v0: index = const 0
  v1: index = const 32
  v2: index = const 3
  v3: f32x16 = const 0.0
  v13: index = const 64
  v14: index = const {pixels}
  for v4 "i0" in v0..v1 step 8 domain {{
    for v5 "i1" in v0..v2 step 1 domain {{
      for v6 "i2" in v0..v2 step 1 domain {{
        for v7 "r1" in v0..v13 step 1 reduction carry v10: f32x16 = v3 {{
          for v8 "r2" in v0..v14 step 1 reduction carry v9: f32x16 = v10 {{
{body}            next v{before}
          }} give v11
          next v11
        }} give v12
        store b1[v4 * 16 + v5 * 1024 + v6 * 2048], v12
      }}
    }}
  }}
}}
"#
    )
    .replace(" + 0]", "]")
}

/// Sums of four channels of an image of half a megabyte, each with eight multiply-adds, for so many tiles beside each
/// other of the same channels.
fn pixels(beside: i64) -> String {
    let channel = |own: i64| {
        let load = 20 + own * 9;
        let sums = (1..9).map(|at| match own * 8 + at {
            1 => format!("v{}: f32x16 = fma v{load}, v{load}, v9\n", load + at),
            _ if at == 1 => format!(
                "v{}: f32x16 = fma v{load}, v{load}, v{}\n",
                load + at,
                load - 1
            ),
            _ => format!(
                "v{}: f32x16 = fma v{load}, v{load}, v{}\n",
                load + at,
                load + at - 1
            ),
        });
        format!(
            "v{load}: f32x16 = load b0[v4 * 16 + v7 * 8192 + v8 * 512 + {}]\n",
            own * 16
        ) + &sums.collect::<String>()
    };
    let body: String = (0..4).map(channel).collect();
    format!(
        r#"kernel "pixels" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 write
  v0: index = const 0
  v1: index = const 32
  v2: index = const {beside}
  v3: f32x16 = const 0.0
  v13: index = const 16
  v14: index = const 8
  for v4 "i0" in v0..v1 step 4 domain {{
    for v5 "i1" in v0..v2 step 1 domain {{
      for v7 "r1" in v0..v13 step 1 reduction carry v10: f32x16 = v3 {{
        for v8 "r2" in v0..v14 step 1 reduction carry v9: f32x16 = v10 {{
{body}          next v55
        }} give v11
        next v11
      }} give v12
      store b1[v4 * 16 + v5 * 1024], v12
    }}
  }}
}}
"#
    )
    .replace(" + 0]", "]")
}

#[test]
fn a_small_cache_asks_for_more() {
    let small = Memory {
        far: 384 << 10,
        far_shared: 768 << 10,
        far_of_one_loop: 1 << 20,
        work_a_line: 8,
    };
    let alone = kernel(
        &pixels(1)
            .replace("    for v5 \"i1\" in v0..v2 step 1 domain {\n", "")
            .replace("v4 * 16 + v5 * 1024]", "v4 * 16]")
            .replacen("    }\n  }\n}\n", "  }\n}\n", 1),
    );
    let wanted: Vec<String> = (4..8)
        .map(|channel| {
            format!(
                "prefetch b0[v4 * 16 + v7 * 8192 + v8 * 512 + {}]",
                channel * 16
            )
        })
        .collect();
    assert_eq!(asked_with(&alone, small), wanted);
    assert!(asked_with(&alone, LARGE).is_empty());
    // Tiles between one and the next read the same again.
    assert!(asked_with(&kernel(&pixels(3)), small).is_empty());
}

#[test]
fn what_is_far_for_a_sum_of_one_loop_is_the_memorys() {
    // A megabyte, less what lies behind the last place.
    let own = kernel(&columns(512, 16));
    assert!(asked(&own).is_empty());
    let memory = Memory {
        far_of_one_loop: 1 << 19,
        ..LARGE
    };
    let wanted = ["prefetch b1[v4 + v5 * 512 + 16]"];
    assert_eq!(asked_with(&own, memory), wanted);
}

#[test]
fn a_place_that_a_round_computes_is_not_asked_for() {
    // As the quotient of a position by what it does not divide by.
    let plain = taps(32, (1, 1));
    let line = "            v20: f32x16 = load b0[v4 * 16 + v7 * 16384 + v8 * 512]\n";
    assert!(plain.contains(line), "{plain}");
    let quotient = "            v15: index = div_floor v8, v2\n".to_owned()
        + &line.replace("v8 * 512]", "v8 * 512 + v15 * 512]");
    let text = plain.replace(line, &quotient);
    let asked = asked(&kernel(&text));
    assert!(
        !asked.is_empty() && !asked.join("").contains("v15"),
        "{asked:?}"
    );
}

#[test]
fn tiles_that_read_the_same_ask_for_their_shares_of_the_next() {
    // Eight lines of a pixel, nine taps: one each, the next tile's channels being 128 elements further.
    let wanted = ["prefetch b0[v4 * 16 + v5 * 48 + v6 * 16 + v7 * 16384 + v8 * 512 + 128]"];
    assert_eq!(asked(&kernel(&taps(32, (1, 1)))), wanted);
}

/// Weights of eight of 32 channels for each of eight taps, of an image of 64 rows of 32 pixels, `rows` of them at a time;
/// all tiles of those rows read an operand of so many bytes.
fn some_rows(rows: i64, bytes: i64) -> String {
    let channel = |own: i64| {
        let (load, offset) = (20 + own * 4, own * 16);
        let first = if own == 0 { 9 } else { load - 1 };
        format!(
            "            v{load}: f32x16 = load b0[v4 * 16 + v7 * 16384 + v8 * 512 + {offset}]\n            \
             v{}: f32x16 = fma v{load}, v19, v{first}\n            \
             v{}: f32x16 = fma v{load}, v19, v{}\n            \
             v{}: f32x16 = fma v{load}, v19, v{}\n",
            load + 1,
            load + 2,
            load + 1,
            load + 3,
            load + 2,
        )
    };
    let channels: String = (0..8).map(channel).collect();
    let apart = bytes / 4 / 64;
    format!(
        r#"kernel "rows" {{
  buffer b0 "g": f32 read
  buffer b1 "x": f32 read
  buffer b2 "w": f32 write
  v0: index = const 0
  v1: index = const 32
  v2: index = const 8
  v3: f32x16 = const 0.0
  v13: index = const 64
  v14: index = const {rounds}
  v15: index = const {rows}
  v60: index = const 1
  for v61 "rows" in v0..v14 step 1 domain {{
    v62: index = mul v61, v15
    v63: index = add v62, v15
    v64: index = max v62, v60
    for v4 "i0" in v0..v1 step 8 domain {{
      for v5 "i1" in v0..v2 step 1 domain {{
        for v7 "r1" in v64..v63 step 1 reduction carry v10: f32x16 = v3 {{
          for v8 "r2" in v0..v1 step 1 reduction carry v9: f32x16 = v10 {{
            v18: f32x16 = load b1[v7 * {apart} + v8 * 16]
            v19: f32x16 = load b1[v7 * {apart} + v8 * 16 + 16]
{channels}            next v51
          }} give v11
          next v11
        }} give v12
        store b2[v4 * 16 + v5 * 1024], v12
      }}
    }}
  }}
}}
"#,
        rounds = 64 / rows,
    )
    .replace(" + 0]", "]")
}

#[test]
fn the_first_channels_of_the_next_rows_follow_the_last_of_these() {
    // Eight lines of a pixel, one for each tap; 32 channels of 16 samples back and two rows of 16384 elements further.
    let text = some_rows(2, 64 << 10);
    let own = ask_for_next_tile(&kernel(&text), LARGE, &Streams::default());
    let own = own.expect("asks").to_string();
    let line = |start: &str| {
        let found = own
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with(start));
        found.map(String::from).collect::<Vec<String>>()
    };
    assert_eq!(
        line("prefetch"),
        ["prefetch b0[v11 * 16 + v12 * 16 + v16 * 32256 + v17 * 16384 + v19 * 512 + 128]"]
    );
    // The last tile begins at 24.
    assert_eq!(line("v13:"), ["v13: index = const -23"]);
    assert_eq!(line("v15:"), ["v15: index = add v11, v13"]);
    assert_eq!(line("v16:"), ["v16: index = max v15, v14"]);
}

/// A sum with one multiply-add a round, too few to ask for a line.
const FEW: &str = r#"
        for v70 "r1" in v64..v63 step 1 reduction carry v71: f32x16 = v3 {
          for v72 "r2" in v0..v1 step 1 reduction carry v73: f32x16 = v71 {
            v74: f32x16 = load b0[v4 * 16 + v70 * 16384 + v72 * 512]
            v75: f32x16 = fma v74, v74, v73
            next v75
          } give v76
          next v76
        } give v77
        store b2[v4 * 16 + v5 * 1024 + 16], v77
"#;

#[test]
fn what_is_not_asked_for_leaves_no_value_behind() {
    let (text, store) = (some_rows(2, 64 << 10), "], v12\n");
    assert!(text.contains(store));
    let text = text.replace(store, &format!("], v12{FEW}"));
    let own = ask_for_next_tile(&kernel(&text), LARGE, &Streams::default()).expect("asks");
    assert_eq!(kernel(&own.to_string()), own);
}

#[test]
fn what_all_tiles_of_some_rows_read_is_asked_for_of_the_next_rows() {
    let of_x = |rows: i64, bytes: i64| {
        let mut asked = asked(&kernel(&some_rows(rows, bytes)));
        asked.retain(|line| line.starts_with("prefetch b1"));
        asked
    };
    // Rows of 1024 elements, and the line that is new in a round.
    assert_eq!(
        of_x(2, 256 << 10),
        ["prefetch b1[v17 * 1024 + v19 * 16 + 2064]"]
    );
    assert_eq!(
        of_x(4, 256 << 10),
        ["prefetch b1[v17 * 1024 + v19 * 16 + 4112]"]
    );
    // It stays near, or does not stay for a tile.
    assert!(of_x(2, 64 << 10).is_empty());
    assert!(of_x(2, 4 << 20).is_empty());
    // What a tap moves forth and the sum's begin back is where it was.
    let text = some_rows(1, 256 << 10)
        .replace("mul v61, v15", "sub v15, v61")
        .replace("v7 * 1024", "v7 * 1024 + v61 * 1024");
    assert!(text.contains("v61 * 1024"));
    let mut asked = asked(&kernel(&text));
    asked.retain(|line| line.starts_with("prefetch b1"));
    assert!(asked.is_empty(), "{asked:?}");
}

#[test]
fn windows_and_images_that_stay_near_are_not_asked_for() {
    // Each round reads a pixel that the one before has read.
    assert!(asked(&kernel(&taps(32, (1, 2)))).is_empty());
    assert!(asked(&kernel(&taps(4, (1, 1)))).is_empty());
}
