//! Factors that get smaller when a metric no longer gets better (PyTorch's `ReduceLROnPlateau`, whose rules these are, but that
//! the threshold is a part of the best value's size: of a negative one, too, a better value differs by that much).

use std::collections::BTreeMap;

use super::Evaluation;
use super::best::larger_is_better;

/// A factor that a step is passed by name.
#[derive(Clone, Debug, PartialEq)]
pub struct PlateauPlan {
    /// The scalar's name in the step program.
    pub name: String,
    /// The metric that is watched: its name, or its split's and its own (`valid.loss`).
    pub metric: String,
    /// What the factor is multiplied by.
    pub factor: f64,
    /// After more evaluations than these without a better one.
    pub patience: u64,
    /// By which part of the best value a better one must differ from it.
    pub threshold: f64,
    /// Whether the larger is better; where absent, the metric's name tells.
    pub larger: Option<bool>,
}

/// A factor at work.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plateau {
    plan: PlateauPlan,
    /// The factor now.
    pub(super) value: f64,
    best: Option<f64>,
    since: u64,
}

impl Plateau {
    pub(super) fn new(plan: PlateauPlan) -> Plateau {
        Plateau {
            plan,
            value: 1.0,
            best: None,
            since: 0,
        }
    }

    /// The scalar's name.
    pub(super) fn name(&self) -> &str {
        &self.plan.name
    }

    /// Looks at what was found after an epoch.
    pub(super) fn note(&mut self, evaluations: &[Evaluation]) {
        let Some(found) = self.watched(evaluations) else {
            return;
        };
        if self.best.is_none_or(|best| self.is_better(found, best)) && !found.is_nan() {
            (self.best, self.since) = (Some(found), 0);
        } else {
            self.since += 1;
        }
        if self.since > self.plan.patience {
            self.value *= self.plan.factor;
            self.since = 0;
        }
    }

    fn watched(&self, evaluations: &[Evaluation]) -> Option<f64> {
        let values = evaluations.iter().flat_map(|evaluation| {
            let own = evaluation.values.iter();
            own.map(move |(name, value)| (&evaluation.split, name, *value))
        });
        let mut values = values.filter(|(split, name, _)| {
            **name == self.plan.metric || format!("{split}.{name}") == self.plan.metric
        });
        values.next().map(|(.., value)| value)
    }

    fn is_better(&self, found: f64, best: f64) -> bool {
        let own_name = self.plan.metric.rsplit('.').next().unwrap_or("");
        match self
            .plan
            .larger
            .unwrap_or_else(|| larger_is_better(own_name))
        {
            true => found > best + self.plan.threshold * best.abs(),
            false => found < best - self.plan.threshold * best.abs(),
        }
    }

    /// Its part of a run's state.
    pub(super) fn gather(&self, counts: &mut BTreeMap<String, u64>) {
        let name = self.name();
        counts.insert(format!("{name}.value"), self.value.to_bits());
        counts.insert(format!("{name}.since"), self.since);
        if let Some(best) = self.best {
            counts.insert(format!("{name}.best"), best.to_bits());
        }
    }

    /// Goes on from a run's state.
    pub(super) fn scatter(&mut self, counts: &BTreeMap<String, u64>) {
        let count = |part: &str| counts.get(&format!("{}.{part}", self.name())).copied();
        let (value, since, best) = (count("value"), count("since"), count("best"));
        self.value = value.map_or(1.0, f64::from_bits);
        self.since = since.unwrap_or(0);
        self.best = best.map(f64::from_bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[(&str, f64)]) -> Vec<Evaluation> {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_string(), *value));
        vec![Evaluation {
            epoch: 0,
            iter: 0,
            split: "valid".into(),
            samples: 1,
            pictures: Vec::new(),
            values: values.collect(),
        }]
    }

    fn factors(metric: &str, larger: Option<bool>, found_values: &[f64]) -> Vec<f64> {
        let mut plateau = Plateau::new(PlateauPlan {
            name: "plateau.0".into(),
            metric: metric.into(),
            factor: 0.5,
            patience: 1,
            threshold: 1e-4,
            larger,
        });
        let mut factors = Vec::new();
        for value in found_values {
            let name = metric.rsplit('.').next().expect("a name");
            plateau.note(&found(&[("other", 0.0), (name, *value)]));
            factors.push(plateau.value);
            let mut counts = BTreeMap::new();
            plateau.gather(&mut counts);
            let mut other = Plateau::new(plateau.plan.clone());
            other.scatter(&counts);
            assert_eq!(plateau, other);
        }
        factors
    }

    /// The values are those of `torch.optim.lr_scheduler.ReduceLROnPlateau(factor=0.5, patience=1)` (2.13) for these metrics.
    #[test]
    fn the_factor_falls_when_a_metric_stays() {
        let losses = [3.0, 2.0, 1.99999, 2.5, 1.0, 1.5, 1.4, 1.3, 1.2];
        let expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125];
        assert_eq!(factors("loss", None, &losses), expected);
        assert_eq!(factors("valid.loss", None, &losses), expected);
        let gains = [1.0, 2.0, 2.00001, 1.5, 3.0, 2.0, 2.1, 2.2, 2.3];
        assert_eq!(factors("accuracy", None, &gains), expected);
        assert_eq!(factors("gain", Some(true), &gains), expected);
    }

    #[test]
    fn what_is_not_a_number_is_not_better() {
        let expected = [1.0, 1.0, 0.5, 0.5];
        assert_eq!(
            factors("loss", None, &[f64::NAN, 1.0, f64::NAN, f64::NAN])[..2],
            [1.0, 1.0]
        );
        assert_eq!(
            factors("loss", None, &[1.0, f64::NAN, f64::NAN, 0.5]),
            expected
        );
    }
}
