//! Jobs: waiting and queued, their transactions, order, cancelling and progress.

mod cancelling;
mod kinds;
mod transactions;
mod turns;
mod waiting;

use live::*;

const TRAIN: &str = "SELECT * FROM insight_train('customers', 'churn', 'm', ";

fn fast(more: &str) -> String {
    format!("'{FAST}'::jsonb || '{more}'")
}

fn slow(more: &str) -> String {
    format!("'{SLOW}'::jsonb || '{more}'")
}

/// Queues a job in a transaction of its own and answers its number.
#[track_caller]
fn queue(session: &mut Session, model: &str, options: &str) -> i64 {
    session.one(&format!(
        "SELECT job FROM insight_train('customers', 'churn', '{model}', {options}::jsonb || '{{\"wait\": false}}')"
    ))
}

#[track_caller]
fn status(session: &mut Session, job: i64) -> String {
    session.one(&format!(
        "SELECT status FROM insight.jobs WHERE job = {job}"
    ))
}

#[track_caller]
fn wait_for_status(session: &mut Session, job: i64, wanted: &str) {
    wait_until(&format!("job {job} is {wanted}"), 110, || {
        status(session, job) == wanted
    });
}
