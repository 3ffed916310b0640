//! A relation cleaned for its own sake: its rows are kept aside, judged as a frame in a child, and given out with the values
//! that change replaced, in the relation's own row type.

pub(super) mod kept;

use super::attributes::{Attribute, attributes};
use super::datum::Writer;
use super::decode::{Buffer, Decoder};
use super::resolve::{self, Source};
use crate::error::{Error, Result};
use crate::job::trainer;
use crate::messages::notice;
use crate::settings;
use insight_engine::clean::report::describe;
use insight_engine::clean::table::{Cleaned, Table};
use insight_engine::clean::{CleanParams, Duplicates};
use insight_engine::frame::{Cell, Column, Frame, Kind};
use kept::Kept;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi};
use std::ffi::CStr;

/// Rows between two looks at the frame's size and at interrupts.
const LOOK_ROWS: usize = 4096;

/// Whether the columns that the options name are there, and constants of their kind.
pub fn check(params: &CleanParams, source: &Source, target: Option<&str>) -> Result<()> {
    for name in params.named() {
        let column = source.require(name)?;
        if Some(name) == target {
            return Err(
                Error::new("22023", format!("the target \"{name}\" cannot be cleaned"))
                    .hint("Clean it in a SELECT, or with insight_clean."),
            );
        }
        if let Some(decoder) = Decoder::for_type(column.type_oid) {
            params.check_column(name, decoder.kind)?;
        }
    }
    Ok(())
}

/// The relation, the row type it is given out in, and what its columns are.
pub struct Plan {
    select: String,
    /// Lives in the memory context that was current when the plan was made.
    descriptor: pg_sys::TupleDesc,
    attributes: Vec<Attribute>,
    keys: Vec<String>,
    identifiers: Vec<String>,
    params: CleanParams,
}

impl Plan {
    /// Checks everything that can be checked before a row is read.
    pub fn new(
        row_type: pg_sys::Oid,
        options: &serde_json::Value,
        relation: Option<&str>,
    ) -> Result<Plan> {
        let params = CleanParams::from_json(options, "")?;
        let own = own_relation(row_type)?;
        let source = match (relation, own) {
            (Some(relation), _) => resolve::resolve(relation)?,
            (None, Ok(own)) => resolve::resolve(&own)?,
            (None, Err(error)) => return Err(error),
        };
        check(&params, &source, None)?;
        // SAFETY: a composite type, as `own_relation` made sure; the copy belongs to the current context.
        let descriptor = unsafe { pg_sys::lookup_rowtype_tupdesc_copy(row_type, -1) };
        // SAFETY: the descriptor was just made.
        let attributes = unsafe { attributes(descriptor) };
        match_columns(&attributes, &source)?;
        let names: Vec<&str> = attributes.iter().map(|a| a.name.as_str()).collect();
        Ok(Plan {
            select: source.select(&names),
            descriptor,
            keys: source.relation.map_or(Ok(Vec::new()), keys)?,
            identifiers: source
                .relation
                .and_then(resolve::primary_key)
                .into_iter()
                .collect(),
            attributes,
            params,
        })
    }

    /// The clean rows, in a tuple store of the current memory context, and their descriptor.
    pub fn run(self, random: bool) -> Result<(*mut pg_sys::Tuplestorestate, pg_sys::TupleDesc)> {
        let kept = Kept::read(&self.select)?;
        let table = self.table(&kept)?;
        let params = self.params.clone();
        let cleaned = trainer::ask(settings::threads(), move || table.clean(&params))?;
        let lines = describe(&cleaned.changes);
        let store = self.give_out(&kept, cleaned, random)?;
        for line in &lines {
            notice(line);
        }
        if lines.is_empty() {
            notice("nothing was changed");
        }
        Ok((store, self.descriptor))
    }

    /// The rows as a frame; a type that cannot be cleaned is only there to tell rows apart.
    fn table(&self, kept: &Kept) -> Result<Table> {
        let compare = self.params.duplicates() != Duplicates::Keep;
        let mut columns: Vec<(How, Column)> = self
            .attributes
            .iter()
            .map(|attribute| How::column(attribute, compare))
            .collect();
        let opaque = columns.iter().filter(|(how, _)| !how.cleans());
        let opaque = opaque.map(|(_, column)| column.name.clone()).collect();
        let mut buffer = Buffer::default();
        let limit = settings::max_memory();
        let mut rows = 0usize;
        kept.each(columns.len(), |slot| {
            for (i, (how, column)) in columns.iter_mut().enumerate() {
                let cell = match slot.get(i) {
                    None => Cell::Null,
                    // SAFETY: a datum of the attribute's type, as `match_columns` made sure.
                    Some(datum) => unsafe { how.decode(datum, &mut buffer) },
                };
                column.push(cell);
            }
            rows += 1;
            if rows.is_multiple_of(LOOK_ROWS)
                && columns.iter().map(|(_, c)| c.bytes()).sum::<usize>() > limit
            {
                return Err(Error::new(
                    "53200",
                    format!("the data needs more than the {} MB it may use", limit >> 20),
                )
                .detail(format!("{rows} rows were read."))
                .hint("Clean a view of fewer rows or columns, or have a superuser raise insight.max_memory."));
            }
            Ok(())
        })?;
        Ok(Table {
            frame: Frame {
                columns: columns.into_iter().map(|(_, column)| column).collect(),
            },
            keys: self.keys.clone(),
            identifiers: self.identifiers.clone(),
            opaque,
        })
    }

    fn give_out(
        &self,
        kept: &Kept,
        cleaned: Cleaned,
        random: bool,
    ) -> Result<*mut pg_sys::Tuplestorestate> {
        // SAFETY: the descriptor has `natts` attributes.
        let natts = unsafe { (*self.descriptor).natts } as usize;
        let mut values = vec![pg_sys::Datum::from(0usize); natts];
        let mut nulls = vec![true; natts];
        // SAFETY: a store of the current memory context; rows spill to disk beyond work_mem.
        let store = unsafe { pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem) };
        let mut edits = Vec::with_capacity(cleaned.columns.len());
        for edit in &cleaned.columns {
            let Some(attribute) = self.attributes.get(edit.column) else {
                continue;
            };
            let writer = Writer::new(attribute.type_oid, attribute.typmod);
            let made: Vec<Option<pg_sys::Datum>> = edit
                .values
                .iter()
                .map(|value| writer.datum(value))
                .collect::<Result<_>>()?;
            let changes = edit.rows.iter().copied().zip(edit.picks.iter().copied());
            edits.push((edit.column, made, changes.peekable()));
        }
        let mut dropped = cleaned.dropped.iter().copied().peekable();
        let mut row = 0u32;
        kept.each(self.attributes.len(), |slot| {
            let number = row;
            row += 1;
            if dropped.next_if_eq(&number).is_some() {
                return Ok(());
            }
            for (i, attribute) in self.attributes.iter().enumerate() {
                let datum = slot.get(i);
                nulls[attribute.place] = datum.is_none();
                values[attribute.place] = datum.unwrap_or(pg_sys::Datum::from(0usize));
            }
            for (column, made, changes) in &mut edits {
                let Some((_, pick)) = changes.next_if(|(row, _)| *row == number) else {
                    continue;
                };
                let place = self.attributes[*column].place;
                if let Some(Some(datum)) = made.get(pick as usize) {
                    (values[place], nulls[place]) = (*datum, false);
                }
            }
            // SAFETY: values and nulls have the descriptor's length; the store copies them.
            unsafe {
                pg_sys::tuplestore_putvalues(
                    store,
                    self.descriptor,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
            }
            Ok(())
        })?;
        Ok(store)
    }
}

/// How a column is read.
enum How {
    Clean(Decoder),
    /// Decoded to tell rows apart.
    Compare(Decoder),
    /// As its output function writes it, to tell rows apart.
    Written(pg_sys::Oid),
    /// Not at all.
    Pass,
}

impl How {
    fn column(attribute: &Attribute, compare: bool) -> (How, Column) {
        // Bytes are told apart as they are, not as the images they may hold.
        let decoder = Decoder::for_type(attribute.type_oid).filter(|d| d.kind != Kind::Image);
        let cleaned = |kind| {
            matches!(
                kind,
                Kind::Number | Kind::Duration | Kind::Boolean | Kind::Category | Kind::Time
            )
        };
        let how = match decoder {
            Some(decoder) if cleaned(decoder.kind) => How::Clean(decoder),
            Some(decoder) if compare => How::Compare(decoder),
            None if compare => {
                let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
                // SAFETY: a syscache look-up of an existing type.
                unsafe {
                    pg_sys::getTypeOutputInfo(attribute.type_oid, &mut output, &mut varlena);
                }
                How::Written(output)
            }
            _ => How::Pass,
        };
        let kind = match &how {
            How::Clean(decoder) | How::Compare(decoder) => decoder.kind,
            How::Written(_) => Kind::Category,
            How::Pass => Kind::Boolean,
        };
        // SAFETY: an existing type; a domain goes by its base type.
        let type_name = unsafe {
            let base = pg_sys::getBaseType(attribute.type_oid);
            CStr::from_ptr(pg_sys::format_type_be(base))
        };
        let column = Column::new(&*attribute.name, type_name.to_string_lossy(), kind);
        (how, column)
    }

    fn cleans(&self) -> bool {
        matches!(self, How::Clean(_))
    }

    /// # Safety
    /// `datum` must be a datum of the column's type, not NULL.
    unsafe fn decode<'a>(&self, datum: pg_sys::Datum, buffer: &'a mut Buffer) -> Cell<'a> {
        match self {
            How::Clean(decoder) | How::Compare(decoder) => {
                // SAFETY: promised by the caller.
                match unsafe { decoder.decode(datum, buffer) } {
                    // A date without end is no gap: it means what it says.
                    Cell::Null if decoder.kind == Kind::Time => Cell::Time(i64::MAX),
                    cell => cell,
                }
            }
            How::Written(output) => {
                // SAFETY: promised by the caller; the text lives until the next row.
                let text = unsafe {
                    CStr::from_ptr(pg_sys::OidOutputFunctionCall(*output, datum)).to_string_lossy()
                };
                buffer.bytes.clear();
                buffer.bytes.extend_from_slice(text.as_bytes());
                std::str::from_utf8(&buffer.bytes).map_or(Cell::Null, Cell::Text)
            }
            How::Pass => Cell::Null,
        }
    }
}

/// The quoted name of the table whose rows are of a type; the inner error: it is a row type without a table.
fn own_relation(row_type: pg_sys::Oid) -> Result<Result<String>> {
    // SAFETY: syscache look-ups; names are NULL where the relation went away.
    unsafe {
        let relation = pg_sys::get_typ_typrelid(row_type);
        if relation == pg_sys::InvalidOid {
            let name = CStr::from_ptr(pg_sys::format_type_be(row_type)).to_string_lossy();
            return Err(
                Error::new("42804", format!("a table's row type is needed, not {name}"))
                    .hint("For example SELECT * FROM insight_clean(NULL::customers)."),
            );
        }
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        let name = pg_sys::get_rel_name(relation);
        if schema.is_null() || name.is_null() {
            return Err(Error::new("42P01", "the relation was dropped"));
        }
        let (schema, name) = (
            CStr::from_ptr(schema).to_string_lossy(),
            CStr::from_ptr(name).to_string_lossy(),
        );
        if pg_sys::get_rel_relkind(relation) as u8 == b'c' {
            return Ok(Err(Error::new(
                "42809",
                format!("type \"{name}\" belongs to no table"),
            )
            .hint("Name the relation in the argument relation.")));
        }
        Ok(Ok(format!(
            "{}.{}",
            spi::quote_identifier(schema),
            spi::quote_identifier(name)
        )))
    }
}

/// The relation must have every column of the row type, of the same type.
fn match_columns(attributes: &[Attribute], source: &Source) -> Result<()> {
    if attributes.is_empty() {
        return Err(Error::new("22023", "the row type has no columns"));
    }
    for attribute in attributes {
        let column = source.require(&attribute.name)?;
        if column.type_oid != attribute.type_oid {
            return Err(Error::new(
                "42804",
                format!(
                    "column \"{}\" of {} is of type {}, unlike the row type's",
                    attribute.name,
                    source.label(),
                    column.type_name
                ),
            )
            .hint("Give NULL::table of the relation itself, or cast the column in a SELECT."));
        }
    }
    Ok(())
}

/// Columns of primary, unique and foreign keys.
fn keys(relation: pg_sys::Oid) -> Result<Vec<String>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT DISTINCT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 AND (EXISTS \
               (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) a.attrelid AND i.indisunique \
                AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey)) OR EXISTS \
               (SELECT FROM pg_catalog.pg_constraint c WHERE c.conrelid OPERATOR(pg_catalog.=) a.attrelid \
                AND c.contype OPERATOR(pg_catalog.=) 'f' AND a.attnum OPERATOR(pg_catalog.=) ANY (c.conkey)))",
            None,
            &[relation.into()],
        )?;
        let names = rows.filter_map(|row| row.get::<String>(1).ok().flatten());
        Ok(names.collect())
    })
}
