//! Stages by the numbers they give, and by their errors.

use std::path::Path;

use super::*;
use crate::data::{Split, Value, load};

/// Two images of two channels, 1x2, from bytes that stand for 0, 0.1 … 0.7.
fn images() -> Dataset {
    let values = Values::Bytes(
        (0..8).collect::<Vec<u8>>().into(),
        Affine::uniform(0.1, 0.0),
    );
    dataset(Field {
        shape: vec![2, 1, 2],
        values,
        classes: None,
        origin: "images".to_string(),
    })
}

fn floats(shape: &[u64], values: &[f32]) -> Dataset {
    let values = Values::Floats(values.to_vec().into());
    dataset(Field {
        shape: shape.to_vec(),
        values,
        classes: None,
        origin: "floats".to_string(),
    })
}

fn dataset(field: Field) -> Dataset {
    let labels = Values::Integers((0..field.stored() as i32).collect::<Vec<_>>().into());
    let label = Field {
        shape: vec![],
        values: labels,
        classes: Some(4),
        origin: "labels".to_string(),
    };
    Dataset {
        splits: [("train".to_string(), Split::new(vec![field, label]))]
            .into_iter()
            .collect(),
    }
}

fn numbers(values: &[f64]) -> Value {
    Value::List(values.iter().map(|value| Value::Float(*value)).collect())
}

fn stage(name: &str, values: &[f64]) -> Invocation {
    let value = |value: &f64| {
        if value.fract() == 0.0 {
            Value::Int(*value as i64)
        } else {
            Value::Float(*value)
        }
    };
    Invocation::new(name, values.iter().map(value))
}

/// All samples of the first part after some stages, rounded to thousandths.
fn apply(mut dataset: Dataset, stages: &[Invocation]) -> Vec<Vec<f32>> {
    apply_stages(&mut dataset, stages).expect("fits");
    let split = dataset.splits.values().next().expect("a split");
    let rows = split.order(0, 0);
    let rounded = |values: Vec<f32>| {
        values
            .into_iter()
            .map(|value| (value * 1e3).round() / 1e3)
            .collect()
    };
    rows.into_iter()
        .map(|row| rounded(split.fields[0].sample(row as usize)))
        .collect()
}

fn error(mut dataset: Dataset, stage: Invocation) -> String {
    apply_stages(&mut dataset, &[stage])
        .expect_err("does not fit")
        .to_string()
}

#[test]
fn normalize_and_scale_fold_into_bytes() {
    let normalize = Invocation::new("normalize", [numbers(&[0.1, 0.5]), numbers(&[0.1, 0.2])]);
    let stages = [normalize, stage("scale", &[2.0, 1.0])];
    let expected = [[-1.0, 1.0, -2.0, -1.0], [7.0, 9.0, 2.0, 3.0]];
    assert_eq!(apply(images(), &stages), expected);
    let mut dataset = images();
    apply_stages(&mut dataset, &stages).expect("fits");
    assert!(matches!(
        dataset.splits["train"].fields[0].values,
        Values::Bytes(..)
    ));
    let as_floats = floats(&[2, 1, 2], &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]);
    assert_eq!(apply(as_floats, &stages), expected);
}

#[test]
fn standardize_gives_mean_0_and_deviation_1() {
    let samples = apply(
        floats(&[3], &[1.0, 5.0, 2.0, 3.0, 5.0, 4.0]),
        &[stage("standardize", &[])],
    );
    assert_eq!(samples, [[-1.0, 0.0, -1.0], [1.0, 0.0, 1.0]]);
}

#[test]
fn resize_is_bilinear() {
    let bigger = apply(
        floats(&[1, 1, 2], &[0.0, 1.0]),
        &[stage("resize", &[2.0, 4.0])],
    );
    assert_eq!(bigger, [[0.0, 0.25, 0.75, 1.0, 0.0, 0.25, 0.75, 1.0]]);
    let smaller = apply(
        floats(&[1, 2, 2], &[1.0, 2.0, 3.0, 6.0]),
        &[stage("resize", &[1.0, 1.0])],
    );
    assert_eq!(smaller, [[3.0]]);
}

#[test]
fn grayscale_weighs_colours() {
    assert_eq!(
        apply(
            floats(&[3, 1, 1], &[1.0, 0.0, 1.0]),
            &[stage("grayscale", &[])]
        ),
        [[0.413]]
    );
}

#[test]
fn one_hot_changes_the_label() {
    let mut dataset = images();
    apply_stages(&mut dataset, &[stage("one_hot", &[])]).expect("fits");
    let label = &dataset.splits["train"].fields[1];
    assert_eq!(
        (label.shape.as_slice(), label.sample(1)),
        (&[4][..], vec![0.0, 1.0, 0.0, 0.0])
    );
}

#[test]
fn crops_are_filled_with_what_zero_becomes() {
    let mut dataset = images();
    let normalize = Invocation::new("normalize", [numbers(&[0.5, 1.0]), Value::Int(2)]);
    apply_stages(&mut dataset, &[stage("random_crop", &[1.0]), normalize]).expect("fits");
    let expected = Augmentation::RandomCrop {
        pad: 1,
        fill: vec![-0.25, -0.5],
    };
    assert_eq!(dataset.splits["train"].augmentations, [expected]);
}

#[test]
fn take_and_split_choose_samples() {
    let values: Vec<f32> = (0..10).map(|value| value as f32).collect();
    let ten = || floats(&[1], &values);
    assert_eq!(
        apply(ten(), &[stage("take", &[3.0])]),
        [[0.0], [1.0], [2.0]]
    );
    assert_eq!(apply(ten(), &[stage("take", &[30.0])]).len(), 10);
    let shuffled = apply(ten(), &[stage("shuffle", &[]), stage("take", &[3.0])]);
    assert_eq!(shuffled.len(), 3);
    assert_ne!(shuffled, [[0.0], [1.0], [2.0]]);
    let mut dataset = ten();
    apply_stages(&mut dataset, &[stage("split", &[0.7])]).expect("fits");
    let (train, test) = (&dataset.splits["train"], &dataset.splits["test"]);
    assert_eq!((train.count(), test.count()), (7, 3));
    let mut all = [train.order(0, 0), test.order(0, 0)].concat();
    assert_ne!(all, (0..10).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!(
        apply(ten(), &[stage("split", &[0.5]), stage("take", &[2.0])]).len(),
        2
    );
}

#[test]
fn what_does_not_fit_is_an_error() {
    let table = || floats(&[2], &[1.0, 2.0]);
    let lines = [
        error(images(), stage("normalise", &[0.1, 0.2])),
        error(images(), stage("normalize", &[0.1])),
        error(images(), stage("normalize", &[0.1, 0.0])),
        error(images(), stage("normalize", &[0.1, 0.2, 0.3])),
        error(
            images(),
            Invocation::new("normalize", [numbers(&[0.1; 3]), numbers(&[0.1])]),
        ),
        error(
            images(),
            Invocation::new("normalize", [numbers(&[0.1; 3]), numbers(&[0.1; 2])]),
        ),
        error(
            images(),
            Invocation::new("normalize", [numbers(&[]), numbers(&[])]),
        ),
        error(images(), stage("grayscale", &[])),
        error(table(), stage("resize", &[2.0, 2.0])),
        error(images(), stage("resize", &[0.0, 2.0])),
        error(images(), stage("resize", &[1e6, 2.0])),
        error(table(), stage("flip_horizontal", &[])),
        error(images(), stage("random_crop", &[-1.0])),
        error(images(), stage("take", &[0.0])),
        error(images(), stage("split", &[1.5])),
        error(images(), stage("split", &[0.01])),
        error(images(), stage("one_hot", &[1.0])),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn stages_apply_to_every_split() {
    let mut digits =
        load(&Invocation::new("digits", []), Path::new("")).expect("inside the binary");
    apply_stages(
        &mut digits,
        &[stage("resize", &[28.0, 28.0]), stage("standardize", &[])],
    )
    .expect("fits");
    for split in digits.splits.values() {
        assert_eq!(split.fields[0].shape, [1, 28, 28]);
        let mean = split.fields[0].sample(0).iter().sum::<f32>() / 784.0;
        assert!(mean.abs() < 0.5, "{mean}");
    }
}

#[test]
fn split_takes_all_there_is() {
    let mut digits =
        load(&Invocation::new("digits", []), Path::new("")).expect("inside the binary");
    let (train, test) = (
        digits.splits["train"].clone(),
        digits.splits["test"].clone(),
    );
    apply_stages(&mut digits, &[stage("split", &[0.5])]).expect("fits");
    assert_eq!(
        digits.splits.values().map(Split::count).collect::<Vec<_>>(),
        [899, 898]
    );
    let part = &digits.splits["test"];
    let stored = train.count() as usize;
    for row in part.order(0, 0).into_iter().map(|row| row as usize) {
        for (field, both) in part
            .fields
            .iter()
            .zip(train.fields.iter().zip(&test.fields))
        {
            let expected = if row < stored {
                both.0.sample(row)
            } else {
                both.1.sample(row - stored)
            };
            assert_eq!(field.sample(row), expected);
        }
    }
}

#[test]
fn what_fits_no_memory_is_an_error() {
    let huge = error(
        floats(&[60_000, 1, 1], &[0.0; 60_000]),
        stage("resize", &[65_536.0, 65_536.0]),
    );
    assert_eq!(
        huge,
        "floats: there is no memory for 1 samples of f32[60000, 65536, 65536]"
    );
}
