//! Rows without people: a relation's rows kept aside, judged as a frame, and given out in the caller's row type, in an order that
//! tells nothing.

mod labels;
mod plan;

use super::clean::kept::Kept;
use super::datum::Writer;
use super::decode::Buffer;
use crate::error::{Error, Result};
use crate::messages::notice;
use crate::settings;
use crate::store::keys;
use insight_engine::clean::table::Edit;
use insight_engine::frame::{Cell, Column, Frame};
use insight_engine::privacy::anonymize::{AnonymizeError, Output, Report, Rule, Wanted};
use insight_engine::privacy::noise::Noise;
use insight_engine::privacy::pseudonym::Pseudonyms;
use pgrx::pg_sys;
pub use plan::Plan;
use plan::{How, Read};

/// Rows between two looks at the frame's size.
const LOOK_ROWS: usize = 4096;

fn look() {
    pgrx::check_for_interrupts!();
}

/// The rows, in a tuple store of the current memory context, and their descriptor.
pub fn rows(plan: Plan, random: bool) -> Result<(*mut pg_sys::Tuplestorestate, pg_sys::TupleDesc)> {
    let kept = Kept::read(&plan.select)?;
    let frame = frame(&plan, &kept)?;
    let mut noise = Noise::from_system().map_err(|e| anonymize_error(e.into()))?;
    let pseudonyms = match plan.params.needs_key() {
        true => Some(pseudonyms(plan.params.key_version())?),
        false => None,
    };
    let (mut classes, report) = classes(&plan, &frame)?;
    let suppressed = report.is_none() && !plan.params.quasi_identifiers().is_empty();
    let mut outputs: Vec<Option<Output>> = Vec::with_capacity(plan.columns.len());
    for own in &plan.columns {
        outputs.push(match &own.how {
            How::Pass(_) | How::Constant(_) => None,
            How::Class(number) => classes.get_mut(*number).and_then(Option::take),
            How::Made(place) => {
                let wanted = Wanted {
                    column: &frame.columns[*place],
                    target: own.target,
                    pseudonyms: pseudonyms.as_ref(),
                };
                let rule = plan.params.rule(&own.name).unwrap_or(&Rule::Keep);
                Some(
                    rule.outputs(&wanted, &mut noise, &mut look)
                        .map_err(anonymize_error)?,
                )
            }
        });
    }
    drop(frame);
    // SAFETY: a store of the current memory context; rows spill to disk beyond work_mem.
    let store = unsafe { pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem) };
    if !suppressed {
        give_out(&plan, &kept, &outputs, store)?;
    }
    tell(&plan, report.as_ref());
    Ok((store, plan.descriptor))
}

/// The columns that rules look at.
fn frame(plan: &Plan, kept: &Kept) -> Result<Frame> {
    let mut columns: Vec<Column> = plan.reads.iter().map(Read::column).collect();
    let mut buffer = Buffer::default();
    let limit = settings::max_memory();
    let mut rows = 0usize;
    kept.each(plan.width, |slot| {
        for (read, column) in plan.reads.iter().zip(&mut columns) {
            column.push(match slot.get(read.place) {
                None => Cell::Null,
                // SAFETY: a datum of the type that the query casts to, or of the column's own.
                Some(datum) => unsafe { read.decoder.decode(datum, &mut buffer) },
            });
        }
        rows += 1;
        if rows.is_multiple_of(LOOK_ROWS)
            && columns.iter().map(Column::bytes).sum::<usize>() > limit
        {
            return Err(Error::new(
                "53200",
                format!("the data needs more than the {} MB it may use", limit >> 20),
            )
            .detail(format!("{rows} rows were read."))
            .hint(
                "Anonymize a view of fewer columns, or have a superuser raise insight.max_memory.",
            ));
        }
        Ok(())
    })?;
    Ok(Frame { columns })
}

/// What stands for the quasi-identifiers of each row; nothing where there are fewer rows than k: none is given out then.
fn classes(plan: &Plan, frame: &Frame) -> Result<(Vec<Option<Output>>, Option<Report>)> {
    let column = |place: &usize| &frame.columns[*place];
    let quasi: Vec<&Column> = plan.quasi.iter().map(column).collect();
    if quasi.is_empty() {
        return Ok((Vec::new(), None));
    }
    let sensitive = Frame {
        columns: plan
            .sensitive
            .iter()
            .map(|place| column(place).clone())
            .collect(),
    };
    match plan.params.classes(&quasi, &sensitive, &mut look) {
        Ok((outputs, report)) => Ok((outputs.into_iter().map(Some).collect(), Some(report))),
        Err(AnonymizeError::TooFew { rows, k }) => {
            notice(format!(
                "{rows} rows are fewer than k, {k}: none is given out"
            ));
            Ok((Vec::new(), None))
        }
        Err(other) => Err(anonymize_error(other)),
    }
}

fn give_out(
    plan: &Plan,
    kept: &Kept,
    outputs: &[Option<Output>],
    store: *mut pg_sys::Tuplestorestate,
) -> Result<()> {
    // SAFETY: the descriptor has `natts` attributes.
    let natts = unsafe { (*plan.descriptor).natts } as usize;
    let mut values = vec![pg_sys::Datum::from(0usize); natts];
    let mut nulls = vec![true; natts];
    let writers: Vec<Writer> = plan
        .columns
        .iter()
        .map(|c| Writer::new(c.type_oid, c.typmod))
        .collect();
    let mut row = 0usize;
    kept.each(plan.width, |slot| {
        for ((own, output), writer) in plan.columns.iter().zip(outputs).zip(&writers) {
            let edit = match (&own.how, output) {
                (How::Pass(place), _) => {
                    let datum = slot.get(*place);
                    nulls[own.place] = datum.is_none();
                    values[own.place] = datum.unwrap_or(pg_sys::Datum::from(0usize));
                    continue;
                }
                (How::Constant(text), _) => text.clone().map(Edit::Text),
                (_, Some(output)) => {
                    let value = &output.values[output.picks[row] as usize];
                    value.as_ref().map(|value| value.edit(own.target))
                }
                (_, None) => None,
            };
            let datum = match &edit {
                None => None,
                Some(edit) => Some(writer.datum(edit)?.ok_or_else(|| too_large(&own.name))?),
            };
            nulls[own.place] = datum.is_none();
            values[own.place] = datum.unwrap_or(pg_sys::Datum::from(0usize));
        }
        row += 1;
        // SAFETY: values and nulls have the descriptor's length; the store copies them.
        unsafe {
            let (values, nulls) = (values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::tuplestore_putvalues(store, plan.descriptor, values, nulls);
        }
        Ok(())
    })
}

fn too_large(column: &str) -> Error {
    Error::new(
        "22001",
        format!("a new value does not fit into column \"{column}\" of the row type"),
    )
    .hint("Give a row type in which it is wider, such as text; a pseudonym is shorter with \"length\".")
}

fn anonymize_error(error: AnonymizeError) -> Error {
    let found = Error::new("22023", error.to_string());
    match error {
        AnonymizeError::NotDiverse { .. } => found.hint("Ask for a smaller l."),
        AnonymizeError::TooFew { .. } => found.hint("Ask for a smaller k."),
        AnonymizeError::Noise(_) => Error::new("58000", error.to_string()),
    }
}

/// With a key for pseudonyms alone, of the newest version or of the one that is asked for.
fn pseudonyms(version: Option<u32>) -> Result<Pseudonyms> {
    const PURPOSE: &str = "pseudonym";
    let none = || {
        Error::new("55000", "pseudonyms need a key, and there is none")
            .hint("A superuser sets insight.key_file or insight.key_command.")
    };
    let key = match version {
        None => keys::derive(PURPOSE)?.ok_or_else(none)?.1,
        Some(version) => {
            let ring = keys::ring()?.ok_or_else(none)?;
            ring.derive(version, PURPOSE).ok_or_else(|| {
                Error::new("22023", format!("there is no version {version} of the key"))
                    .hint("Leave \"key_version\" out for the newest.")
            })?
        }
    };
    Ok(Pseudonyms::new(key))
}

fn tell(plan: &Plan, report: Option<&Report>) {
    if let Some(report) = report {
        notice(format!(
            "{} classes of {} to {} rows ({:.1} on average) are alike in {}; {:.1}% of what these columns tell is given up",
            report.classes,
            report.smallest,
            report.largest,
            report.average,
            plan.params.quasi_identifiers().join(", "),
            report.lost * 100.0
        ));
    }
    let passed: Vec<&str> = plan
        .columns
        .iter()
        .filter(|own| matches!(own.how, How::Pass(_)))
        .map(|own| own.name.as_str())
        .collect();
    if !passed.is_empty() {
        notice(format!("given out as they are: {}", passed.join(", ")));
    }
}
