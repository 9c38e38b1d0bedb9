//! Tiles that are chosen from outside, in the form in which a plan's text gives the schedule's own.
//!
//! ```text
//! plan "step" {
//!   decision "product26: lanes 8, tile [2, 1, 1]: …"
//! }
//! ```
//!
//! Of a plan's text the lanes and tiles of its decisions are read; all else follows from them.

use std::collections::BTreeMap;
use std::fmt;

/// The tile of one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Lanes of a vector.
    pub lanes: usize,
    /// For each domain axis, elements side by side.
    pub factors: Vec<usize>,
}

/// Tiles by plan and kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices(BTreeMap<(String, String), Choice>);

/// A text that gives no choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ChoiceError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl Choices {
    /// Reads the decisions of plans; lines of any other kind are left alone.
    ///
    /// # Errors
    /// For a decision with lanes and a tile that cannot be read, and where there is none.
    pub fn parse(text: &str) -> Result<Choices, ChoiceError> {
        let mut choices = Choices::default();
        let mut plan = None;
        for (number, line) in text.lines().enumerate() {
            let error = |reason: &str| ChoiceError {
                line: number + 1,
                reason: reason.into(),
            };
            let line = line.trim();
            if let Some(name) = line.strip_prefix("plan ") {
                plan = name.split('"').nth(1);
            }
            let Some((kernel, choice)) = decision(line) else {
                continue;
            };
            let choice = choice.ok_or_else(|| error("expected `lanes 16, tile [1, 4, 3]`"))?;
            let plan = plan.ok_or_else(|| error("a decision outside of a plan"))?;
            choices.insert(plan, kernel, choice);
        }
        match choices.0.is_empty() {
            true => Err(ChoiceError {
                line: 1,
                reason: "no plan's text: `dlmc dump FILE --emit plan` prints one".into(),
            }),
            false => Ok(choices),
        }
    }

    /// Chooses a kernel's tile.
    pub fn insert(&mut self, plan: &str, kernel: &str, choice: Choice) {
        self.0.insert((plan.into(), kernel.into()), choice);
    }

    /// What is chosen for a kernel of a plan.
    pub fn of(&self, plan: &str, kernel: &str) -> Option<&Choice> {
        self.0.get(&(plan.to_string(), kernel.to_string()))
    }

    /// The tiles that a decision tells: the one that was taken, then others, the cheapest first.
    pub fn in_decision(decision: &str) -> Vec<Choice> {
        let tiles = decision.split("lanes ").skip(1);
        tiles.filter_map(choice).collect()
    }

    /// The choices for a plan that its decisions do not show, with the decision of that kernel.
    pub fn refused<'d>(
        &self,
        plan: &str,
        decisions: &'d [String],
    ) -> Option<(String, Option<&'d str>)> {
        let own = self.0.iter().filter(|((name, _), _)| name == plan);
        own.filter_map(|((_, kernel), choice)| {
            // A value of the same name may have a decision of its own, about its layout.
            let prefix = format!("{kernel}: lanes ");
            let made = decisions.iter().find(|text| text.starts_with(&prefix));
            let shown = format!("{kernel}: {choice}");
            let is_shown = made.is_some_and(|text| text.starts_with(&shown));
            (!is_shown).then(|| (shown, made.map(String::as_str)))
        })
        .next()
    }
}

/// The kernel of a decision about a tile, and the tile where it can be read.
fn decision(line: &str) -> Option<(&str, Option<Choice>)> {
    let text = line.strip_prefix("decision \"")?;
    let (kernel, rest) = text.split_once(": ")?;
    let rest = rest.strip_prefix("lanes ")?;
    if !rest.contains("tile") {
        return None;
    }
    Some((kernel, choice(rest)))
}

/// `16, tile [1, 4, 3]`, and what follows.
fn choice(text: &str) -> Option<Choice> {
    let (lanes, rest) = text.split_once(", tile [")?;
    let (factors, _) = rest.split_once(']')?;
    let factors = factors.split(',').map(|factor| factor.trim().parse().ok());
    let factors = factors.collect::<Option<Vec<usize>>>()?;
    let lanes = lanes.trim().parse().ok()?;
    (!factors.contains(&0)).then_some(Choice { lanes, factors })
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lanes {}, tile {:?}", self.lanes, self.factors)
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plan = None;
        for ((own, kernel), choice) in &self.0 {
            if plan != Some(own) {
                if plan.is_some() {
                    writeln!(f, "}}")?;
                }
                writeln!(f, "plan \"{own}\" {{")?;
                plan = Some(own);
            }
            writeln!(f, "  decision \"{kernel}: {choice}\"")?;
        }
        match plan {
            Some(_) => writeln!(f, "}}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "plan \"eval_0\" {
  decision \"product2: lanes 8, tile [4]\"
}
plan \"step\" {
  decision \"product1: lanes 16, tile [1, 4, 3]\"
  decision \"product2: lanes 8, tile [2]\"
}
";

    #[test]
    fn what_is_printed_reads_back() {
        let choices = Choices::parse(TEXT).expect("reads");
        assert_eq!(choices.to_string(), TEXT);
        let found = choices.of("step", "product1").expect("a choice");
        assert_eq!(
            (found.lanes, found.factors.as_slice()),
            (16, &[1, 4, 3][..])
        );
        assert_eq!(choices.of("init", "product1"), None);
    }

    #[test]
    fn other_decisions_are_left_alone_and_damaged_ones_named() {
        let check = |decision: &str, wanted: &str| {
            let text = format!("plan \"step\" {{\n  decision \"{decision}\"\n}}\n");
            let found = Choices::parse(&text).map(|choices| choices.to_string());
            let found = found.unwrap_or_else(|error| error.to_string());
            assert!(found.contains(wanted), "{decision}: {found}");
        };
        check("reduce1: lanes 16; no product", "no plan's text");
        check("value2: channels beside the lanes", "no plan's text");
        check("p: lanes 16, tile [0]: x", "line 2: expected");
        check("p: lanes many, tile [1]", "line 2: expected");
        check(
            "p: lanes 4, tile [1, 2]: 8 sums",
            "p: lanes 4, tile [1, 2]\"",
        );
    }

    #[test]
    fn a_decision_tells_others() {
        let text = "p: lanes 16, tile [2]: 8 sums; else lanes 8, tile [4] with 0.79 or lanes 8, tile [1] with 2";
        let found = Choices::in_decision(text);
        let names: Vec<String> = found.iter().map(Choice::to_string).collect();
        assert_eq!(
            names,
            [
                "lanes 16, tile [2]",
                "lanes 8, tile [4]",
                "lanes 8, tile [1]"
            ]
        );
        assert!(Choices::in_decision("reduce1: lanes 16; no product").is_empty());
    }

    #[test]
    fn choices_that_were_not_made_are_told() {
        let choices = Choices::parse(TEXT).expect("reads");
        let made = ["product1: lanes 16, tile [1, 4, 3]: 12 sums".to_string()];
        let (refused, instead) = choices.refused("step", &made).expect("one");
        assert_eq!(
            (refused.as_str(), instead),
            ("product2: lanes 8, tile [2]", None)
        );
        assert!(choices.refused("init", &made).is_none());
        let made = [
            "product2: channels beside the lanes",
            "product1: lanes 16, tile [1, 4, 3]: 12 sums",
            "product2: lanes 8, tile [2]: 4 sums",
        ]
        .map(str::to_string);
        assert!(choices.refused("step", &made).is_none());
    }
}
