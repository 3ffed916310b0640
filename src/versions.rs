//! What differs between the versions of PostgreSQL, 13 to 18: every `cfg` on them stands here.

use pgrx::{PgList, pg_sys};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::FromRawFd;

/// The type `money`.
#[cfg(feature = "pg13")]
pub const MONEYOID: pg_sys::Oid = pg_sys::CASHOID;
#[cfg(not(feature = "pg13"))]
pub const MONEYOID: pg_sys::Oid = pg_sys::MONEYOID;

/// The right to read: rights are words of 32 bits before 16, of 64 since.
pub const ACL_SELECT: pg_sys::AclMode = pg_sys::ACL_SELECT as pg_sys::AclMode;

/// The attributes of a row type, dropped ones among them.
///
/// # Safety
/// The descriptor must be valid for as long as the answer is used.
pub unsafe fn attributes<'a>(descriptor: pg_sys::TupleDesc) -> &'a [pg_sys::FormData_pg_attribute] {
    // SAFETY: a valid descriptor has `natts` attributes, one after the other.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let first = (*descriptor).attrs.as_ptr();
        // They stand behind the compact ones.
        #[cfg(feature = "pg18")]
        let first = pg_sys::TupleDescAttr(descriptor, 0);
        std::slice::from_raw_parts(first, (*descriptor).natts as usize)
    }
}

/// Runs a SELECT inside an SPI connection and hands its rows to the receiver. Below 0: it is no SELECT.
///
/// With `read_only` it sees what the calling statement sees, else the newest.
///
/// # Safety
/// An SPI connection is open, and the receiver outlives the call.
#[cfg(not(feature = "pg13"))]
pub unsafe fn select_into(sql: &CStr, read_only: bool, dest: *mut pg_sys::DestReceiver) -> i32 {
    let options = pg_sys::SPIExecuteOptions {
        read_only,
        dest,
        ..Default::default()
    };
    // SAFETY: promised by the caller.
    unsafe { pg_sys::SPI_execute_extended(sql.as_ptr(), &options) }
}

/// SPI has no receivers before 14: the rows of a cursor go to one, without parallel workers.
///
/// # Safety
/// As above.
#[cfg(feature = "pg13")]
pub unsafe fn select_into(sql: &CStr, read_only: bool, dest: *mut pg_sys::DestReceiver) -> i32 {
    use std::ptr::null_mut;
    // SAFETY: promised by the caller; the plan is freed with the connection, the portal here or by the transaction's abort.
    unsafe {
        let plan = pg_sys::SPI_prepare(sql.as_ptr(), 0, null_mut());
        if plan.is_null() || !pg_sys::SPI_is_cursor_plan(plan) {
            return -1;
        }
        let no_name = std::ptr::null();
        let portal = pg_sys::SPI_cursor_open(no_name, plan, null_mut(), no_name, read_only);
        let forward = pg_sys::FetchDirection::FETCH_FORWARD;
        pg_sys::PortalRunFetch(portal, forward, std::ffi::c_long::MAX, dest);
        pg_sys::SPI_cursor_close(portal);
    }
    pg_sys::SPI_OK_SELECT as i32
}

/// Whether a role owns a relation, or is a member of its owner.
///
/// # Safety
/// The relation exists.
pub unsafe fn owns_relation(relation: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
        let owns = pg_sys::pg_class_ownercheck(relation, role);
        #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
        let owns = pg_sys::object_ownercheck(pg_sys::RelationRelationId, relation, role);
        owns
    }
}

/// Begins to look rows up by an index.
///
/// # Safety
/// As for PostgreSQL's function: open relations, a registered or active snapshot.
pub unsafe fn index_beginscan(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: promised by the caller; nobody counts what the scan does.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let scan = pg_sys::index_beginscan(table, index, snapshot, keys, 0);
        #[cfg(feature = "pg18")]
        let scan = pg_sys::index_beginscan(table, index, snapshot, std::ptr::null_mut(), keys, 0);
        scan
    }
}

/// What a CHECK constraint demands. From 18 on it may name virtual columns, which stand for their expressions.
///
/// # Safety
/// The relation is open, and the text is that of a constraint of its.
pub unsafe fn check_expression(
    _relation: pg_sys::Relation,
    text: *const std::ffi::c_char,
) -> *mut pg_sys::Expr {
    // SAFETY: promised by the caller.
    unsafe {
        let node = pg_sys::stringToNode(text);
        #[cfg(feature = "pg18")]
        let node = pg_sys::expand_generated_columns_in_expr(node.cast(), _relation, 1);
        node.cast()
    }
}

/// Whether NULLs of a unique index equal each other: `NULLS NOT DISTINCT` came with 15.
///
/// # Safety
/// The index's description must be valid.
pub unsafe fn nulls_not_distinct(_info: *const pg_sys::IndexInfo) -> bool {
    #[cfg(any(feature = "pg13", feature = "pg14"))]
    return false;
    // SAFETY: promised by the caller.
    #[cfg(not(any(feature = "pg13", feature = "pg14")))]
    return unsafe { (*_info).ii_NullsNotDistinct };
}

/// The text of a node that the parser made of a string.
///
/// # Safety
/// It must be such a node.
pub unsafe fn node_text<'a>(node: *const pg_sys::Node) -> &'a CStr {
    // SAFETY: promised by the caller; its text ends with a zero byte.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        let text = (*node.cast::<pg_sys::Value>()).val.str_;
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        let text = (*node.cast::<pg_sys::String>()).sval;
        CStr::from_ptr(text)
    }
}

/// The number of this process's transaction, also of one that writes nothing; 0 outside of any process.
pub fn local_transaction() -> u32 {
    // SAFETY: a plain read of this process's state.
    unsafe {
        if pg_sys::MyProc.is_null() {
            return 0;
        }
        #[cfg(not(any(feature = "pg17", feature = "pg18")))]
        let id = (*pg_sys::MyProc).lxid;
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        let id = (*pg_sys::MyProc).vxid.lxid;
        id
    }
}

/// Whether the client of this process is still there.
///
/// # Safety
/// The process has a client.
#[cfg(not(feature = "pg13"))]
pub unsafe fn client_is_there() -> bool {
    unsafe extern "C-unwind" {
        /// Not in the bindings.
        fn pq_check_connection() -> bool;
    }
    // SAFETY: promised by the caller.
    unsafe { pq_check_connection() }
}

/// Before 14 PostgreSQL does not look: the kernel knows whether the other side has closed the socket.
///
/// # Safety
/// As above.
#[cfg(feature = "pg13")]
pub unsafe fn client_is_there() -> bool {
    let closed = libc::POLLHUP | libc::POLLRDHUP;
    // SAFETY: promised by the caller; poll looks at one descriptor and does not wait.
    unsafe {
        let mut socket = libc::pollfd {
            // The first field (src/include/libpq/libpq-be.h); the bindings have none.
            fd: *pg_sys::MyProcPort.cast::<i32>(),
            events: libc::POLLRDHUP,
            revents: 0,
        };
        libc::poll(&mut socket, 1, 0) < 1 || socket.revents & closed == 0
    }
}

/// Bytes that follow the value and the file of a setting where it is handed to parallel workers: its source and context and, from 15 on,
/// the role that set it.
#[cfg(any(feature = "pg13", feature = "pg14"))]
pub const BEHIND_A_SETTING: usize = 8;
#[cfg(not(any(feature = "pg13", feature = "pg14")))]
pub const BEHIND_A_SETTING: usize = 12;

/// Sets the handler of a signal.
///
/// # Safety
/// The handler does only what a handler may.
pub unsafe fn on_signal(signal: i32, handler: unsafe extern "C-unwind" fn(i32)) {
    // SAFETY: promised by the caller.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

/// Refuses settings of a prefix that nobody has defined; before 15 they are warned of.
///
/// # Safety
/// Called while the library loads, after the settings are defined.
pub unsafe fn reserve_settings(prefix: &CStr) {
    // SAFETY: promised by the caller.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        pg_sys::EmitWarningsOnPlaceholders(prefix.as_ptr());
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        pg_sys::MarkGUCPrefixReserved(prefix.as_ptr());
    }
}

/// Asks for shared memory: from 15 on in a hook, once every library is loaded.
///
/// # Safety
/// Called once, while the server preloads the library.
pub unsafe fn request_shared_memory(bytes: usize) {
    // SAFETY: promised by the caller; the server has one thread.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        pg_sys::RequestAddinShmemSpace(bytes);
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        {
            REQUESTED = bytes;
            BEFORE_REQUEST = pg_sys::shmem_request_hook;
            pg_sys::shmem_request_hook = Some(request);
        }
    }
}

#[cfg(not(any(feature = "pg13", feature = "pg14")))]
static mut REQUESTED: usize = 0;
#[cfg(not(any(feature = "pg13", feature = "pg14")))]
static mut BEFORE_REQUEST: pg_sys::shmem_request_hook_type = None;

#[cfg(not(any(feature = "pg13", feature = "pg14")))]
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called by PostgreSQL when memory may be asked for.
    unsafe {
        if let Some(before) = BEFORE_REQUEST {
            before();
        }
        pg_sys::RequestAddinShmemSpace(REQUESTED);
    }
}

/// The partitions of a partitioned table, in the order in which a scan reads them; without those that are being detached.
///
/// # Safety
/// The relation is open, and a partitioned table.
pub unsafe fn partitions(relation: pg_sys::Relation) -> Vec<pg_sys::Oid> {
    // SAFETY: promised by the caller; the description lives as long as the relation is open.
    unsafe {
        #[cfg(feature = "pg13")]
        let all = &*pg_sys::RelationGetPartitionDesc(relation);
        #[cfg(not(feature = "pg13"))]
        let all = &*pg_sys::RelationGetPartitionDesc(relation, true);
        match all.nparts {
            0 => Vec::new(),
            count => std::slice::from_raw_parts(all.oids, count as usize).to_vec(),
        }
    }
}

/// A table and its inheritance children of all levels, in the order in which a scan reads them; all are locked for reading.
///
/// # Safety
/// The relation exists and is locked.
pub unsafe fn with_children(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    unsafe extern "C-unwind" {
        /// Not in the bindings.
        fn find_all_inheritors(
            parent: pg_sys::Oid,
            lock: i32,
            parents: *mut *mut pg_sys::List,
        ) -> *mut pg_sys::List;
    }
    let lock = pg_sys::AccessShareLock as i32;
    // SAFETY: promised by the caller; an error is caught before it passes Rust's frames.
    unsafe {
        let all = pg_sys::ffi::pg_guard_ffi_boundary(|| {
            find_all_inheritors(relation, lock, std::ptr::null_mut())
        });
        PgList::<pg_sys::Oid>::from_pg(all).iter_oid().collect()
    }
}

/// The relations whose columns an analysed query reads itself, with whose rights: `InvalidOid` stands for the caller.
///
/// # Safety
/// The query must be an analysed one.
pub unsafe fn asked_for(query: *const pg_sys::Query) -> Vec<(pg_sys::Oid, pg_sys::Oid)> {
    // SAFETY: promised by the caller.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
        let all = PgList::<pg_sys::RangeTblEntry>::from_pg((*query).rtable);
        #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
        let all = PgList::<pg_sys::RTEPermissionInfo>::from_pg((*query).rteperminfos);
        let asked = all.iter_ptr().filter(|own| (**own).requiredPerms != 0);
        asked
            .map(|own| ((*own).relid, (*own).checkAsUser))
            .collect()
    }
}

/// A copy of target entries in which the expressions of a subquery stand for its columns.
///
/// # Safety
/// The entries, the subquery at this place, and its target entries must be those of an analysed query.
pub unsafe fn replace_columns(
    targets: *mut pg_sys::List,
    place: i32,
    subquery: *mut pg_sys::RangeTblEntry,
    expressions: *mut pg_sys::List,
) -> *mut pg_sys::List {
    /// Of rewriteManip.h: a column that there is no expression for is an error.
    const REPORT_ERROR: u32 = 0;
    unsafe extern "C-unwind" {
        /// Not in the bindings.
        fn ReplaceVarsFromTargetList(
            node: *mut pg_sys::Node,
            place: i32,
            levels_up: i32,
            entry: *mut pg_sys::RangeTblEntry,
            expressions: *mut pg_sys::List,
            #[cfg(feature = "pg18")] result_relation: i32,
            no_match: u32,
            no_match_place: i32,
            has_sublinks: *mut bool,
        ) -> *mut pg_sys::Node;
    }
    // SAFETY: promised by the caller; an error is caught before it passes Rust's frames.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            ReplaceVarsFromTargetList(
                targets.cast(),
                place,
                0,
                subquery,
                expressions,
                #[cfg(feature = "pg18")]
                0,
                REPORT_ERROR,
                0,
                std::ptr::null_mut(),
            )
        })
        .cast()
    }
}

/// Lets the columns in target entries be those of the relation at another place.
///
/// # Safety
/// The entries must be nobody else's.
pub unsafe fn change_place(targets: *mut pg_sys::List, from: i32, to: i32) {
    unsafe extern "C-unwind" {
        /// Not in the bindings.
        fn ChangeVarNodes(node: *mut pg_sys::Node, from: i32, to: i32, levels_up: i32);
    }
    // SAFETY: promised by the caller; an error is caught before it passes Rust's frames.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| ChangeVarNodes(targets.cast(), from, to, 0)) }
}

/// Whether there are hashes of the places of rows.
pub const HASHES_PLACES: bool = !cfg!(feature = "pg13");

/// Whether the processes of a parallel scan take many blocks at a time; before 14 it is one.
pub const SCANS_IN_RUNS: bool = cfg!(not(feature = "pg13"));

/// A place in a file of a shared set, which PostgreSQL keeps in pieces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub file: i32,
    pub offset: i64,
}

/// Makes a file of a set that other processes can read once it is exported; it counts against `temp_file_limit`.
///
/// # Safety
/// This process is attached to the set.
pub unsafe fn create_shared_file(
    set: *mut pg_sys::SharedFileSet,
    name: &CStr,
) -> *mut pg_sys::BufFile {
    // SAFETY: promised by the caller; the name is copied.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        let file = pg_sys::BufFileCreateShared(set, name.as_ptr());
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        let file = pg_sys::BufFileCreateFileSet(&raw mut (*set).fs, name.as_ptr());
        file
    }
}

/// Appends bytes; answers where they begin.
///
/// # Safety
/// The file was made by this process and is not exported yet.
pub unsafe fn write_shared_file(file: *mut pg_sys::BufFile, bytes: &[u8]) -> Place {
    let mut place = Place { file: 0, offset: 0 };
    // SAFETY: promised by the caller; the bytes are only read, whatever the older signature says.
    unsafe {
        pg_sys::BufFileTell(file, &mut place.file, &mut place.offset);
        pg_sys::BufFileWrite(file, bytes.as_ptr().cast_mut().cast(), bytes.len());
    }
    place
}

/// Lets other processes of the set read the file.
///
/// # Safety
/// The file was made by this process, which does not write to it any more.
pub unsafe fn export_shared_file(file: *mut pg_sys::BufFile) {
    // SAFETY: promised by the caller.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        pg_sys::BufFileExportShared(file);
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        pg_sys::BufFileExportFileSet(file);
        pg_sys::BufFileClose(file);
    }
}

/// Opens the pieces of a file that was exported, in their order; they can be read by any thread.
///
/// # Safety
/// This process is attached to the set.
pub unsafe fn open_shared_file(set: *mut pg_sys::SharedFileSet, name: &str) -> Vec<File> {
    let mut pieces = Vec::new();
    while let Ok(piece) = CString::new(format!("{name}.{}", pieces.len())) {
        // SAFETY: promised by the caller; the descriptor, a copy, is ours.
        unsafe {
            #[cfg(feature = "pg13")]
            let file = pg_sys::SharedFileSetOpen(set, piece.as_ptr());
            #[cfg(feature = "pg14")]
            let file = pg_sys::SharedFileSetOpen(set, piece.as_ptr(), libc::O_RDONLY);
            #[cfg(not(any(feature = "pg13", feature = "pg14")))]
            let file = pg_sys::FileSetOpen(&raw mut (*set).fs, piece.as_ptr(), libc::O_RDONLY);
            if file <= 0 {
                break;
            }
            let own = libc::fcntl(pg_sys::FileGetRawDesc(file), libc::F_DUPFD_CLOEXEC, 3);
            pg_sys::FileClose(file);
            if own < 0 {
                break;
            }
            pieces.push(File::from_raw_fd(own));
        }
    }
    pieces
}
