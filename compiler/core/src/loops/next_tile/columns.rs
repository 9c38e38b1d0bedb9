//! Where a sum goes from row to row, each in another page, as over the positions of attention or the pixels of an image
//! with channels side by side, each round asks for the columns of its rows that the next tile reads.
//!
//! Where several tiles read the same columns one after the other, as the taps of a convolution's weights do, each asks for
//! its share of them. Windows, whose rounds read what the one before has read, are left alone: most of their lines are there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Asking, LINE, Tiles, WORK, factor, is_multiply_add};
use crate::loops::{Address, Buffer, LoopKind, LoopStatement, Statement, Value};

/// Vector multiply-adds of a round of several loops for each line that it asks for, at least, where several tiles read
/// the same or its neighbours before the next.
const MUCH_WORK: i64 = 24;
/// Bytes from row to row from which on each is in a page of its own, or nearly.
const APART: i64 = 2048;
/// Bytes of a row that a tile reads at most.
const FEW: i64 = 512;
/// Rounds of a loop whose end is only known when it runs, as the samples of a block: of those there are 8 or 16.
const SOME: i64 = 8;

/// Where lines begin that a round reads of rows, by how the address moves.
type Rows = BTreeMap<(Buffer, Vec<(Value, i64)>), Vec<i64>>;

/// What is asked for.
#[derive(Clone, Copy)]
struct Least {
    /// Bytes of a buffer, and vector multiply-adds of a round for each line.
    alone: (i64, i64),
    /// The same where several tiles read the lines, or their neighbours, before the next.
    shared: (i64, i64),
}

impl Asking<'_> {
    /// Has the rounds of a sum, and of the sums within it, ask for the columns of the next tile; whether there are any.
    pub(super) fn columns(&mut self, sum: &mut LoopStatement, outer: &[Tiles]) -> bool {
        let least = match sum.body.statements.iter().any(is_loop) {
            true => Least {
                alone: (self.memory.far, self.memory.work_a_line),
                shared: (self.memory.far_shared, MUCH_WORK),
            },
            false => Least {
                alone: (self.memory.far_of_one_loop, WORK),
                shared: (self.memory.far_of_one_loop, WORK),
            },
        };
        let is_sum = sum.kind == LoopKind::Reduction;
        is_sum && !self.slides(sum, least.alone.0) && self.add_columns(sum, outer, least)
    }

    fn add_columns(&mut self, sum: &mut LoopStatement, outer: &[Tiles], least: Least) -> bool {
        let rows = self.rows(sum, least.alone.0).into_iter();
        let asked = rows.map(|((buffer, terms), lines)| {
            let offset = 0;
            let place = Address {
                buffer,
                terms,
                offset,
            };
            let (mut asked, shared) = self.of_next(&place, &lines, outer);
            let (far, work) = if shared { least.shared } else { least.alone };
            if self.reach(&place) < far {
                asked.clear();
            }
            (asked.len() as i64 * work, asked)
        });
        let (works, asked): (Vec<i64>, Vec<Vec<Address>>) = asked.unzip();
        let asked = asked.into_iter().flatten().map(Statement::Prefetch);
        let asked: Vec<Statement> = asked.collect();
        let mut found = false;
        for statement in &mut sum.body.statements {
            if let Statement::Loop(inner) = statement {
                found |= self.add_columns(inner, outer, least);
            }
        }
        if !asked.is_empty() && works.iter().sum::<i64>() <= self.work(sum) {
            sum.body.statements.splice(0..0, asked);
            found = true;
        }
        found
    }

    /// Whether a round of a sum, or of one within it, reads what the round before has read.
    fn slides(&self, sum: &LoopStatement, far: i64) -> bool {
        let rows = self.rows(sum, far);
        let own = rows.iter().any(|((_, terms), lines)| {
            let moved = terms.iter().find(|term| term.0 == sum.variable);
            let by_round = moved.map_or(0, |term| term.1) * sum.step;
            lines[lines.len() - 1] - lines[0] >= by_round
        });
        let inner = sum.body.statements.iter();
        own || inner
            .filter_map(as_loop)
            .any(|inner| self.slides(inner, far))
    }

    /// The lines of rows that a round reads: by itself, or in the loops within it that stay in a line.
    fn rows(&self, sum: &LoopStatement, far: i64) -> Rows {
        let mut loaded: Vec<Address> = Vec::new();
        for statement in &sum.body.statements {
            match statement {
                Statement::Loop(inner) => {
                    let within = inner.body.statements.iter();
                    let within = within.filter_map(|own| self.far(own, far));
                    loaded.extend(within.filter_map(|own| self.in_a_line(own.0, inner)));
                }
                own => loaded.extend(self.far(own, far).map(|own| own.0.clone())),
            }
        }
        let mut rows = Rows::new();
        for own in loaded {
            if factor(&own, sum.variable) * sum.step * self.bytes(&own) >= APART {
                let lines = rows.entry((own.buffer, own.terms)).or_default();
                lines.push(own.offset);
            }
        }
        for ((buffer, _), lines) in &mut rows {
            let line = LINE / self.kernel.buffers[*buffer].element.bytes() as i64;
            lines.sort_unstable();
            let mut last = None;
            lines.retain(|&own| {
                let new = last.is_none_or(|last| own - last >= line);
                last = if new { Some(own) } else { last };
                new
            });
        }
        rows
    }

    /// Where a loop's loads begin which do not leave the line that they begin in.
    fn in_a_line(&self, address: &Address, inner: &LoopStatement) -> Option<Address> {
        let begin = self.ranges.value(inner.begin).exact()?;
        let moved = factor(address, inner.variable) * self.bytes(address);
        let rounds = self.rounds(inner).unwrap_or(LINE / 4);
        let terms = address.terms.iter();
        let stays = begin == 0 && moved >= 0 && moved * rounds <= LINE;
        stays.then(|| Address {
            terms: terms
                .filter(|term| term.0 != inner.variable)
                .copied()
                .collect(),
            ..address.clone()
        })
    }

    /// The lines that the next tile reads where this one reads `lines`, as far as a round asks for them, and whether other
    /// tiles, which read the same or its neighbours, come in between.
    fn of_next(&mut self, place: &Address, lines: &[i64], outer: &[Tiles]) -> (Vec<Address>, bool) {
        let bytes = self.bytes(place);
        let moves = |tiles: &Tiles| factor(place, tiles.variable) * tiles.step;
        let beside = |tiles: &Tiles| (LINE..=FEW).contains(&(moves(tiles) * bytes));
        let Some(at) = outer.iter().rposition(beside) else {
            return (Vec::new(), false);
        };
        let by_tile = moves(&outer[at]);
        // Rows that lie closer are streams that the processor sees.
        let rows: Vec<&[i64]> = lines.chunk_by(|one, next| next - one < by_tile).collect();
        let close = |pair: &[&[i64]]| (pair[1][0] - pair[0][0]) * bytes < APART;
        if rows.windows(2).any(close) {
            return (Vec::new(), false);
        }
        let same = |tiles: &&Tiles| factor(place, tiles.variable) == 0;
        let passes: Vec<Tiles> = outer[at + 1..].iter().filter(same).copied().collect();
        let shares = rows
            .iter()
            .flat_map(|row| shares(place, row, by_tile, &passes));
        let mut shares: Vec<Address> = shares.collect();
        for share in &mut shares {
            self.wrap(share, outer, at);
        }
        let between = outer[at + 1..].iter().any(|own| own.count != Some(1));
        (shares, between)
    }

    /// Vector multiply-adds of a round.
    fn work(&self, sum: &LoopStatement) -> i64 {
        let work = sum.body.statements.iter().map(|own| match own {
            Statement::Loop(inner) => self.rounds(inner).unwrap_or(SOME) * self.work(inner),
            own => i64::from(is_multiply_add(own)),
        });
        work.sum()
    }
}

/// What each of the tiles that read the same asks for, of lines evenly apart; all of them of others, or where no share is a
/// whole number of steps.
fn shares(place: &Address, lines: &[i64], by_tile: i64, passes: &[Tiles]) -> Vec<Address> {
    let next = |terms: &[(Value, i64)], line: i64| Address {
        buffer: place.buffer,
        terms: terms.to_vec(),
        offset: line + by_tile,
    };
    let Some((share, own)) = by_pass(lines, passes) else {
        return lines.iter().map(|&line| next(&place.terms, line)).collect();
    };
    let mut terms = place.terms.clone();
    terms.extend(own);
    terms.sort_by_key(|term| term.0);
    let first = lines.iter().take(share);
    first.map(|&line| next(&terms, line)).collect()
}

/// How many of the lines each pass asks for, and by how much each of the loops moves the first of them: whole steps of a
/// loop, so that shares may overlap, or the last passes ask for what lies behind the next tile.
fn by_pass(lines: &[i64], passes: &[Tiles]) -> Option<(usize, Vec<(Value, i64)>)> {
    let apart = lines.windows(2).map(|pair| pair[1] - pair[0]);
    let apart: BTreeSet<i64> = apart.collect();
    let counts: Option<Vec<i64>> = passes.iter().map(|own| own.count).collect();
    let (counts, inner) = (counts?, passes.last()?);
    let apart = *apart.first().filter(|_| apart.len() == 1)?;
    let (many, all) = (lines.len() as i64, counts.iter().product::<i64>());
    let equal = (many + all - 1) / all * apart;
    let own = equal - equal % inner.step;
    if own == 0 || own % apart != 0 {
        return None;
    }
    let share = (many - (all - 1) * (own / apart)).max(own / apart);
    let mut moved = own;
    let mut terms = Vec::new();
    for (pass, count) in passes.iter().zip(counts).rev() {
        if moved % pass.step != 0 {
            return None;
        }
        terms.push((pass.variable, moved / pass.step));
        moved *= count;
    }
    Some((share as usize, terms))
}

fn as_loop(statement: &Statement) -> Option<&LoopStatement> {
    match statement {
        Statement::Loop(own) => Some(own),
        _ => None,
    }
}

fn is_loop(statement: &Statement) -> bool {
    as_loop(statement).is_some()
}
