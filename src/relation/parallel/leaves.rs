//! The tables whose rows a scan reads: a table itself, with its inheritance children, or its partitions of all levels.

use crate::versions;
use pgrx::pg_sys::{self, Oid};

const HEAP: u32 = 2;

/// Tables in the order in which one process reads them, one after the other, and their size.
#[derive(Default)]
pub struct Leaves {
    pub tables: Vec<Oid>,
    pub blocks: u64,
}

impl Leaves {
    /// `None` where parallel workers may not read one of them.
    pub fn of(relation: Oid) -> Option<Leaves> {
        let mut leaves = Leaves::default();
        leaves.add(relation, true).then_some(leaves)
    }

    /// A table, with its children unless it is one of them.
    fn add(&mut self, oid: Oid, with_children: bool) -> bool {
        // SAFETY: the relation is locked while it is looked at and afterwards; a partition cannot go while its table is locked, and
        // children are locked when they are found.
        unsafe {
            let relation = pg_sys::relation_open(oid, pg_sys::AccessShareLock as i32);
            let form = &*(*relation).rd_rel;
            let shared = form.relpersistence as u8 != b't';
            let fits = shared
                && match form.relkind as u8 {
                    b'p' => {
                        let partitions = versions::partitions(relation);
                        partitions.into_iter().all(|own| self.add(own, true))
                    }
                    b'r' if with_children && form.relhassubclass => {
                        let own = versions::with_children(oid);
                        own.into_iter().all(|own| self.add(own, false))
                    }
                    b'r' | b'm' => {
                        self.tables.push(oid);
                        let main = pg_sys::ForkNumber::MAIN_FORKNUM;
                        self.blocks +=
                            u64::from(pg_sys::RelationGetNumberOfBlocksInFork(relation, main));
                        form.relam.to_u32() == HEAP
                    }
                    _ => false,
                };
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            fits
        }
    }
}
