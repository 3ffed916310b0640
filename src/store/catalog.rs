//! Reading and writing the catalog, as the extension's owner.

/// Runs `work` as the extension's owner with a safe search path; the caller's identity is restored afterwards, on errors too.
pub fn as_owner<T>(_work: impl FnOnce() -> T) -> T {
    todo!()
}
