//! The rows of a job: read as the calling role, without those of forgotten keys, at the cost of their tables' privacy budgets.

use super::Run;
use crate::alloc::spill;
use crate::error::Result;
use crate::job::session;
use crate::job::spec::Work;
use crate::job::spec::sequence::Sequence;
use crate::job::worker::transaction;
use crate::relation::{read, resolve};
use crate::store::budget::{self, Use};
use crate::store::membership;
use insight_engine::frame::{Column, Frame};
use insight_engine::privacy;
use pgrx::pg_sys;
use std::time::Instant;

const SECURITY_LOCAL_USERID_CHANGE: i32 = 1;
const SECURITY_RESTRICTED_OPERATION: i32 = 2;

/// Rows about the keys of histories.
#[derive(Default)]
pub(super) struct Beside {
    pub labels: Option<Frame>,
    pub statics: Option<Frame>,
    pub children: Vec<Frame>,
    /// Of each row a hash of its key, where rows are dealt to shards.
    pub keys: Vec<u64>,
    /// The relations that all rows come from.
    pub relations: Vec<pg_sys::Oid>,
}

/// Lets blocks go to a temporary file once they take a part of the memory of a job; the rest is for what is made of them.
fn open_spill(max_bytes: usize) {
    // SAFETY: in a transaction, which deletes the file; the descriptor, a copy, keeps what it holds until this process is gone.
    unsafe {
        let most = match pg_sys::temp_file_limit {
            0 => return,
            limit if limit < 0 => usize::MAX,
            kilobytes => kilobytes as usize * 1024,
        };
        let file = pg_sys::OpenTemporaryFile(false);
        let own = libc::fcntl(pg_sys::FileGetRawDesc(file), libc::F_DUPFD_CLOEXEC, 3);
        pg_sys::FileClose(file);
        if own < 0 || !spill::open(own, max_bytes, most) {
            pgrx::log!(
                "insight: no temporary file could be opened: the rows have to fit into memory"
            );
        }
    }
}

impl Run<'_> {
    /// Leaves out the rows of forgotten keys, and notes whose are left.
    pub(super) fn take_keys(&mut self, frame: &mut Frame, beside: &mut Beside) -> Result<()> {
        let Some(member) = &self.spec.member else {
            return Ok(());
        };
        let model = &self.spec.model;
        let asked = &self.spec.forgotten;
        let (members, left_out) = transaction(|| {
            // Somebody may have been forgotten since the call.
            let mut all = membership::forgotten(model)?;
            all.extend(asked);
            // What is told of a key beside its history goes with it.
            for own in [&mut beside.labels, &mut beside.statics]
                .into_iter()
                .flatten()
            {
                membership::take(own, &member.column, &all)?;
            }
            let taken = membership::take(frame, &member.column, &all)?;
            if self.spec.shards.is_some() {
                beside.keys = membership::hashes(frame, &member.column)?;
            }
            Ok(taken)
        })?;
        if left_out > 0 {
            pgrx::log!("insight: {left_out} rows of forgotten keys are left out of model {model}");
        }
        if member.aside {
            frame.columns.retain(|column| column.name != member.column);
        }
        self.seen = members.to_bytes();
        Ok(())
    }

    /// Reads the relation, and that of labels if there is one, as the calling role, in a read-only transaction.
    pub(super) fn read(&self) -> Result<(Frame, Beside)> {
        let spec = &self.spec;
        let control = self.control;
        let started = Instant::now();
        transaction(|| {
            // SAFETY: sets this transaction read-only and takes on the calling role; both end with the transaction,
            // the identity below or by the abort.
            let mut before = (pg_sys::InvalidOid, 0);
            unsafe {
                pg_sys::XactReadOnly = true;
                pg_sys::GetUserIdAndSecContext(&mut before.0, &mut before.1);
                session::apply(
                    &spec.settings,
                    pg_sys::superuser_arg(spec.session_role.into()),
                );
                pg_sys::SetUserIdAndSecContext(
                    spec.role.into(),
                    SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION,
                );
            }
            open_spill(spec.max_bytes);
            let names: Vec<&str> = spec.columns.iter().map(String::as_str).collect();
            let mut on_rows = |rows| {
                control.report_rows(
                    rows,
                    rows as f64 / started.elapsed().as_secs_f64().max(1e-9),
                );
                if self.caller && (control.cancel.load(std::sync::atomic::Ordering::Relaxed) != 0) {
                    // SAFETY: asks PostgreSQL to cancel this query at its next check.
                    unsafe {
                        pg_sys::QueryCancelPending = 1;
                        pg_sys::InterruptPending = 1;
                    }
                }
                pgrx::check_for_interrupts!();
            };
            let source = spec.source()?;
            let frame = read::read_in_order(&source, &names, spec.max_bytes, &mut on_rows)?;
            let mut beside = Beside {
                relations: source.relations,
                ..Beside::default()
            };
            if let Work::Sequence(Sequence {
                key,
                labels,
                statics,
                ..
            }) = &spec.work
            {
                let mut left = spec.max_bytes.saturating_sub(frame.bytes());
                if let Some(labels) = labels {
                    let source = resolve::resolve_from(&labels.relation, &labels.from)?;
                    let own =
                        read::read_in_order(&source, &[key, &labels.target], left, &mut on_rows)?;
                    beside.relations.extend(source.relations);
                    left = left.saturating_sub(own.bytes());
                    beside.labels = Some(own);
                }
                if let Some(statics) = statics {
                    let source = resolve::resolve_from(&statics.relation, &statics.from)?;
                    let names: Vec<&str> = statics.columns.iter().map(String::as_str).collect();
                    beside.statics =
                        Some(read::read_in_order(&source, &names, left, &mut on_rows)?);
                    beside.relations.extend(source.relations);
                }
            }
            if let Work::Generate(work) = &spec.work {
                let mut left = spec.max_bytes.saturating_sub(frame.bytes());
                for child in &work.children {
                    let source = resolve::resolve_from(&child.table.relation, &child.from)?;
                    let names: Vec<&str> = child.columns.iter().map(String::as_str).collect();
                    let own = read::read_in_order(&source, &names, left, &mut on_rows)?;
                    left = left.saturating_sub(own.bytes());
                    beside.children.push(own);
                    beside.relations.extend(source.relations);
                }
            }
            // SAFETY: the identity that was there before.
            unsafe { pg_sys::SetUserIdAndSecContext(before.0, before.1) };
            Ok((frame, beside))
        })
    }

    /// How many units of privacy there are: customers where rows belong to some, of whom nobody is to learn how many rows they have.
    pub(super) fn units(&self, frame: &Frame) -> Result<usize> {
        let options = self.spec.options.as_object();
        let given = options.map(privacy::given).transpose()?.flatten();
        let unit = match &self.spec.work {
            Work::Sequence(own) => Some(own.key.clone()),
            _ => given.and_then(|own| own.unit),
        };
        let column = unit.and_then(|name| frame.column(&name));
        Ok(column.map_or(frame.rows(), Column::distinct))
    }

    /// Spends from the budgets of the relations what a training under differential privacy was asked to cost, before it looks at the
    /// rows: one that fails or is cancelled then cannot be repeated for nothing.
    pub(super) fn charge(&mut self, frame: &Frame, relations: &[pg_sys::Oid]) -> Result<()> {
        let units = self.units(frame)?;
        let Some(options) = self.spec.options.as_object_mut() else {
            return Ok(());
        };
        // What attackers learn of models is not told privately, whatever the models are.
        let given = privacy::given(options)?;
        let Some(given) = given.filter(|_| !matches!(self.spec.work, Work::Leak(_))) else {
            let role = self.spec.role.into();
            return transaction(|| budget::check_plain_of(relations, role));
        };
        let delta = given.delta.unwrap_or(0.1 / units.max(1) as f64);
        if let Some(own) = options.get_mut("privacy") {
            // What is spent is what the trainer goes by.
            own["delta"] = delta.into();
        }
        let what = format!("model {}", self.spec.model);
        let of = Use {
            epsilon: given.epsilon,
            delta,
            what: &what,
            job: Some(self.job),
            role: self.spec.role.into(),
        };
        transaction(|| budget::charge(relations, &of))
    }
}
