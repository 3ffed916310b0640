//! Rows of a child's table, for the parents that the same call would make.

use super::form::{Form, Refusals};
use super::keys::Scope;
use super::{MOST_ROWS, Wanted, fill, scope, source};
use crate::error::{Error, Result};
use crate::messages::notice;
use crate::relation::sources::trust;
use insight_engine::synth::{Parents, Synthesizer};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// So many times as many rows as are to be expected may come, or so many in any case.
const SPREAD: usize = 20;
const LEAST: usize = 1_000_000;

/// The relation of this name, if there is one.
fn found(name: Option<&str>) -> Result<Option<pg_sys::Oid>> {
    let Some(name) = name else {
        return Ok(None);
    };
    Spi::connect(|client| {
        // Its schema need not be the caller's to use.
        let sql = "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             WHERE pg_catalog.format('%I.%I', n.nspname, c.relname) OPERATOR(pg_catalog.=) $1";
        let rows = client.select(sql, Some(1), &[name.into()])?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(rows.first().get_one()?)
    })
}

/// Which of the children's tables a relation's row type is for: that of its own relation, else that with which it has more columns
/// in common than with the others, and than with the parents.
pub fn child(model: &Synthesizer, relation: pg_sys::Oid) -> Result<Option<usize>> {
    let mut parent = None;
    for (place, table) in model.children().enumerate() {
        // A query is no name.
        let named = table.is_relation.then_some(table.relation.as_str());
        if found(named)? == Some(relation) {
            return Ok(Some(place));
        }
        parent = table.parent.as_deref();
    }
    if parent.is_none() && model.children().next().is_none() || found(parent)? == Some(relation) {
        return Ok(None);
    }
    let names: Vec<&str> = model.columns().map(|(name, ..)| name).collect();
    let mut best = (Form::known(relation, &names), None);
    for (place, _) in model.children().enumerate() {
        let Some(children) = model.children_of(place, 0) else {
            continue;
        };
        let names: Vec<&str> = children.columns().collect();
        let known = Form::known(relation, &names);
        if known > best.0 {
            best = (known, Some(place));
        }
    }
    Ok(best.1)
}

/// Makes the parents again, as they are made for their own row type, and their children, into the store.
pub fn rows(
    model: &Synthesizer,
    place: usize,
    wanted: &Wanted<'_>,
    relation: pg_sys::Oid,
    store: *mut pg_sys::Tuplestorestate,
) -> Result<pg_sys::TupleDesc> {
    let Some(table) = model.children().nth(place) else {
        return Err(Error::new("XX000", "there is no such child's table"));
    };
    let Some(seed) = wanted.seed else {
        return Err(Error::new(
            "22023",
            format!("rows of \"{}\" need the argument \"seed\"", table.name),
        )
        .detail("They belong to the parents that a call with the same seed makes.")
        .hint("Make both with one seed, such as seed => 7."));
    };
    let Some(mut children) = model.children_of(place, seed) else {
        return Err(Error::new("XX000", "there is no such child's table"));
    };
    let names: Vec<String> = children.columns().map(str::to_owned).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = (wanted.rows as f64 * children.rows_per_parent(model.rows)).ceil() as usize;
    // Conditions may ask for parents that have many children.
    let most = (SPREAD * rows).max(LEAST).min(MOST_ROWS as usize);
    let remembered = children.remembered();
    let mut form = Form::of(relation, &names, rows, remembered, |attributes| Scope {
        tables: true,
        // The parents may stand elsewhere, or come later.
        except: attributes
            .iter()
            .find(|a| a.name == table.key)
            .map(|a| a.place),
    })?;
    form.fits(&names)?;
    let own: Vec<&str> = model.columns().map(|(name, ..)| name).collect();
    let mut of_parents = match found(table.parent.as_deref())? {
        Some(parent) => {
            trust::check_rows(parent)?;
            let remembered = model.remembered();
            Some(Form::of(parent, &own, wanted.rows, remembered, |_| {
                scope(model)
            })?)
        }
        None => {
            if let Some(name) = &table.parent {
                notice(format!(
                    "{name} is not there, so that its constraints did not choose among the parents"
                ));
            }
            None
        }
    };
    let mut source = source(model, wanted, seed)?;
    let mut refusals = Refusals::default();
    let mut missing: BTreeMap<String, u32> = BTreeMap::new();
    fill(
        &mut source,
        of_parents.as_mut(),
        wanted.rows,
        None,
        &mut |parents, accepted| {
            let Parents { frame, counts } = parents;
            let counts = counts[place].iter().zip(accepted);
            children.start(frame, counts.map(|(count, own)| count * u32::from(*own)));
            while let Some(made) = children.next() {
                pgrx::check_for_interrupts!();
                if refusals.made > most {
                    return Err(Error::new(
                        "54000",
                        format!(
                            "more than {most} rows of \"{}\" belong to so many parents",
                            table.name
                        ),
                    )
                    .hint("Ask for fewer parents at a time, each with a seed of its own."));
                }
                let (mut taken, mut put) = (BTreeSet::new(), vec![false; made.rows()]);
                let mut reasons = BTreeMap::new();
                for (row, put) in put.iter_mut().enumerate() {
                    match form.put(&made, row, Some(store))? {
                        None => {
                            refusals.accepted();
                            *put = true;
                        }
                        Some(why) => {
                            taken.extend(form.columns_of(&why.taken));
                            reasons.insert(row, why.by.clone());
                            refusals.refused_child(why.by)?;
                        }
                    }
                }
                if !put.contains(&true) {
                    taken.iter().for_each(|column| children.leap(*column));
                }
                for (row, rows) in children.take(&put) {
                    if let Some(by) = reasons.remove(&row) {
                        *missing.entry(by).or_default() += rows;
                    }
                }
            }
            Ok(())
        },
    )?;
    for (by, rows) in missing {
        let name = &table.name;
        if refusals.made == 0 {
            return Err(Error::new(
                "23514",
                format!("generated rows of \"{name}\" do not satisfy {by}"),
            )
            .hint("Give fewer conditions, or the row type of a view without the constraint."));
        }
        notice(format!(
            "{rows} rows of \"{name}\" are missing, for no row of their parents satisfied {by}"
        ));
    }
    if let Some(form) = of_parents {
        form.free();
    }
    Ok(form.free())
}
