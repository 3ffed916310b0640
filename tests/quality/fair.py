"""insight_fairness beside fairlearn on the same predictions. See tests/quality/fair."""

import json
import sys

import numpy as np
import psycopg
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score, precision_score, roc_auc_score

SENSITIVE = ["sex", "race", {"age": [30, 45, 60]}]
passed = failed = 0


def check(what, own, other):
    global passed, failed
    good = abs(own - other) <= 1e-6
    passed, failed = passed + good, failed + (not good)
    if not good:
        print(f"FAILED  {what}: {own} and {other}", flush=True)


def band(age):
    return "< 30" if age < 30 else "[30,45)" if age < 45 else "[45,60)" if age < 60 else ">= 60"


def compare(connection, model, printed):
    rows = connection.execute(
        f"SELECT income = '>50K', insight_classify('{model}', a) = '>50K', insight_predict('{model}', a), sex, race, age "
        "FROM adult_unseen a"
    ).fetchall()
    truth, answer, p = (np.array([row[i] for row in rows], dtype=float) for i in range(3))
    columns = {"sex": [row[3] for row in rows], "race": [row[4] for row in rows], "age": [band(row[5]) for row in rows]}
    columns["sex, race, age"] = [", ".join(own) for own in zip(columns["sex"], columns["race"], columns["age"])]
    lines = connection.execute(f"SELECT feature, \"group\", metric, rows, value FROM insight_fairness('{model}', 'adult_unseen')").fetchall()
    found = {line[:3]: line[3:] for line in lines}
    known = lambda feature: {line[1] for line in lines if line[0] == feature and line[1]}
    metrics = {
        "base_rate": lambda t, a: t.mean(),
        "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
        "precision": precision_score,
        "accuracy": accuracy_score,
    }
    for feature, own in columns.items():
        groups = known(feature)
        own = np.array([value if value in groups else "(others)" for value in own])
        frame = MetricFrame(metrics=metrics, y_true=truth, y_pred=answer, sensitive_features=own)
        for group, values in frame.by_group.iterrows():
            for metric, value in values.items():
                if (feature, group, metric) in found:
                    check(f"{model} {feature} {group} {metric}", found[feature, group, metric][1], value)
            mine = own == group
            if (feature, group, "roc_auc") in found:
                check(f"{model} {feature} {group} roc_auc", found[feature, group, "roc_auc"][1], roc_auc_score(truth[mine], p[mine]))
            check(f"{model} {feature} {group} calibration", found[feature, group, "calibration"][1], (p - truth)[mine].mean())
            check(f"{model} {feature} {group} rows", found[feature, group, "base_rate"][0], mine.sum())
        # Groups of fewer than 20 rows are not compared.
        enough = np.array([found[feature, group, "base_rate"][0] >= 20 for group in own])
        between = {
            "demographic_parity_difference": demographic_parity_difference,
            "demographic_parity_ratio": demographic_parity_ratio,
            "equal_opportunity_difference": equal_opportunity_difference,
            "equalized_odds_difference": equalized_odds_difference,
        }
        for metric, of in between.items():
            exact = of(truth[enough], answer[enough], sensitive_features=own[enough])
            check(f"{model} {feature} {metric}", found[feature, None, metric][1], exact)
            if feature in printed:
                low, high = connection.execute(
                    "SELECT low, high FROM insight_fairness(%s, 'adult_unseen') WHERE feature = %s AND metric = %s",
                    [model, feature, metric],
                ).fetchone()
                print(f"{model:10} {feature:5} {metric:30} {exact:.4f} ({low:.4f} to {high:.4f})")
    print(f"{model:10} roc_auc {roc_auc_score(truth, p):.4f}, accuracy {accuracy_score(truth, answer):.4f} on {len(truth)} unseen rows", flush=True)


def thresholds(connection, model):
    """What the thresholds by group that training found do on unseen rows."""
    for kind, of in (("demographic_parity", "true"), ("equal_opportunity", "y")):
        apart, right = connection.execute(
            f"WITH a AS (SELECT sex, income = '>50K' AS y, insight_predict('{model}', a) AS p FROM adult_unseen a), "
            f"r AS (SELECT avg((p >= value)::int) FILTER (WHERE {of}) AS rate, sum(((p >= value) = y)::int) AS right, count(*) AS n FROM a "
            f"JOIN insight_fairness('{model}') f ON feature = 'sex' AND \"group\" = sex AND metric = 'threshold_{kind}' GROUP BY sex) "
            "SELECT max(rate) - min(rate), sum(r.right) / sum(n) FROM r"
        ).fetchone()
        print(f"{model:10} sex   {kind}_difference by thresholds {apart:.4f}, accuracy {right:.4f}")


def main():
    with psycopg.connect("", autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        for algorithm in ("gbdt", "linear"):
            for model, more in ((algorithm, {}), (f"{algorithm}_fair", {"mitigate": "reweight"})):
                options = {"algorithm": algorithm, "sensitive": SENSITIVE, **more}
                connection.execute("SELECT insight_train('adult', 'income', %s, %s)", [model, json.dumps(options)])
                compare(connection, model, ["sex"])
            thresholds(connection, algorithm)
        proxies = connection.execute(
            "SELECT feature, \"group\", value FROM insight_fairness('gbdt') WHERE metric = 'proxy_roc_auc' ORDER BY value DESC LIMIT 4"
        ).fetchall()
        print("inputs foretell", "; ".join(f"{f} {g} {v:.3f}" for f, g, v in proxies))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
