//! Models ready to predict, per backend, keyed by immutable version id.
//!
//! A name is resolved again in every top-level statement, and at once when the catalog's invalidation says that some
//! pointer moved, so a new deployment is seen by the next statement of every session. It is only read, which works on
//! standbys and in parallel workers, too.

use super::rights::{self, Right};
use super::rows::{self, Key, Row};
use super::{activity, audit, catalog, keys, lent, record};
use crate::error::{Error, Result};
use crate::{settings, versions};
use insight_engine::artifact::{ArtifactError, Seen};
use insight_engine::infer::Predictor;
use insight_engine::recipe::Input;
use insight_engine::segment::Clustering;
use insight_engine::sequence;
use insight_engine::synth::Synthesizer;
use insight_engine::trained::TrainedModel;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::OwnedPreparedStatement, spi::SpiClient};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

const SECURITY_LOCAL_USERID_CHANGE: i32 = 1;

/// When a resolved name is still true: the same statement, transaction and role, and no pointer has moved since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    statement: i64,
    transaction: u32,
    role: u32,
    generation: u64,
}

/// What a reference stands for, for a role.
#[derive(Debug, Clone, Copy)]
struct Named {
    /// `None`: there is no such version, or none is deployed.
    id: Option<i64>,
    /// The strongest right of the role.
    right: Option<Right>,
}

impl Named {
    fn of(self, reference: &str) -> Result<i64> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        let (name, version) = split(reference)?;
        Err(match version {
            Some(version) => Error::new(
                "42704",
                format!("model \"{name}\" has no version {version}"),
            )
            .hint("The view insight.versions lists them."),
            None => Error::new("55000", format!("model \"{name}\" has no deployed version"))
                .hint("Deploy one with insight_deploy(model, version)."),
        })
    }
}

struct Cached {
    model: Loaded,
    used: u64,
}

/// A model of any kind, ready for use.
#[derive(Clone)]
pub enum Loaded {
    Predictor(Rc<Predictor>),
    Synthesizer(Rc<Synthesizer>),
    Sequence(Rc<sequence::Predictor>),
    Clustering(Rc<Clustering>),
}

impl Loaded {
    /// The columns of a row that the model answers for, and its sources; `None` for a model that answers no single rows.
    pub fn inputs(&self) -> Option<(&[Input], Option<&serde_json::Value>)> {
        match self {
            Loaded::Predictor(predictor) => {
                let artifact = predictor.artifact();
                Some((artifact.recipe.columns(), artifact.sources.as_ref()))
            }
            Loaded::Clustering(clustering) => Some((clustering.columns(), None)),
            Loaded::Synthesizer(_) | Loaded::Sequence(_) => None,
        }
    }

    /// Whether both are the same model in memory.
    pub fn is(&self, other: &Loaded) -> bool {
        match (self, other) {
            (Loaded::Predictor(a), Loaded::Predictor(b)) => Rc::ptr_eq(a, b),
            (Loaded::Synthesizer(a), Loaded::Synthesizer(b)) => Rc::ptr_eq(a, b),
            (Loaded::Sequence(a), Loaded::Sequence(b)) => Rc::ptr_eq(a, b),
            (Loaded::Clustering(a), Loaded::Clustering(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Loaded::Clustering(clustering) => clustering.bytes(),
            Loaded::Predictor(predictor) => predictor.bytes(),
            Loaded::Synthesizer(synthesizer) => synthesizer.bytes(),
            Loaded::Sequence(predictor) => predictor.model().bytes(),
        }
    }
}

/// Plans kept for the life of the process, both by the version's id: the artifact, whether it is there.
struct Plans {
    artifact: OwnedPreparedStatement,
    there: OwnedPreparedStatement,
}

thread_local! {
    static GENERATION: Cell<u64> = const { Cell::new(0) };
    /// The catalog's table insight.model: its invalidation says that a pointer moved, another oid that it is another catalog.
    static WATCHED: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
    static CLOCK: Cell<u64> = const { Cell::new(0) };
    static MODELS: RefCell<HashMap<i64, Cached>> = RefCell::new(HashMap::new());
    static NAMES: RefCell<HashMap<String, (Stamp, Named)>> = RefCell::new(HashMap::new());
    static PLANS: RefCell<Option<Plans>> = const { RefCell::new(None) };
}

/// Called from `_PG_init`.
pub fn register() {
    // SAFETY: a static function, registered once per process that loads the library.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(forget), pg_sys::Datum::from(0usize)) };
}

/// Does no catalog work: it may run in the middle of anything.
#[pg_guard]
unsafe extern "C-unwind" fn forget(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    let watched = WATCHED.get();
    if relation == pg_sys::InvalidOid || watched == pg_sys::InvalidOid || relation == watched {
        GENERATION.set(GENERATION.get() + 1);
    }
}

/// Forgets every model when the extension was dropped and created again: the new catalog counts its versions from 1.
fn watch() {
    let relation = catalog::model_relation();
    if WATCHED.replace(relation) != relation {
        MODELS.with_borrow_mut(HashMap::clear);
        NAMES.with_borrow_mut(HashMap::clear);
        activity::begin(relation);
    }
}

/// The stamp of this moment.
pub fn now() -> Stamp {
    // SAFETY: plain reads of this process's state.
    unsafe {
        Stamp {
            statement: pg_sys::GetCurrentStatementStartTimestamp(),
            transaction: versions::local_transaction(),
            role: pg_sys::GetUserId().to_u32(),
            generation: GENERATION.get(),
        }
    }
}

/// The id of the version that `'name'` (the deployed one) or `'name@3'` stands for, if the caller has the right.
pub fn version(reference: &str, right: Right) -> Result<i64> {
    let stamp = now();
    let known = NAMES.with_borrow(|names| {
        let known = names.get(reference).filter(|(s, _)| *s == stamp);
        known.map(|(_, named)| *named)
    });
    let named = match known {
        Some(named) => named,
        None => {
            watch();
            // SAFETY: a plain read of this process's identity.
            let role = unsafe { pg_sys::GetUserId() };
            let named = resolve(reference, role)?;
            if settings::audit_predictions() && named.right.is_some() {
                audit::predicted(reference);
            }
            NAMES.with_borrow_mut(|names| {
                if names.len() > 10_000 {
                    names.clear();
                }
                let before = names.insert(reference.to_owned(), (now(), named));
                // A session that stays while versions come and go keeps those that its names stand for.
                if let Some(id) = before.and_then(|(_, before)| before.id)
                    && named.id != Some(id)
                    && !names.values().any(|(_, known)| known.id == Some(id))
                {
                    MODELS.with_borrow_mut(|models| models.remove(&id));
                }
            });
            named
        }
    };
    match named.right >= Some(right) {
        true => named.of(reference),
        false => Err(rights::denied(split(reference)?.0, right)),
    }
}

/// The model that a reference stands for, ready to predict.
pub fn predictor(reference: &str, right: Right) -> Result<Rc<Predictor>> {
    predictor_of(reference, version(reference, right)?)
}

/// The same of a version that [`version`] has found.
pub fn predictor_of(reference: &str, id: i64) -> Result<Rc<Predictor>> {
    match model_of(reference, id)? {
        Loaded::Predictor(predictor) => Ok(predictor),
        other => Err(other.is_another(reference, "predict rows of a table")),
    }
}

/// The model that a reference stands for, ready to make rows.
pub fn synthesizer(reference: &str, right: Right) -> Result<Rc<Synthesizer>> {
    match model(reference, right)? {
        Loaded::Synthesizer(synthesizer) => Ok(synthesizer),
        other => Err(other.is_another(reference, "make rows")),
    }
}

/// The model that a reference stands for, ready to foretell what keys do next.
pub fn foreteller(reference: &str, right: Right) -> Result<Rc<sequence::Predictor>> {
    match model(reference, right)? {
        Loaded::Sequence(predictor) => Ok(predictor),
        other => Err(other.is_another(reference, "foretell what keys do next")),
    }
}

/// The model that a reference stands for, ready to tell segments apart.
pub fn clustering(reference: &str, right: Right) -> Result<Rc<Clustering>> {
    match model(reference, right)? {
        Loaded::Clustering(clustering) => Ok(clustering),
        other => Err(other.is_another(reference, "tell segments apart")),
    }
}

/// As [`foreteller`], where the reference stands for such a model.
pub fn if_foreteller(reference: &str, id: i64) -> Result<Option<Rc<sequence::Predictor>>> {
    match model_of(reference, id)? {
        Loaded::Sequence(predictor) => Ok(Some(predictor)),
        _ => Ok(None),
    }
}

impl Loaded {
    pub fn is_another(&self, reference: &str, wanted: &str) -> Error {
        let (does, hint) = match self {
            Loaded::Predictor(_) => (
                "predicts rows of a table",
                "Use insight_predict(model, row).",
            ),
            Loaded::Synthesizer(_) => (
                "makes rows",
                "Use insight_generate(model, rows, NULL::table).",
            ),
            Loaded::Sequence(_) => (
                "foretells what keys do next",
                "Use insight_next(model, relation) or insight_predict(model, key).",
            ),
            Loaded::Clustering(_) => (
                "tells segments apart",
                "Use insight_classify(model, row) or insight_segment_profiles(model).",
            ),
        };
        Error::new(
            "42809",
            format!("model \"{reference}\" {does} and does not {wanted}"),
        )
        .hint(hint)
    }
}

/// The model that a reference stands for, whatever its kind.
pub fn model(reference: &str, right: Right) -> Result<Loaded> {
    model_of(reference, version(reference, right)?)
}

/// The model of a version that [`version`] has found.
pub fn model_of(reference: &str, id: i64) -> Result<Loaded> {
    let clock = CLOCK.get() + 1;
    CLOCK.set(clock);
    let cached = MODELS.with_borrow_mut(|models| {
        models.get_mut(&id).map(|cached| {
            cached.used = clock;
            cached.model.clone()
        })
    });
    activity::counter(id).looked_up(cached.is_some());
    let shared = match &cached {
        // Others may have shared it since.
        Some(Loaded::Predictor(own)) if !own.is_lent() && own.core().is_some() => lent::find(id),
        Some(_) => None,
        None => lent::find(id),
    };
    if let (Some(model), None) = (cached, &shared) {
        return Ok(model);
    }
    let model = match shared {
        Some(shared) => Loaded::Predictor(Rc::new(shared)),
        None => {
            let bytes = as_reader(|| Spi::connect(|client| artifact(client, id)))?;
            match load(reference, &bytes)? {
                Loaded::Predictor(own) => match lent::share(id, &own, || is_there(id))? {
                    Some(shared) => Loaded::Predictor(Rc::new(shared)),
                    None => Loaded::Predictor(own),
                },
                other => other,
            }
        }
    };
    MODELS.with_borrow_mut(|models| {
        let cached = Cached {
            model: model.clone(),
            used: clock,
        };
        models.insert(id, cached);
        evict(models, id);
    });
    Ok(model)
}

/// Whether a version is there at this moment; the statement may see one that was dropped since it began.
fn is_there(id: i64) -> Result<bool> {
    let look = |client: &SpiClient<'_>, plans: &Plans| {
        // SAFETY: a new snapshot, which parallel workers can take, too; it is popped here, or by the transaction's abort.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetCatalogSnapshot(WATCHED.get())) };
        let found = client.select(&plans.there, None, &[id.into()]);
        // SAFETY: the one that was pushed.
        unsafe { pg_sys::PopActiveSnapshot() };
        Ok(!found?.is_empty())
    };
    as_reader(|| Spi::connect(|client| with_plans(client, |plans| look(client, plans))))
}

/// A version as it is stored, whatever its kind.
pub fn trained(reference: &str, id: i64) -> Result<TrainedModel> {
    let bytes = as_reader(|| Spi::connect(|client| artifact(client, id)))?;
    TrainedModel::from_bytes(&bytes).map_err(|error| unreadable(reference, error))
}

fn load(reference: &str, bytes: &[u8]) -> Result<Loaded> {
    TrainedModel::from_bytes(bytes)
        .and_then(|model| match model {
            TrainedModel::Table(mut artifact) => {
                // Of no use to who predicts, and up to 1 MB.
                artifact.seen = Seen::default();
                Ok(Loaded::Predictor(Rc::new(Predictor::new(*artifact)?)))
            }
            TrainedModel::Synthesizer(synthesizer) => {
                Ok(Loaded::Synthesizer(Rc::from(synthesizer)))
            }
            TrainedModel::Sequence(model) => {
                Ok(Loaded::Sequence(Rc::new(sequence::Predictor::new(*model)?)))
            }
            TrainedModel::Clustering(clustering) => Ok(Loaded::Clustering(Rc::from(clustering))),
        })
        .map_err(|error| unreadable(reference, error))
}

fn unreadable(reference: &str, error: ArtifactError) -> Error {
    match error {
        ArtifactError::TooNew { .. } => {
            Error::new("0A000", format!("model \"{reference}\" cannot be read"))
                .detail(error.to_string())
                .hint("ALTER EXTENSION insight UPDATE, or reconnect after an upgrade.")
        }
        _ => Error::new("XX001", format!("model \"{reference}\" is damaged"))
            .detail(error.to_string())
            .hint("Deploy another version with insight_deploy, or train it again."),
    }
}

/// Drops the least recently used models until the rest fits; the one in use stays.
fn evict(models: &mut HashMap<i64, Cached>, keep: i64) {
    let limit = settings::cache_bytes();
    while models.values().map(|m| m.model.bytes()).sum::<usize>() > limit {
        let oldest = models
            .iter()
            .filter(|(id, _)| **id != keep)
            .min_by_key(|(_, m)| m.used)
            .map(|(id, _)| *id);
        match oldest {
            Some(id) => models.remove(&id),
            None => return,
        };
    }
}

/// Runs `work` as the extension's owner; names in its SQL must be qualified, for the search path is the caller's.
fn as_reader<T>(work: impl FnOnce() -> T) -> T {
    struct Identity(pg_sys::Oid, i32);
    impl Drop for Identity {
        fn drop(&mut self) {
            // SAFETY: the identity this process had before.
            unsafe { pg_sys::SetUserIdAndSecContext(self.0, self.1) };
        }
    }
    let owner = catalog::owner();
    let mut before = Identity(pg_sys::InvalidOid, 0);
    // SAFETY: plain reads and writes of this process's identity, undone by the guard.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut before.0, &mut before.1);
        pg_sys::SetUserIdAndSecContext(owner, before.1 | SECURITY_LOCAL_USERID_CHANGE);
    }
    let result = work();
    drop(before);
    result
}

fn with_plans<T>(client: &SpiClient<'_>, work: impl FnOnce(&Plans) -> Result<T>) -> Result<T> {
    let missing = PLANS.with_borrow(Option::is_none);
    if missing {
        let int8 = pgrx::PgOid::BuiltIn(pg_sys::BuiltinOid::INT8OID);
        let prepare =
            |sql: &str, of: &[pgrx::PgOid]| client.prepare(sql, of).map(|plan| plan.keep());
        let plans = Plans {
            artifact: prepare(
                "SELECT v.artifact FROM insight.version v WHERE v.id OPERATOR(pg_catalog.=) $1",
                &[int8],
            )?,
            there: prepare(
                "SELECT FROM insight.version v WHERE v.id OPERATOR(pg_catalog.=) $1",
                &[int8],
            )?,
        };
        PLANS.with_borrow_mut(|slot| *slot = Some(plans));
    }
    PLANS.with_borrow(|plans| match plans {
        Some(plans) => work(plans),
        None => Err(Error::new("XX000", "the catalog's plans are gone")),
    })
}

/// `name@3` as name and version.
pub fn split(reference: &str) -> Result<(&str, Option<i32>)> {
    match reference.rsplit_once('@') {
        None => Ok((reference, None)),
        Some((name, version)) => match version.parse::<i32>() {
            Ok(version) => Ok((name, Some(version))),
            Err(_) => Err(
                Error::new("22023", format!("invalid model reference \"{reference}\""))
                    .hint("Use 'name' for the deployed version, or 'name@3' for version 3."),
            ),
        },
    }
}

fn resolve(reference: &str, role: pg_sys::Oid) -> Result<Named> {
    let (name, version) = split(reference)?;
    let found = rows::select(c"model", c"model_name_key", &[Key::Text(2, name)], |row| {
        (row.get::<i64>(1), row.name(3), row.get::<i32>(4))
    });
    let Some((model, owner, deployed)) = found.into_iter().next() else {
        return Err(as_reader(|| {
            Spi::connect(|client| catalog::unknown_model(client, name, role))
        }));
    };
    let (Some(model), Some(owner)) = (model, owner) else {
        return Err(Error::new(
            "XX001",
            format!("model \"{name}\" has no owner"),
        ));
    };
    let id = version.or(deployed).and_then(|version| {
        let keys = [Key::Long(2, model), Key::Int(3, version)];
        let id = |row: &Row<'_>| row.get::<i64>(1);
        let found = rows::select(c"version", c"version_model_version_key", &keys, id);
        found.into_iter().flatten().next()
    });
    let right = rights::strongest(model, &owner, role);
    Ok(Named { id, right })
}

/// The bytes of a version, opened.
fn artifact(client: &SpiClient<'_>, id: i64) -> Result<Vec<u8>> {
    let stored = with_plans(client, |plans| {
        let row = client.select(&plans.artifact, None, &[id.into()])?.first();
        if row.is_empty() {
            return Err(Error::new("42704", "the version was dropped"));
        }
        row.get_one::<Vec<u8>>()?
            .ok_or_else(|| Error::new("XX001", "the version has no artifact"))
    })?;
    keys::open("the model", &record::place(id), stored)
}
