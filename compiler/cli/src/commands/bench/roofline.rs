//! How near kernels come to what the machine allows (the roofline model; Williams, Waterman, Patterson 2009).
//!
//! A kernel's bytes are those of its buffers, each once: what has to move if nothing is in a cache. Kernels that find their
//! operands in a cache may be above the slope.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use dlm_core::plan::{Plan, Space, TaskGroup};

/// Floats that each thread reads: more than the caches hold.
const FLOATS: usize = 24 << 20;
/// Sums side by side, so that none waits for another.
const LANES: usize = 64;
/// Readings, of which the best counts.
const READINGS: usize = 3;

/// What the machine gives at best, all threads together.
#[derive(Clone, Copy, Debug)]
pub struct Roofline {
    /// GFLOP/s of fused multiply-adds in registers.
    pub gflops: f64,
    /// GB/s of reading memory in order.
    pub gigabytes: f64,
    /// The threads that share them.
    pub threads: usize,
}

/// A kernel's place under the roof.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Operations for each byte.
    pub intensity: f64,
    /// GFLOP/s of one thread.
    pub gflops: f64,
    /// Part of the step's time.
    pub share: f64,
}

impl Roofline {
    /// GFLOP/s that one thread can reach with so many operations for each byte.
    pub fn at(&self, intensity: f64) -> f64 {
        self.gflops.min(intensity * self.gigabytes) / self.threads as f64
    }
}

/// GB/s that so many threads read together.
pub fn bandwidth(threads: usize) -> f64 {
    let data: Vec<Vec<f32>> = (0..threads).map(|_| vec![1.0; FLOATS]).collect();
    let mut best = f64::INFINITY;
    for _ in 0..READINGS {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for part in &data {
                scope.spawn(|| black_box(sum(part)));
            }
        });
        best = best.min(begin.elapsed().as_secs_f64());
    }
    (threads * FLOATS * size_of::<f32>()) as f64 / best / 1e9
}

fn sum(data: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for chunk in data.as_chunks::<LANES>().0 {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    sums.iter().sum()
}

/// Bytes of the buffers of one call of a group, each once.
pub fn bytes_of_site(plan: &Plan, group: &TaskGroup, call: usize, batch: usize) -> f64 {
    let buffers = group.calls[call].buffers.iter();
    let bytes = buffers.map(|&id| {
        let buffer = &plan.buffers[id];
        let blocks = match (buffer.space, group.tasks) {
            // A block's scratch serves every block.
            (Space::Scratch, dlm_core::plan::Tasks::Blocks { lanes, .. }) => {
                batch.div_ceil(lanes.max(1))
            }
            _ => 1,
        };
        (buffer.bytes * blocks) as f64
    });
    bytes.sum()
}

/// The picture's size, and the frame in it.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 560.0;
const FRAME: [f64; 4] = [70.0, 30.0, 870.0, 500.0];
/// Powers of ten on the axes: operations for each byte, and GFLOP/s.
const INTENSITIES: [i32; 2] = [-2, 4];
const SPEEDS: [i32; 2] = [-1, 3];

fn along(value: f64, [low, high]: [i32; 2]) -> f64 {
    let place = (value.max(1e-9).log10() - f64::from(low)) / f64::from(high - low);
    place.clamp(0.0, 1.0)
}

fn x(intensity: f64) -> f64 {
    FRAME[0] + (FRAME[2] - FRAME[0]) * along(intensity, INTENSITIES)
}

fn y(gflops: f64) -> f64 {
    FRAME[3] - (FRAME[3] - FRAME[1]) * along(gflops, SPEEDS)
}

/// The roof of one thread and the kernels under it, as a picture: a circle's area is the kernel's share of the step.
pub fn picture(title: &str, roof: &Roofline, kernels: &[(String, Point)]) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n<text x=\"{}\" y=\"20\">{}</text>\n",
        FRAME[0],
        escaped(title)
    );
    grid(&mut text);
    let mut points = String::new();
    for step in 0..=60 {
        let exponent = f64::from(INTENSITIES[0])
            + f64::from(INTENSITIES[1] - INTENSITIES[0]) * f64::from(step) / 60.0;
        let intensity = 10.0_f64.powf(exponent);
        let _ = write!(points, "{:.1},{:.1} ", x(intensity), y(roof.at(intensity)));
    }
    let _ = writeln!(
        text,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"black\" stroke-width=\"2\"/>"
    );
    for (name, point) in kernels {
        let radius = (400.0 * point.share).sqrt().max(2.0);
        let (x, y) = (x(point.intensity), y(point.gflops));
        let _ = writeln!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"steelblue\" fill-opacity=\"0.5\"><title>{}: {:.1} GFLOP/s, {:.2} operations a byte, {:.1} % of the step</title></circle>",
            escaped(name),
            point.gflops,
            point.intensity,
            100.0 * point.share
        );
        if point.share >= 0.05 {
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                x + radius + 2.0,
                escaped(name)
            );
        }
    }
    text + "</svg>\n"
}

fn grid(text: &mut String) {
    for exponent in INTENSITIES[0]..=INTENSITIES[1] {
        let at = x(10.0_f64.powi(exponent));
        let _ = writeln!(
            text,
            "<line x1=\"{at:.1}\" y1=\"{}\" x2=\"{at:.1}\" y2=\"{}\" stroke=\"lightgray\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            FRAME[1],
            FRAME[3],
            FRAME[3] + 16.0,
            10.0_f64.powi(exponent)
        );
    }
    for exponent in SPEEDS[0]..=SPEEDS[1] {
        let at = y(10.0_f64.powi(exponent));
        let _ = writeln!(
            text,
            "<line x1=\"{}\" y1=\"{at:.1}\" x2=\"{}\" y2=\"{at:.1}\" stroke=\"lightgray\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            FRAME[0],
            FRAME[2],
            FRAME[0] - 6.0,
            at + 4.0,
            10.0_f64.powi(exponent)
        );
    }
    let (middle, below) = ((FRAME[0] + FRAME[2]) / 2.0, FRAME[3] + 38.0);
    let _ = writeln!(
        text,
        "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">operations for each byte of the kernel's buffers</text>"
    );
    let _ = writeln!(
        text,
        "<text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">GFLOP/s of one thread</text>",
        (FRAME[1] + FRAME[3]) / 2.0
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roof_is_a_slope_and_a_ceiling_shared_by_threads() {
        let roof = Roofline {
            gflops: 200.0,
            gigabytes: 40.0,
            threads: 2,
        };
        assert_eq!(
            [0.5, 5.0, 50.0].map(|intensity| roof.at(intensity)),
            [10.0, 100.0, 100.0]
        );
    }

    #[test]
    fn a_picture_names_the_large_kernels() {
        let roof = Roofline {
            gflops: 200.0,
            gigabytes: 40.0,
            threads: 2,
        };
        let point = |share| Point {
            intensity: 3.0,
            gflops: 40.0,
            share,
        };
        let kernels = [
            ("a<b".to_string(), point(0.6)),
            ("small".to_string(), point(0.01)),
        ];
        let text = picture("net & step", &roof, &kernels);
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(text.contains(">a&lt;b</text>") && !text.contains(">small</text>"));
        assert!(text.contains("net &amp; step"));
    }
}
