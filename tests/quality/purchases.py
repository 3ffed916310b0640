"""Scores of forecasts of repeat purchases; see tests/quality/purchases."""
import json
import sys
import time

import lifetimes
import numpy as np
import psycopg

options = json.loads(sys.argv[1])
LOGS = [("cdnow", "1997-09-30", 273), ("online_retail", "2011-08-31", 100)]


def line(log, name, expected, truth, seconds):
    error = expected - truth
    rmse = np.sqrt(np.mean(error**2))
    correlation = np.corrcoef(expected, truth)[0, 1] if expected.std() > 0 else np.nan
    share = expected.sum() / truth.sum()
    print(f"{log:14} {name:16} {rmse:7.4f} {correlation:8.4f} {share - 1:+8.1%} {np.abs(error).mean():7.4f} {seconds:8.1f}", flush=True)


with psycopg.connect(autocommit=True) as connection:
    print(f"{'log':14} {'model':16} {'RMSE':>7} {'corr':>8} {'bias':>8} {'MAE':>7} {'seconds':>8}")
    for log, until, horizon in LOGS:
        rows = connection.execute(
            f"""SELECT customer, count(DISTINCT at) FILTER (WHERE at <= %(until)s) - 1,
                  max(at) FILTER (WHERE at <= %(until)s) - min(at), %(until)s - min(at),
                  count(DISTINCT at) FILTER (WHERE at > %(until)s AND at <= %(until)s + %(horizon)s)
                FROM {log} GROUP BY customer HAVING min(at) <= %(until)s ORDER BY customer::text""",
            {"until": __import__("datetime").date.fromisoformat(until), "horizon": horizon},
        ).fetchall()
        keys = [row[0] for row in rows]
        x, t_x, t, truth = np.array([row[1:] for row in rows], float).T
        print(f"{log}: {len(rows)} customers, {int(truth.sum())} purchases in the {horizon} days after {until}")
        line(log, "own rate", x / np.maximum(t, 7) * horizon, truth, 0)
        for name, fitter in [("BG/NBD", lifetimes.BetaGeoFitter), ("MBG/NBD", lifetimes.ModifiedBetaGeoFitter), ("Pareto/NBD", lifetimes.ParetoNBDFitter)]:
            start = time.time()
            try:
                model = fitter()
                model.fit(x, t_x, t)
                expected = model.conditional_expected_number_of_purchases_up_to_time(horizon, x, t_x, t)
                line(log, name, np.nan_to_num(np.asarray(expected, float)), truth, time.time() - start)
            except Exception as error:
                print(f"{log:14} {name:16} did not converge ({type(error).__name__})")
        for algorithm in ["lstm", "gru"]:
            start = time.time()
            query = f"SELECT customer, at FROM {log} WHERE at <= '{until}'"
            call = {"algorithm": algorithm, "key": "customer", "order": "at", "horizon": f"{horizon} days"} | options
            connection.execute("SELECT insight_train(%s, 'at', 'counts', %s)", [query, json.dumps(call)])
            answers = dict(connection.execute("SELECT key, value FROM insight_next('counts', %s)", [query]).fetchall())
            line(log, "insight " + algorithm, np.array([answers[str(key)] for key in keys]), truth, time.time() - start)
            own = connection.execute("SELECT metric, class, value FROM insight.metrics WHERE model = 'counts' ORDER BY version DESC, class NULLS FIRST LIMIT 12").fetchall()
            print("   its own test:", ", ".join(f"{metric} {name or 'insight'} {value:.3f}" for metric, name, value in own))
            connection.execute("SELECT insight_drop('counts')")
