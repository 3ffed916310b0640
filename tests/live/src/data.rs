//! Tables to train on.

use crate::session::Session;

/// Options of a training that ends at once.
pub const FAST: &str = r#"{"epochs": 3, "hidden": [8], "batch_size": 256}"#;

/// Options of a training that ends only when somebody ends it (or, should a test forget, after two minutes).
pub const SLOW: &str = r#"{"epochs": 100000, "early_stopping": false, "hidden": [256, 128], "max_seconds": 120}"#;

/// Creates the table `customers`. Who churns is known: customers with many support calls, a short tenure and a monthly
/// plan, with noise. `income` has missing values.
#[track_caller]
pub fn customers(session: &mut Session, rows: u32) {
    session.exec(&format!(
        r#"
CREATE TABLE customers AS
SELECT i AS id, 18 + (uniform(i, 1) * 60)::int AS age,
       CASE WHEN uniform(i, 2) > 0.05 THEN round((20000 + uniform(i, 3) * 80000)::numeric, 2)::float8 END AS income,
       (uniform(i, 4) * 72)::int AS tenure, (ARRAY['monthly', 'yearly', 'free'])[1 + (uniform(i, 5) * 2.999)::int % 3] AS plan,
       (uniform(i, 6) * 8)::int AS calls, date '2020-01-01' + (uniform(i, 7) * 1500)::int AS joined,
       uniform(i, 8) < 1 / (1 + exp(-(uniform(i, 6) * 8 - 4 - (uniform(i, 4) * 72 - 36) / 12
         + CASE WHEN uniform(i, 5) < 0.33 THEN 1.5 ELSE -0.5 END))) AS churn
FROM generate_series(1, {rows}) i,
     LATERAL (SELECT 1) once;
ANALYZE customers;"#
    )
    .replace("uniform(i, ", "uniform(i, "));
}
