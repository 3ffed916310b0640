"""Compares every score, the ROC curve and precision over recall with scikit-learn's on the same predictions; a row of outcome for
each model: the largest relative difference."""

import numpy as np
import psycopg
from sklearn import metrics as m

server = psycopg.connect(autocommit=True)
Z = {"zero_division": 0}


def bins(score, count):
    """Bins of about equally many rows by falling score, equal scores together."""
    order = np.argsort(-score, kind="stable")
    first = np.searchsorted(-score[order], -score[order], side="left")
    out = np.empty(len(score), int)
    out[order] = first * count // len(score)
    return out


def calibration_error(promised, came):
    numbers = bins(promised, 10)
    apart = [abs((promised - came)[numbers == b].sum()) for b in np.unique(numbers)]
    return sum(apart) / len(promised)


def binary(y, p, threshold):
    answer = (p >= threshold).astype(int)
    false, true, _ = m.roc_curve(y, p, drop_intermediate=False)
    share = (true * y.sum() + false * (len(y) - y.sum())) / len(y)
    return {
        "loss": m.log_loss(y, p),
        "log_loss": m.log_loss(y, p),
        "accuracy": m.accuracy_score(y, answer),
        "balanced_accuracy": m.balanced_accuracy_score(y, answer),
        "precision": m.precision_score(y, answer, **Z),
        "recall": m.recall_score(y, answer, **Z),
        "specificity": m.recall_score(y, answer, pos_label=0, **Z),
        "f1": m.f1_score(y, answer, **Z),
        "roc_auc": m.roc_auc_score(y, p),
        "average_precision": m.average_precision_score(y, p),
        "brier": m.brier_score_loss(y, p),
        "mcc": m.matthews_corrcoef(y, answer),
        "ks": np.max(true - false),
        "top_decile_lift": np.interp(0.1, share, true) / 0.1,
        "ece": calibration_error(p, y),
    }


def multiclass(y, p, labels):
    answer, codes = p.argmax(1), list(range(len(labels)))
    hot = np.eye(len(labels))[y]
    out = {
        "loss": m.log_loss(y, p, labels=codes),
        "log_loss": m.log_loss(y, p, labels=codes),
        "accuracy": m.accuracy_score(y, answer),
        "balanced_accuracy": m.balanced_accuracy_score(y, answer),
        "roc_auc": m.roc_auc_score(y, p, multi_class="ovr"),
        "average_precision": m.average_precision_score(hot, p),
        "brier": m.brier_score_loss(y, p, labels=codes),
        "mcc": m.matthews_corrcoef(y, answer),
        "top_2_accuracy": m.top_k_accuracy_score(y, p, k=2, labels=codes),
        "ece": calibration_error(p.max(1), (answer == y).astype(float)),
    }
    for average, suffix in (("macro", ""), ("weighted", "_weighted")):
        out["precision" + suffix] = m.precision_score(y, answer, average=average, **Z)
        out["recall" + suffix] = m.recall_score(y, answer, average=average, **Z)
        out["f1" + suffix] = m.f1_score(y, answer, average=average, **Z)
    return out


def regression(y, p):
    return {
        "loss": m.mean_squared_error(y, p),
        "mse": m.mean_squared_error(y, p),
        "rmse": m.root_mean_squared_error(y, p),
        "mae": m.mean_absolute_error(y, p),
        "median_absolute_error": m.median_absolute_error(y, p),
        "mape": m.mean_absolute_percentage_error(y, p),
        "r2": m.r2_score(y, p),
        "explained_variance": m.explained_variance_score(y, p),
    }


def curves(model, relation, y, p):
    """The largest difference of the points of both curves from scikit-learn's at the same threshold."""
    apart = 0.0
    false, true, at = m.roc_curve(y, p, drop_intermediate=False)
    for threshold, hit, raised in server.execute(
        "SELECT threshold, true_positive_rate, false_positive_rate FROM insight_roc(%s, %s) OFFSET 1", (model, relation)
    ):
        i = np.flatnonzero(at == threshold)[0]
        apart = max(apart, abs(true[i] - hit), abs(false[i] - raised))
    precision, recall, at = m.precision_recall_curve(y, p)
    for threshold, own, found in server.execute(
        "SELECT threshold, precision, recall FROM insight_precision_recall(%s, %s) OFFSET 1", (model, relation)
    ):
        i = np.flatnonzero(at == threshold)[0]
        apart = max(apart, abs(precision[i] - own), abs(recall[i] - found))
    return apart


TABLES = [
    ("telco_churn", "telco", "Churn"),
    ("online_shoppers", "shoppers", "Revenue"),
    ("contracts", "telco", "Contract"),
    ("california_housing", "SELECT *, median_house_value / 1e5 AS value FROM housing", "value"),
]
for model, relation, target in TABLES:
    task, labels, threshold = server.execute(
        "SELECT task, labels, (provenance->>'threshold')::float8 FROM insight.versions WHERE model = %s", (model,)
    ).fetchone()
    source = relation if relation.startswith("SELECT") else f"SELECT * FROM {relation}"
    numbered = f"SELECT *, row_number() OVER () AS n FROM ({source}) x"
    server.execute(f"CREATE TEMP TABLE numbered AS {numbered}")
    answer = {"multiclass": "insight_probabilities(%s, t)"}.get(task, "insight_predict(%s, t)")
    rows = server.execute(f'SELECT "{target}", {answer} FROM numbered t ORDER BY n', (model,)).fetchall()
    if task == "regression":
        expected = regression(*np.array(rows, float).T)
    else:
        y = np.array([labels.index(str(t).lower() if isinstance(t, bool) else t) for t, _ in rows])
        if task == "binary":
            p = np.array([p for _, p in rows])
            expected = binary(y, p, threshold)
        else:
            p = np.array([[p[label] for label in labels] for _, p in rows])
            expected = multiclass(y, p, labels)
    found = dict(
        server.execute("SELECT metric, value FROM insight_evaluate(%s, 'numbered') WHERE class IS NULL", (model,)).fetchall()
    )
    apart = {name: abs(found[name] - value) / max(abs(value), 1) for name, value in expected.items()}
    missing = set(expected) ^ set(found)
    if task == "binary":
        apart["curves"] = curves(model, "numbered", y, p)
    worst = max(apart, key=apart.get)
    passed = apart[worst] <= 1e-9 and not missing
    print(f"{model} beside scikit-learn: {len(found)} metrics, largest difference {apart[worst]:.1e} ({worst})", *missing)
    server.execute(
        "INSERT INTO outcome VALUES (%s, 'beside scikit-learn', %s, NULL, NULL, 1e-9, NULL, %s)",
        (model, float(apart[worst]), bool(passed)),
    )
    server.execute("DROP TABLE numbered")
