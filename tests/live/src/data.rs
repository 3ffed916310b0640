//! Tables to train on.

use crate::session::Session;

/// Options of a training that ends at once.
pub const FAST: &str = r#"{"epochs": 3, "hidden": [8], "batch_size": 256}"#;

/// Options of a training that ends only when somebody ends it (or, should a test forget, after two minutes).
pub const SLOW: &str = r#"{"algorithm": "dnn", "epochs": 100000, "early_stopping": false, "hidden": [256, 128], "max_seconds": 120}"#;

/// Creates the table `customers` from the extension's sample, without the column that leaks the target.
#[track_caller]
pub fn customers(session: &mut Session, rows: u32) {
    session.exec(&format!(
        "CREATE TABLE customers AS
           SELECT customer_id AS id, age, income, tenure_months, contract, plan, monthly_fee, support_tickets,
                  last_login_days, satisfaction, signup_date, churn
           FROM insight_sample_customers({rows});
         ANALYZE customers"
    ));
}
