//! How long ago a worker touched memory, in lines that it has touched since (the stack distance; Mattson and others,
//! 1970), page by page.

use super::caches::{Caches, LEVELS};
use super::spans::Spans;

/// Lines of a page.
const PAGE: i64 = 64;

/// A worker's last touch of a page.
#[derive(Clone, Copy, Debug, Default)]
struct Touch {
    /// The number of the call, from 1; 0 where there was none.
    call: usize,
    lines: f64,
    /// The number of the phase.
    phase: usize,
    /// What the caches held of the page when the call came to it.
    held: [f64; LEVELS],
}

/// A page's last store.
#[derive(Clone, Copy, Debug, Default)]
struct Store {
    phase: usize,
    worker: usize,
}

/// Which memory workers have touched, and when.
pub(super) struct Recency {
    workers: Vec<Worker>,
    stores: Vec<Store>,
    /// The phase that runs.
    pub phase: usize,
}

/// One worker's touches.
struct Worker {
    pages: Vec<Touch>,
    /// The call that runs, from 1.
    call: usize,
    /// For each call, the lines that no later one has touched.
    lines: Sums,
    caches: Caches,
}

/// Numbers of which any first ones are added up in a few steps (Fenwick, 1994).
struct Sums(Vec<f64>);

impl Sums {
    fn push_zero(&mut self) {
        let next = self.0.len();
        let low = next & next.wrapping_neg();
        let sum = match next {
            0 => 0.0,
            _ => self.before(next) - self.before(next - low + 1),
        };
        self.0.push(sum);
    }

    fn add(&mut self, mut at: usize, more: f64) {
        while at > 0 && at < self.0.len() {
            self.0[at] += more;
            at += at & at.wrapping_neg();
        }
    }

    /// The sum of those from 1 up to, and without, `end`.
    fn before(&self, end: usize) -> f64 {
        let (mut at, mut sum) = (end.saturating_sub(1), 0.0);
        while at > 0 {
            sum += self.0[at];
            at &= at - 1;
        }
        sum
    }
}

impl Recency {
    /// Nothing has been touched of so many bytes.
    pub fn new(workers: usize, bytes: usize, caches: Caches) -> Recency {
        let pages = bytes / (PAGE as usize * 64) + 2;
        let worker = || Worker {
            pages: vec![Touch::default(); pages],
            call: 0,
            lines: Sums(vec![0.0]),
            caches,
        };
        Recency {
            workers: (0..workers).map(|_| worker()).collect(),
            stores: vec![Store::default(); pages],
            phase: 1,
        }
    }

    /// A worker's next call begins.
    pub fn begin(&mut self, worker: usize) {
        let worker = &mut self.workers[worker];
        worker.call += 1;
        worker.lines.push_zero();
    }

    /// The worker's call touches this; the share of it that each cache still holds. `beside` lines of other buffers are
    /// touched meanwhile.
    pub fn touch(
        &mut self,
        worker: usize,
        touched: &Spans,
        stores: bool,
        beside: f64,
    ) -> [f64; LEVELS] {
        let (mut held, mut all) = ([0.0; LEVELS], 0.0);
        for (page, lines) in pages(touched) {
            let lines = lines * touched.density();
            let shares = self.touch_page(worker, page, lines, stores, beside);
            held.iter_mut()
                .zip(shares)
                .for_each(|(held, share)| *held += share * lines);
            all += lines;
        }
        held.map(|held| if all > 0.0 { held / all } else { 1.0 })
    }

    fn touch_page(
        &mut self,
        number: usize,
        page: usize,
        lines: f64,
        stores: bool,
        beside: f64,
    ) -> [f64; LEVELS] {
        let phase = self.phase;
        let Some(store) = self.stores.get_mut(page) else {
            return [0.0; LEVELS];
        };
        let worker = &mut self.workers[number];
        let elsewhere = store.worker != number && store.phase >= worker.pages[page].phase;
        let held = worker.touch(page, lines, beside, elsewhere && store.phase > 0);
        worker.pages[page].phase = phase;
        if stores {
            *store = Store {
                phase,
                worker: number,
            };
        }
        held
    }
}

impl Worker {
    fn touch(&mut self, page: usize, lines: f64, beside: f64, elsewhere: bool) -> [f64; LEVELS] {
        let (now, touch) = (self.call, &mut self.pages[page]);
        if touch.call == now {
            touch.lines += lines;
            self.lines.add(now, lines);
            return touch.held;
        }
        let since = self.lines.before(now) - self.lines.before(touch.call);
        let since = (touch.call > 0).then_some(since + beside / 2.0);
        touch.held = held(&self.caches, since, elsewhere);
        self.lines.add(touch.call, -touch.lines);
        self.lines.add(now, lines);
        (touch.call, touch.lines) = (now, lines);
        touch.held
    }
}

/// The shares that the caches hold after so many lines; what another worker has stored since is in the last one.
fn held(caches: &Caches, since: Option<f64>, elsewhere: bool) -> [f64; LEVELS] {
    let Some(since) = since else {
        return [0.0; LEVELS];
    };
    let mut held = caches.map(|cache| cache.kept_after(since));
    if elsewhere {
        held[..LEVELS - 1].fill(0.0);
    }
    held
}

/// The pages of these stretches, and the lines in each.
fn pages(touched: &Spans) -> impl Iterator<Item = (usize, f64)> + '_ {
    touched.line_ranges().flat_map(|lines| {
        let first = lines.start.div_euclid(PAGE);
        let last = (lines.end - 1).div_euclid(PAGE);
        (first.max(0)..=last).map(move |page| {
            let begin = lines.start.max(page * PAGE);
            let end = lines.end.min((page + 1) * PAGE);
            (page as usize, (end - begin) as f64)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::caches::CACHES;
    use super::*;

    #[test]
    fn sums_of_first_numbers_follow_what_is_added() {
        let mut sums = Sums(vec![0.0]);
        for number in 1..=20 {
            sums.push_zero();
            sums.add(number, number as f64);
        }
        sums.add(3, -3.0);
        let wanted = |end: usize| (1..end).filter(|&n| n != 3).sum::<usize>() as f64;
        for end in 0..=21 {
            assert_eq!(sums.before(end), wanted(end), "{end}");
        }
    }

    const KB: i64 = 1 << 10;

    /// What each cache holds of 16 KB that a worker touched before other calls touched so many bytes.
    fn after(bytes: i64) -> [f64; LEVELS] {
        let mut recency = Recency::new(1, 64 << 20, CACHES);
        let first = Spans::one(0..16 * KB);
        let other = Spans::one(KB << 10..(KB << 10) + bytes);
        for spans in [&first, &other] {
            recency.begin(0);
            recency.touch(0, spans, false, 0.0);
        }
        recency.begin(0);
        recency.touch(0, &first, false, 0.0)
    }

    #[test]
    fn what_was_touched_lately_is_in_the_small_caches() {
        assert_eq!(after(4 * KB), [1.0, 1.0, 1.0]);
        assert_eq!(after(64 * KB), [0.0, 1.0, 1.0]);
        assert_eq!(after(1024 * KB), [0.0, 0.0, 1.0]);
        assert_eq!(after(40 * KB * KB), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_another_worker_stored_is_in_the_shared_cache() {
        let mut recency = Recency::new(2, 1 << 20, CACHES);
        let row = Spans::one(0..4 * KB);
        recency.begin(0);
        assert_eq!(recency.touch(0, &row, false, 0.0), [0.0; LEVELS]);
        recency.phase = 2;
        recency.begin(1);
        recency.touch(1, &row, true, 0.0);
        recency.phase = 3;
        recency.begin(0);
        assert_eq!(recency.touch(0, &row, false, 0.0), [0.0, 0.0, 1.0]);
        recency.begin(0);
        assert_eq!(recency.touch(0, &row, false, 0.0), [1.0, 1.0, 1.0]);
    }
}
