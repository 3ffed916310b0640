"""insight_drift beside SciPy, column by column. See tests/quality/drifted."""

import json
import sys

import numpy as np
import psycopg
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp

passed = failed = 0


def check(what, apart, bound):
    global passed, failed
    good = apart <= bound
    passed, failed = passed + good, failed + (not good)
    print(f"{'ok    ' if good else 'FAILED'}  {what}: {apart:.2e} apart", flush=True)


def main():
    with psycopg.connect("", autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("CREATE EXTENSION insight")
        connection.execute(
            "CREATE TABLE before AS SELECT c.*, CASE WHEN customer_id % 4 = 0 THEN 'test' ELSE 'train' END AS part "
            "FROM insight_sample_customers(8000, 1) c"
        )
        connection.execute("CREATE TABLE after AS SELECT * FROM insight_sample_customers(5000, 2)")
        connection.execute("UPDATE after SET monthly_fee = monthly_fee * 1.08, age = age + customer_id % 3")
        connection.execute("UPDATE after SET plan = 'premium' WHERE customer_id % 9 = 0")
        connection.execute("UPDATE after SET payment_method = NULL WHERE customer_id % 10 = 0")
        for column in ("monthly_fee", "age", "tenure_months", "income", "plan", "contract", "payment_method", "gender"):
            # By itself, so that its p-value is corrected (Holm 1979) for that of the predictions alone: it is doubled or as it is.
            options = {"algorithm": "linear", "include": [column], "split": "part", "validation_size": 0}
            connection.execute("SELECT insight_train('before', 'churn', 'drifted', %s)", [json.dumps(options)])
            found = connection.execute(
                "SELECT test, statistic, p_value, js, psi, missing FROM insight_drift('drifted', 'after') WHERE feature = %s",
                [column],
            ).fetchone()
            test, statistic, p_value, js, psi, missing = found
            values = lambda of: [row[0] for row in connection.execute(of).fetchall()]
            before = values(f"SELECT {column} FROM before WHERE part = 'train'")
            after = values(f"SELECT {column} FROM after")
            there = [[v for v in of if v is not None] for of in (before, after)]
            check(f"{column}: share of NULLs", abs(missing - (1 - len(there[1]) / len(after))), 1e-12)
            if test == "ks":
                numbers = [np.array(of, dtype=float) for of in there]
                exact = ks_2samp(*numbers)
                # Looked at where 20 bins end, so never above the greatest distance.
                check(f"{column}: Kolmogorov-Smirnov", abs(exact.statistic - statistic), 0.02)
                same = exact.pvalue < 0.01 and p_value < 0.05 or exact.pvalue > 0.2 and p_value > 0.05 or 0.01 <= exact.pvalue <= 0.2
                check(f"{column}: its decision at 5%", 0.0 if same else 1.0, 0)
                continue
            levels = sorted(set(there[0]) | set(there[1]))
            count = lambda of: np.array([of.count(level) for level in levels], dtype=float)
            table = np.stack([count(of) for of in there])
            exact = chi2_contingency(table, correction=False)
            check(f"{column}: chi-square", abs(exact.statistic - statistic) / exact.statistic, 1e-9)
            corrected = (exact.pvalue, min(1.0, 2 * exact.pvalue))
            check(f"{column}: its p-value", min(abs(p - p_value) for p in corrected), 1e-9)
            nulls = np.array([[len(of) - len(own)] for of, own in zip((before, after), there)], dtype=float)
            cells = np.hstack([table, nulls]) if nulls.sum() else table
            check(f"{column}: Jensen-Shannon", abs(jensenshannon(cells[0], cells[1], base=2) - js), 1e-9)
            shares = (cells + 0.5) / (cells + 0.5).sum(1, keepdims=True)
            own = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
            check(f"{column}: population stability", abs(own - psi), 1e-9)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
