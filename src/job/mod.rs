//! Jobs: the specification, the queue, the worker, the isolated trainer and its progress.

pub mod launcher;
