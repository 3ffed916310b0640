//! How true made families are to real ones, as SDMetrics measures tables that belong together.

use super::{ChildModel, Parents, Prepared};
use crate::evaluate::Metric;
use crate::fit::FitError;
use crate::frame::{Column, Frame};
use crate::synth::fidelity::{self, ks_complement};
use crate::synth::{JUDGED, Synthesizer};

/// Parents made at once.
const BATCH: usize = 256;

/// The part of a parent's name, and of a child's, in a joined table.
const SIDES: [&str; 2] = ["parent ", "child "];

impl Synthesizer {
    /// Of each child's table: its columns, how many rows parents have, and how its columns hang together with the parent's. The
    /// first value is the mean of all.
    pub(in crate::synth) fn judge_children<'p>(
        &self,
        parents: &Frame,
        prepared: impl Iterator<Item = &'p Prepared>,
    ) -> Result<Vec<(f64, Vec<Metric>)>, FitError> {
        let of = |(at, (child, own)): (usize, (&ChildModel, &Prepared))| {
            let (made_parents, counts, made) = self.some_family(at, parents.rows())?;
            let real_counts = own.sorted.counts(parents.rows());
            let numbers = |counts: &[u32]| counts.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
            let (owners, real) = shown(own, child);
            let pairs = fidelity::pairs(&joined(&owners, parents, &real), &made_parents);
            let cross: Vec<_> = pairs
                .into_iter()
                .filter(|p| {
                    SIDES
                        .iter()
                        .all(|side| p.columns.0.starts_with(side) || p.columns.1.starts_with(side))
                })
                .collect();
            let shapes = fidelity::shapes(&real, &made);
            let shape = shapes.iter().map(|s| s.score).sum::<f64>() / shapes.len().max(1) as f64;
            let found = [
                ("column_shapes", Some(shape).filter(|_| !shapes.is_empty())),
                (
                    "column_pair_trends",
                    fidelity::trend(&fidelity::pairs(&real, &made)),
                ),
                (
                    "cardinality_shape",
                    Some(ks_complement(&numbers(&real_counts), &numbers(&counts))),
                ),
                ("intertable_trends", fidelity::trend(&cross)),
            ];
            let found = found
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)));
            let metrics: Vec<Metric> = found
                .map(|(name, value)| Metric {
                    metric: name.into(),
                    class: Some(child.table.name.clone()),
                    value,
                    low: value,
                    high: value,
                    baseline: None,
                })
                .collect();
            let mean = metrics.iter().map(|m| m.value).sum::<f64>() / metrics.len().max(1) as f64;
            Ok((mean, metrics))
        };
        self.children
            .iter()
            .zip(prepared)
            .enumerate()
            .map(of)
            .collect()
    }

    /// Made rows of a child's table, joined with their parents, the number of rows of each parent, and the rows alone.
    fn some_family(
        &self,
        table: usize,
        parents: usize,
    ) -> Result<(Frame, Vec<u32>, Frame), FitError> {
        let seed = self.params.seed ^ 0x3c6e_f372;
        let mut rows = self.rows(seed, &[])?;
        let (mut all, mut joined_rows) = (None::<Frame>, None::<Frame>);
        let mut counts = Vec::new();
        let Some(mut children) = self.children_of(table, seed) else {
            return Ok(Default::default());
        };
        let judged = |all: &Option<Frame>| all.as_ref().map_or(0, Frame::rows);
        // All rows of some parents rather than the first rows of many.
        let many = children.rows_per_parent(self.rows).max(1.0);
        let batch = ((JUDGED as f64 / many) as usize).clamp(1, BATCH);
        while counts.len() < parents.min(JUDGED) && judged(&all) < JUDGED {
            let Parents { frame, counts: own } = rows.family(batch, &mut || ())?;
            counts.extend_from_slice(&own[table]);
            children.start(frame, own[table].iter().copied());
            while judged(&all) < 2 * JUDGED
                && let Some(made) = children.next()
            {
                let owners = children.owners();
                let own = joined(&owners, children.parents(), &made);
                append(&mut joined_rows, own);
                children.take(&vec![true; made.rows()]);
                append(&mut all, made);
            }
        }
        Ok((
            joined_rows.unwrap_or_default(),
            counts,
            all.unwrap_or_default(),
        ))
    }
}

/// Some of the real rows, spread evenly, and the parent of each.
fn shown(own: &Prepared, child: &ChildModel) -> (Vec<u32>, Frame) {
    let columns = child
        .columns
        .iter()
        .filter_map(|c| own.rows.frame.column(&c.name));
    let step = own.rows().div_ceil(JUDGED).max(1);
    let some = own.sorted.rows.iter().step_by(step);
    let columns = columns.map(|c| {
        let rows = some.clone().map(|row| *row as usize);
        pick(c, c.name.clone(), rows)
    });
    let frame = Frame {
        columns: columns.collect(),
    };
    (
        own.sorted.owners.iter().step_by(step).copied().collect(),
        frame,
    )
}

fn pick(column: &Column, name: String, rows: impl Iterator<Item = usize>) -> Column {
    let mut out = Column::new(name, column.type_name.as_str(), column.kind);
    rows.for_each(|row| out.push(column.cell(row)));
    out
}

/// Each child's row beside that of its parent.
fn joined(owners: &[u32], parents: &Frame, children: &Frame) -> Frame {
    let owners = &owners[..children.rows()];
    let rows = || owners.iter().map(|owner| *owner as usize);
    let of_parents = parents
        .columns
        .iter()
        .map(|c| pick(c, format!("{}{}", SIDES[0], c.name), rows()));
    let own = children
        .columns
        .iter()
        .map(|c| pick(c, format!("{}{}", SIDES[1], c.name), 0..children.rows()));
    Frame {
        columns: of_parents.chain(own).collect(),
    }
}

fn append(all: &mut Option<Frame>, more: Frame) {
    match all {
        None => *all = Some(more),
        Some(all) => {
            for (column, more) in all.columns.iter_mut().zip(&more.columns) {
                (0..more.len()).for_each(|row| column.push(more.cell(row)));
            }
        }
    }
}
