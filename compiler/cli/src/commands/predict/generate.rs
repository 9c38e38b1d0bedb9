//! Going on with a text, one character at a time.

use dlm_core::graph::DType;
use dlm_runtime::random::{Stream, uniform};
use dlm_runtime::team::Team;
use dlm_runtime::tensor::Tensor;

use super::model::Model;
use crate::failure::Failure;

/// The place of what is drawn here among a seed's random numbers.
const PLACE: u32 = u32::MAX - 2;

/// How characters are drawn.
pub struct Sampling {
    /// How many.
    pub count: usize,
    /// What logits are divided by; 0 takes the largest.
    pub temperature: f32,
    /// How many of the largest are drawn from; all where absent.
    pub top_k: Option<usize>,
    /// The seed.
    pub seed: u64,
}

/// The prompt and what follows it.
///
/// # Errors
/// When the model is none of text, or the prompt has characters that its text had not.
pub fn generate(
    model: &Model,
    team: &Team,
    prompt: &str,
    sampling: &Sampling,
) -> Result<String, Failure> {
    let window = match &model.input.shape[..] {
        [_, length] if model.input.dtype == DType::I32 && !model.vocabulary.is_empty() => {
            length.at(1) as usize
        }
        _ => {
            return Err(Failure::data(
                "--generate needs a model of text: i32[B, T] -> f32[B, T, V]",
            ));
        }
    };
    let mut text = String::from(prompt);
    let mut ids = Vec::new();
    for character in prompt.chars() {
        let found = model.vocabulary.binary_search(&character);
        let unknown = |_| Failure::data(format!("the model's text has no `{character}`"));
        ids.push(found.map_err(unknown)? as i32);
    }
    if ids.is_empty() {
        return Err(Failure::command_line("the prompt has no character"));
    }
    if !(sampling.temperature >= 0.0 && sampling.temperature.is_finite()) {
        return Err(Failure::command_line("--temperature is 0 or more"));
    }
    let mut stream = Stream::new(sampling.seed, PLACE, 0);
    for _ in 0..sampling.count {
        let seen = &ids[ids.len().saturating_sub(window)..];
        let mut padded = seen.to_vec();
        // What follows the last character has no influence on it.
        padded.resize(window, 0);
        let tensor =
            Tensor::from_i32(vec![1, window as u64], &padded).map_err(Failure::internal)?;
        let results = model.run(team, tensor)?;
        let size = model.vocabulary.len();
        if results.shape() != [1, window as u64, size as u64] {
            return Err(Failure::data(
                "--generate needs a model of text: i32[B, T] -> f32[B, T, V]",
            ));
        }
        let logits = &results.to_f32()[(seen.len() - 1) * size..seen.len() * size];
        let next = draw(logits, sampling, &mut stream);
        text.push(model.vocabulary[next]);
        ids.push(next as i32);
    }
    Ok(text)
}

/// The number of a class, by its logits.
fn draw(logits: &[f32], sampling: &Sampling, stream: &mut Stream) -> usize {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|left, right| logits[*right].total_cmp(&logits[*left]));
    order.truncate(sampling.top_k.unwrap_or(logits.len()).max(1));
    if sampling.temperature == 0.0 {
        return order[0];
    }
    let weight = |class: &usize| ((logits[*class] - logits[order[0]]) / sampling.temperature).exp();
    let weights: Vec<f32> = order.iter().map(weight).collect();
    let mut left = uniform(stream.next_u64() as u32) * weights.iter().sum::<f32>();
    for (class, weight) in order.iter().zip(&weights) {
        left -= weight;
        if left < 0.0 {
            return *class;
        }
    }
    order[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_as_often_as_their_probability_says() {
        let sampling = |temperature, top_k| Sampling {
            count: 0,
            temperature,
            top_k,
            seed: 1,
        };
        let logits = [0.0, 3f32.ln(), -1e9];
        let mut stream = Stream::new(1, PLACE, 0);
        let drawn: Vec<usize> = (0..4000)
            .map(|_| draw(&logits, &sampling(1.0, None), &mut stream))
            .collect();
        let ones = drawn.iter().filter(|class| **class == 1).count();
        assert!((2900..3100).contains(&ones), "{ones} of 4000");
        assert!(!drawn.contains(&2));
        assert_eq!(draw(&logits, &sampling(0.0, None), &mut stream), 1);
        assert_eq!(draw(&logits, &sampling(9.0, Some(1)), &mut stream), 1);
    }
}
