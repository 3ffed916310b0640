//! What becomes of each column of the row type, checked before a row is read.

use super::labels;
use crate::error::{Error, Result};
use crate::relation::attributes::{Attribute, attributes};
use crate::relation::decode::Decoder;
use crate::relation::pii;
use crate::relation::resolve::{self, Source, SourceColumn};
use crate::versions;
use insight_engine::frame::{Column, Kind};
use insight_engine::privacy::anonymize::{
    AnonymizeParams, Form, Generalize, Reading, Rule, Target,
};
use insight_engine::privacy::pii::BELIEVED;
use pgrx::{pg_sys, spi};
use serde_json::Value;
use std::ffi::CStr;

/// A column of the row type.
pub struct Own {
    pub name: String,
    pub type_oid: pg_sys::Oid,
    pub typmod: i32,
    pub target: Target,
    /// Its place in the row type.
    pub place: usize,
    pub how: How,
}

/// Where its values come from.
pub enum How {
    /// This value of the query, as it is.
    Pass(usize),
    /// The same for every row; nothing for NULL.
    Constant(Option<String>),
    /// A rule on this column of the frame.
    Made(usize),
    /// This quasi-identifier's class.
    Class(usize),
}

/// A column of the frame.
pub struct Read {
    pub name: String,
    /// Which value of the query.
    pub place: usize,
    pub decoder: Decoder,
    type_name: String,
}

impl Read {
    pub fn column(&self) -> Column {
        Column::new(
            self.name.as_str(),
            self.type_name.as_str(),
            self.decoder.kind,
        )
    }
}

/// Everything that is known before a row is read.
pub struct Plan {
    pub params: AnonymizeParams,
    pub select: String,
    /// Values of the query.
    pub width: usize,
    pub descriptor: pg_sys::TupleDesc,
    pub columns: Vec<Own>,
    pub reads: Vec<Read>,
    /// Columns of the frame, in the order of the parameters.
    pub quasi: Vec<usize>,
    pub sensitive: Vec<usize>,
}

impl Plan {
    /// Resolves the relation and matches the row type's columns by name. Without rules those of security labels are taken.
    ///
    /// # Errors
    /// Rules that cannot be read, columns that are not there, types that cannot hold what a rule gives, a column without a rule
    /// that seems to name people.
    pub fn new(relation: &str, rules: Option<&Value>, row_type: pg_sys::Oid) -> Result<Plan> {
        let source = resolve::resolve(relation)?;
        let params = AnonymizeParams::from_json(&labels::complete(&source, rules)?)?;
        for name in params.named() {
            source.require(name)?;
        }
        let (descriptor, attributes) = form(row_type)?;
        let mut query = Query::default();
        let mut quasi = Vec::new();
        for name in params.quasi_identifiers() {
            let column = source.require(name)?;
            let own = natural(column.type_oid);
            let reading = match params.rule(name) {
                Some(rule) => rule.reading(name, own)?.unwrap_or(own),
                None => own,
            };
            quasi.push(query.read(column, reading)?);
        }
        let mut sensitive = Vec::new();
        for name in params.sensitive() {
            let column = source.require(name)?;
            sensitive.push(query.read(column, natural(column.type_oid))?);
        }
        let mut columns = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            columns.push(own(&params, &source, attribute, &mut query)?);
        }
        no_people(&params, &source, &columns)?;
        let Query { list, reads, .. } = query;
        // Rows in the order of the relation would tell whose they are.
        let select = format!(
            "SELECT {} FROM {} ORDER BY pg_catalog.gen_random_uuid()",
            list.join(", "),
            source.from
        );
        Ok(Plan {
            params,
            select,
            width: list.len(),
            descriptor,
            columns,
            reads,
            quasi,
            sensitive,
        })
    }
}

/// The values that are asked for.
#[derive(Default)]
struct Query {
    list: Vec<String>,
    reads: Vec<Read>,
}

impl Query {
    /// Adds a value; answers its place.
    fn add(&mut self, expression: String) -> usize {
        self.list.push(expression);
        self.list.len() - 1
    }

    /// Adds a column to the frame; answers its place there.
    fn read(&mut self, column: &SourceColumn, reading: Reading) -> Result<usize> {
        let (expression, type_oid, type_name) = match reading {
            Reading::Text => (Source::as_text(column), pg_sys::TEXTOID, "text".to_owned()),
            _ => (
                spi::quote_identifier(&column.name),
                column.type_oid,
                column.type_name.clone(),
            ),
        };
        let decoder = Decoder::for_type(type_oid).ok_or_else(|| {
            let message = format!(
                "column \"{}\" has the unsupported type {type_name}",
                column.name
            );
            Error::new("0A000", message)
        })?;
        let place = self.add(expression);
        self.reads.push(Read {
            name: column.name.clone(),
            place,
            decoder,
            type_name,
        });
        Ok(self.reads.len() - 1)
    }
}

fn own(
    params: &AnonymizeParams,
    source: &Source,
    attribute: Attribute,
    query: &mut Query,
) -> Result<Own> {
    let name = attribute.name;
    let column = source.require(&name)?;
    let target = target(attribute.type_oid);
    let rule = params.rule(&name);
    let given = natural(column.type_oid);
    let how = if let Some(number) = params
        .quasi_identifiers()
        .iter()
        .position(|own| *own == name)
    {
        let form = match (rule, given) {
            (Some(rule), _) => rule.form(given).unwrap_or(Form::Text),
            (None, Reading::Number) => Form::Range,
            (None, Reading::Time) => Form::Span,
            (None, Reading::Boolean) => Form::Boolean,
            (None, Reading::Text) => Form::Text,
        };
        fits(&name, form, target, attribute.type_oid)?;
        How::Class(number)
    } else {
        match rule {
            None | Some(Rule::Keep) => {
                How::Pass(query.add(cast(column, attribute.type_oid, attribute.typmod)))
            }
            Some(Rule::Suppress { with }) => How::Constant(with.clone()),
            Some(rule) => {
                let reading = rule.reading(&name, given)?.unwrap_or(given);
                if let Rule::Pseudonym { .. } = rule
                    && !Rule::holds_pseudonyms(target)
                {
                    return Err(unfit(&name, "a pseudonym", attribute.type_oid).hint(
                        "Give a row type in which the column is text, bigint, numeric or uuid.",
                    ));
                }
                if let Rule::Generalize(Generalize::Hierarchy { level: None, .. }) = rule {
                    return Err(Error::new("22023", format!("the hierarchy of column \"{name}\" needs a level"))
                        .hint("Without one it goes with k-anonymity: name the column in quasi_identifiers."));
                }
                if let Some(form) = rule.form(reading) {
                    fits(&name, form, target, attribute.type_oid)?;
                }
                How::Made(query.read(column, reading)?)
            }
        }
    };
    Ok(Own {
        name,
        type_oid: attribute.type_oid,
        typmod: attribute.typmod,
        target,
        place: attribute.place,
        how,
    })
}

fn fits(column: &str, form: Form, target: Target, type_oid: pg_sys::Oid) -> Result<()> {
    if form.fits(target) {
        return Ok(());
    }
    Err(unfit(column, form.name(), type_oid).hint(
        "Give a row type in which the column is text, or of a type that holds it: \
         CREATE TYPE anonymous AS (age int4range, zip text, ...).",
    ))
}

fn unfit(column: &str, what: &str, type_oid: pg_sys::Oid) -> Error {
    let message = format!(
        "column \"{column}\" becomes {what}, which type {} cannot hold",
        type_name(type_oid, -1)
    );
    Error::new("42804", message)
}

/// A column that nobody spoke of is not given out where it is the key of the rows or seems to name people.
fn no_people(params: &AnonymizeParams, source: &Source, columns: &[Own]) -> Result<()> {
    let silent = |own: &&Own| matches!(own.how, How::Pass(_)) && params.rule(&own.name).is_none();
    let silent: Vec<&SourceColumn> = columns
        .iter()
        .filter(silent)
        .filter_map(|own| source.column(&own.name))
        .collect();
    let hint = |column: &str| {
        format!(
            "Give it a rule in \"columns\", such as \"pseudonym\", \"mask\" or \"suppress\", or \"keep\" if it may be given out: \
             {{\"columns\": {{\"{column}\": \"suppress\"}}}}."
        )
    };
    let key = source.relation.and_then(resolve::primary_key);
    if let Some(key) = key.filter(|key| silent.iter().any(|column| column.name == *key)) {
        let message = format!("column \"{key}\" has no rule and is the key of its rows");
        return Err(Error::new("22023", message)
            .detail("Whoever knows the key of a row knows whose it is.")
            .hint(hint(&key)));
    }
    let found = pii::among(source, &silent, pii::ROWS)?;
    let direct = |f: &&pii::Found| f.finding.kind.is_direct() && f.finding.confidence >= BELIEVED;
    match found.iter().find(direct) {
        None => Ok(()),
        Some(found) => Err(Error::new(
            "22023",
            format!(
                "column \"{}\" has no rule and seems to name people",
                found.column
            ),
        )
        .detail(format!(
            "{}: {} (confidence {:.2}).",
            found.finding.kind.name(),
            found.finding.evidence,
            found.finding.confidence
        ))
        .hint(hint(&found.column))),
    }
}

/// The wanted row type: its descriptor, in the current memory context, and its columns.
fn form(row_type: pg_sys::Oid) -> Result<(pg_sys::TupleDesc, Vec<Attribute>)> {
    // SAFETY: a syscache look-up.
    let relation = unsafe { pg_sys::get_typ_typrelid(row_type) };
    if relation == pg_sys::InvalidOid {
        let message = format!("a row type is needed, not {}", type_name(row_type, -1));
        return Err(Error::new("42804", message).hint(
            "For example SELECT * FROM insight_anonymize('customers', '{...}', NULL::customers), or the type of CREATE TYPE ... AS (...).",
        ));
    }
    // SAFETY: a composite type; the copy belongs to the current context.
    unsafe {
        let descriptor = pg_sys::lookup_rowtype_tupdesc_copy(row_type, -1);
        Ok((descriptor, attributes(descriptor)))
    }
}

/// How a column of a type is read where no rule says otherwise.
fn natural(type_oid: pg_sys::Oid) -> Reading {
    match Decoder::for_type(type_oid).map(|d| d.kind) {
        Some(Kind::Number) => Reading::Number,
        Some(Kind::Time) => Reading::Time,
        Some(Kind::Boolean) => Reading::Boolean,
        _ => Reading::Text,
    }
}

/// What a column of a type can hold.
fn target(type_oid: pg_sys::Oid) -> Target {
    // SAFETY: syscache look-ups of an existing type.
    let (base, is_range) = unsafe {
        let base = pg_sys::getBaseType(type_oid);
        (base, pg_sys::get_typtype(base) as u8 == b'r')
    };
    if is_range {
        // SAFETY: the type is a range.
        return match unsafe { pg_sys::get_range_subtype(base) } {
            pg_sys::INT4OID | pg_sys::INT8OID => Target::WholeRange,
            pg_sys::NUMERICOID | pg_sys::FLOAT8OID => Target::NumberRange,
            pg_sys::DATEOID => Target::DateRange,
            pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Target::TimeRange,
            _ => Target::Other,
        };
    }
    match base {
        pg_sys::INT2OID | pg_sys::INT4OID => Target::Whole,
        pg_sys::INT8OID | pg_sys::NUMERICOID => Target::Long,
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID | versions::MONEYOID => Target::Real,
        pg_sys::DATEOID => Target::Date,
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Target::Time,
        pg_sys::BOOLOID => Target::Boolean,
        pg_sys::UUIDOID => Target::Uuid,
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::NAMEOID => Target::Text,
        _ => Target::Other,
    }
}

/// A column as the row type has it: what cannot be cast is PostgreSQL's own error.
fn cast(column: &SourceColumn, type_oid: pg_sys::Oid, typmod: i32) -> String {
    let name = spi::quote_identifier(&column.name);
    match column.type_oid == type_oid && typmod == -1 {
        true => name,
        false => format!("{name}::{}", type_name(type_oid, typmod)),
    }
}

/// As it stands in SQL, whatever the search path.
fn type_name(type_oid: pg_sys::Oid, typmod: i32) -> String {
    const TYPEMOD_GIVEN: u16 = 1;
    const FORCE_QUALIFY: u16 = 4;
    // SAFETY: answers a C string for any type.
    unsafe {
        let text = pg_sys::format_type_extended(type_oid, typmod, TYPEMOD_GIVEN | FORCE_QUALIFY);
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}
