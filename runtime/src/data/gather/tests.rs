//! Blocks against gathering one value at a time.

use super::*;
use crate::data::{Affine, Augmentation, Field};
use proptest::prelude::*;

const STORED: usize = 40;

fn split(shape: &[u64], values: Values, augmentations: Vec<Augmentation>) -> Split {
    let field = Field {
        shape: shape.to_vec(),
        values,
        classes: None,
        origin: "test".to_string(),
    };
    Split {
        augmentations,
        ..Split::new(vec![field])
    }
}

fn bytes(shape: &[u64], affine: Affine) -> Values {
    let count = STORED * shape.iter().product::<u64>() as usize;
    Values::Bytes(
        (0..count)
            .map(|index| (index * 31 % 251) as u8)
            .collect::<Vec<_>>()
            .into(),
        affine,
    )
}

/// A gathered block as numbers, from a place that held something else.
fn gather(split: &Split, rows: &[u32], lanes: usize) -> Vec<f32> {
    let samples = if lanes == 1 { rows.len() } else { lanes };
    let mut place = vec![f32::NAN; samples * split.fields[0].elements()];
    // SAFETY: floats viewed as bytes.
    let place_bytes =
        unsafe { std::slice::from_raw_parts_mut(place.as_mut_ptr().cast::<u8>(), place.len() * 4) };
    Gather::new(split, 1, 0).fill(0, rows, lanes, place_bytes);
    place
}

/// What a block should be: sample by sample.
fn expected(split: &Split, rows: &[u32], lanes: usize) -> Vec<f32> {
    let samples: Vec<_> = rows
        .iter()
        .map(|row| split.fields[0].sample(*row as usize))
        .collect();
    if lanes == 1 {
        return samples.concat();
    }
    let value =
        |lane: usize, element: usize| samples.get(lane).map_or(0.0, |sample| sample[element]);
    (0..split.fields[0].elements())
        .flat_map(|element| (0..lanes).map(move |lane| (lane, element)))
        .map(|(lane, element)| value(lane, element))
        .collect()
}

proptest! {
    #[test]
    fn blocks_hold_their_samples(
        shape in prop::collection::vec(1u64..6, 0..4),
        lanes in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
        rows in prop::collection::vec(0u32..STORED as u32, 1..17),
        is_bytes: bool,
    ) {
        let rows = &rows[..if lanes == 1 { rows.len() } else { rows.len().min(lanes) }];
        let channels = shape.first().copied().unwrap_or(1) as usize;
        let affine = Affine { scale: (1..=channels).map(|c| c as f32).collect(), bias: vec![-0.5; channels] };
        let values = if is_bytes {
            bytes(&shape, affine)
        } else {
            let count = STORED * shape.iter().product::<u64>() as usize;
            Values::Floats((0..count).map(|index| index as f32).collect::<Vec<_>>().into())
        };
        let split = split(&shape, values, vec![]);
        prop_assert_eq!(gather(&split, rows, lanes), expected(&split, rows, lanes));
    }

    #[test]
    fn full_blocks_take_the_fast_way(lanes in prop::sample::select(vec![4usize, 8, 16]), first in 0u32..20) {
        let rows: Vec<u32> = (first..first + lanes as u32).collect();
        let split = split(&[2, 3, 5], bytes(&[2, 3, 5], Affine { scale: vec![0.5, 2.0], bias: vec![1.0] }), vec![]);
        prop_assert_eq!(gather(&split, &rows, lanes), expected(&split, &rows, lanes));
    }
}

#[test]
fn augmentations_move_pixels_and_depend_on_the_sample_alone() {
    let augmentations = vec![
        Augmentation::RandomCrop {
            pad: 1,
            fill: vec![-1.0],
        },
        Augmentation::FlipHorizontal,
    ];
    let shape = [1, 2, 3];
    let split = split(
        &shape,
        bytes(&shape, Affine::uniform(1.0, 0.0)),
        augmentations,
    );
    let all: Vec<u32> = (0..STORED as u32).collect();
    let together = gather(&split, &all, 1);
    let mut same = 0;
    for row in &all {
        let alone = gather(&split, &[*row], 4);
        let lane: Vec<f32> = alone.iter().step_by(4).copied().collect();
        assert_eq!(lane, together[*row as usize * 6..][..6]);
        let original = split.fields[0].sample(*row as usize);
        assert!(
            lane.iter()
                .all(|value| *value == -1.0 || original.contains(value)),
            "{lane:?} of {original:?}"
        );
        same += usize::from(lane == original);
    }
    // One in eighteen keeps its place: neither mirrored nor shifted.
    assert!((1..10).contains(&same), "{same}");
}

#[test]
fn indices_are_checked() {
    let bound = IndexBound {
        below: 10,
        except: None,
    };
    let labels = Values::Integers(vec![0, 3, 9, 10, -1].into());
    let mut split = split(&[], labels, vec![]);
    let error = split
        .check_bound(0, bound)
        .expect_err("10 is too large")
        .to_string();
    assert_eq!(error, "test: sample 3 has 10, which is not in 0..10");
    split.rows = crate::data::Rows::First(3);
    assert!(split.check_bound(0, bound).is_ok());
    split.rows = crate::data::Rows::Listed(vec![0, 4].into());
    let error = split
        .check_bound(0, bound)
        .expect_err("-1 is negative")
        .to_string();
    assert_eq!(error, "test: sample 4 has -1, which is not in 0..10");
    let ignoring = IndexBound {
        below: 10,
        except: Some(-1),
    };
    assert!(split.check_bound(0, ignoring).is_ok());
}
