//! A measurement beside an earlier one.

use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::report::table::Table;

/// Kernels are shown whose time has changed by more than this share of the earlier step.
const NOTABLE: f64 = 0.005;

/// What `--json` printed earlier.
///
/// # Errors
/// Where the file cannot be read or holds something else.
pub fn read(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    let value: Option<Value> = serde_json::from_str(&text).ok();
    let known = |value: &Value| Step::of(value).is_some() && value["kernels"].is_array();
    value.filter(known).ok_or_else(|| {
        let path = path.display();
        Failure::command_line(format!("`{path}` is not what `dlmc bench --json` prints"))
    })
}

/// The times of a step in milliseconds.
#[derive(Clone, Copy)]
struct Step {
    min: f64,
    median: f64,
    max: f64,
}

impl Step {
    fn of(measured: &Value) -> Option<Step> {
        let time = |name: &str| measured[name].as_f64().filter(|time| *time > 0.0);
        Some(Step {
            min: time("ms_min")?,
            median: time("ms_median")?,
            max: time("ms_max")?,
        })
    }
}

/// The change of the step, and of each kernel of which it is notable.
pub fn text(old: &Value, new: &Value) -> String {
    let (Some(before), Some(after)) = (Step::of(old), Step::of(new)) else {
        return String::new();
    };
    let apart = before.min > after.max || after.min > before.max;
    let note = match apart {
        true => "",
        false => "; the two ranges overlap, so this may be noise",
    };
    let mut text = format!(
        "\ncompared with the earlier measurement: {:.3} ms then, {:.3} now, {:.2} times as fast{note}\n",
        before.median,
        after.median,
        before.median / after.median,
    );
    let mut changes = changes(old, new);
    changes.retain(|change| (change.after - change.before).abs() > NOTABLE * before.median * 1e3);
    if changes.is_empty() {
        return text;
    }
    let mut table = Table::new(&["phase", "<kernel", "us then", "us now", "change"]);
    for change in changes {
        table.row([
            change.phase.to_string(),
            change.kernel.to_string(),
            format!("{:.1}", change.before),
            format!("{:.1}", change.after),
            format!("{:+.1}", change.after - change.before),
        ]);
    }
    text += &table.render();
    text
}

struct Change<'a> {
    phase: u64,
    kernel: &'a str,
    before: f64,
    after: f64,
}

/// All kernels of both, the greatest change first; a kernel that one of them has not took no time there.
fn changes<'a>(old: &'a Value, new: &'a Value) -> Vec<Change<'a>> {
    let (before, after) = (kernels(old), kernels(new));
    let time = |list: &[(u64, &str, f64)], phase: u64, kernel: &str| {
        let found = list.iter().find(|each| each.0 == phase && each.1 == kernel);
        found.map_or(0.0, |each| each.2)
    };
    let mut changes: Vec<Change<'a>> = Vec::new();
    for &(phase, kernel, _) in before.iter().chain(&after) {
        let known = |change: &Change<'_>| change.phase == phase && change.kernel == kernel;
        if !changes.iter().any(known) {
            changes.push(Change {
                phase,
                kernel,
                before: time(&before, phase, kernel),
                after: time(&after, phase, kernel),
            });
        }
    }
    let size = |change: &Change<'_>| (change.after - change.before).abs();
    changes.sort_by(|a, b| size(b).total_cmp(&size(a)));
    changes
}

fn kernels(measured: &Value) -> Vec<(u64, &str, f64)> {
    let rows = measured["kernels"].as_array().into_iter().flatten();
    let row = |row: &'_ Value| row["microseconds"].as_f64();
    rows.filter_map(|each| {
        Some((
            each["phase"].as_u64()?,
            each["kernel"].as_str()?,
            row(each)?,
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn measured(times: [f64; 3], kernels: &[(&str, f64)]) -> Value {
        let kernel =
            |(name, time): &(&str, f64)| json!({"phase": 0, "kernel": name, "microseconds": time});
        json!({
            "ms_min": times[0], "ms_median": times[1], "ms_max": times[2],
            "kernels": kernels.iter().map(kernel).collect::<Vec<_>>(),
        })
    }

    #[test]
    fn shows_what_changed_and_whether_it_is_more_than_noise() {
        let old = measured([1.9, 2.0, 2.1], &[("a", 1000.0), ("b", 500.0), ("c", 3.0)]);
        let new = measured([0.9, 1.0, 1.1], &[("a", 200.0), ("b", 501.0), ("d", 40.0)]);
        let expected = "
compared with the earlier measurement: 2.000 ms then, 1.000 now, 2.00 times as fast
  phase  kernel  us then  us now  change
      0  a        1000.0   200.0  -800.0
      0  d           0.0    40.0   +40.0
";
        assert_eq!(text(&old, &new), expected);
        let same = text(&old, &old);
        assert!(
            same.contains("1.00 times as fast; the two ranges overlap"),
            "{same}"
        );
        assert_eq!(same.lines().count(), 2);
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for content in [
            "",
            "{}",
            "[1]",
            r#"{"ms_min": 1, "ms_median": -1, "ms_max": 2, "kernels": []}"#,
        ] {
            let path = folder.path().join("old.json");
            std::fs::write(&path, content).expect("writes");
            assert!(
                matches!(read(&path), Err(Failure::CommandLine(_))),
                "{content}"
            );
        }
        assert!(read(&folder.path().join("none.json")).is_err());
    }
}
