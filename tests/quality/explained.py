"""insight_explain beside shap on the same models, rows and backgrounds. See tests/quality/explained.

shap asks the model that insight_export writes as ONNX; the background are the rows that the model keeps. Its Exact explainer goes
through all sets of columns, so what it answers are the Shapley values themselves.
"""

import json
import sys

import numpy as np
import onnxruntime
import psycopg
import safetensors.numpy
import shap

from exported import one, prepared, torch

BACKGROUND = 48
EXPLAINED = 12
passed = failed = 0


def check(what, good, said):
    global passed, failed
    passed, failed = passed + good, failed + (not good)
    print(f"{'ok    ' if good else 'FAILED'}  {what}: {said}", flush=True)


def kept(file):
    """The rows that a model keeps, out of a safetensors file."""
    header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
    stored = json.loads(json.loads(header["__metadata__"]["insight"])["header"])
    return list(zip(*json.loads(stored["kept"])["columns"]))


class Asked:
    """The model, asked about rows of numbers: a text stands as its place among the column's."""

    def __init__(self, connection, model):
        self.session = onnxruntime.InferenceSession(
            one(connection, "SELECT insight_export(%s, 'onnx')", model), providers=["CPUExecutionProvider"]
        )
        told = json.loads(self.session.get_modelmeta().custom_metadata_map["insight"])
        self.columns, self.texts = told["columns"], [[] for _ in told["columns"]]

    def coded(self, rows):
        out = np.empty((len(rows), len(self.columns)))
        for at, column in enumerate(self.columns):
            for i, row in enumerate(rows):
                value = row[at]
                if column["missing"] is not None:
                    text = column["missing"] if value is None else str(value)
                    if text not in self.texts[at]:
                        self.texts[at].append(text)
                    out[i, at] = self.texts[at].index(text)
                else:
                    out[i, at] = np.nan if value is None else float(value)
        return out

    def __call__(self, coded):
        feeds = {}
        for at, column in enumerate(self.columns):
            own = coded[:, [at]]
            if column["missing"] is not None:
                texts = np.array(self.texts[at], dtype=object)
                own = texts[own.astype(int)]
            feeds[column["name"]] = own if own.dtype == object else own.astype(np.float64)
        return self.session.run(["prediction"], feeds)[0].ravel()


def explained(connection, model, background, base_rows):
    """The model's contributions and stated errors of the first rows, and shap's exact ones."""
    asked = Asked(connection, model)
    names = [column["name"] for column in asked.columns]
    listed = ", ".join(names)
    rows = connection.execute(f"SELECT {listed} FROM learned ORDER BY customer_id LIMIT {EXPLAINED}").fetchall()
    others, coded = asked.coded(background[:base_rows]), asked.coded(rows)
    exact = shap.explainers.Exact(asked, shap.maskers.Independent(others, max_samples=len(others)))(coded).values
    own, errors = np.zeros_like(exact), np.zeros_like(exact)
    found = connection.execute(
        f"SELECT r.n, e.feature, e.contribution, e.error FROM (SELECT row_number() OVER (ORDER BY customer_id) - 1 AS n, l "
        f"FROM learned l ORDER BY customer_id LIMIT {EXPLAINED}) r, insight_explain(%s, r.l, 100) e",
        [model],
    )
    for n, feature, contribution, error in found.fetchall():
        own[n, names.index(feature)], errors[n, names.index(feature)] = contribution, error
    return own, errors, exact


def beside_deep_explainer(connection):
    """A network without sampling: shap's DeepExplainer on the same weights in PyTorch must find the same."""
    if torch is None:
        print("skipped: DeepExplainer needs PyTorch, which is not installed")
        return
    options = {
        "algorithm": "mlp", "activation": "relu", "standardise": "standard", "transform": "none", "calibration": "none", "epochs": 10,
        "exclude": ["customer_id", "satisfaction"],
    }
    connection.execute("SELECT insight_train('learned', 'churn', 'explained', %s)", [json.dumps(options)])
    file = one(connection, "SELECT insight_export('explained', keep_rows => true)")
    header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
    entry, weights = json.loads(header["__metadata__"]["insight"]), safetensors.numpy.load(file)
    names = [column["column"] for column in entry["recipe"]["columns"]]

    def entered(rows):
        numbers, codes = prepared(entry, rows, names)
        hot = [
            np.eye(category["levels"] + 1, dtype=np.float32)[codes[:, at]][:, 1:]
            for at, category in enumerate(entry["recipe"]["inputs"]["categories"])
        ]
        return torch.from_numpy(np.concatenate([numbers, *hot], 1))

    layers = []
    for name in [f"layers.{i}" for i in range(len(entry["parts"][0]["model"]["network"]["layers"]))] + ["heads.0"]:
        weight, bias = weights[f"parts.0.{name}.weight"], weights[f"parts.0.{name}.bias"]
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.from_numpy(weight.copy()), "bias": torch.from_numpy(bias.copy())})
        layers += [linear, torch.nn.Sigmoid() if name == "heads.0" else torch.nn.ReLU()]
    rows = connection.execute(f"SELECT {', '.join(names)} FROM learned ORDER BY customer_id LIMIT {EXPLAINED}").fetchall()
    explainer = shap.DeepExplainer(torch.nn.Sequential(*layers), entered(kept(file)[:BACKGROUND]))
    each = explainer.shap_values(entered(rows), check_additivity=False).reshape(len(rows), -1)
    features = [name["feature"] for name in entry["recipe"]["names"]]
    deep = np.stack([each[:, [f == name for f in features]].sum(1) for name in names], 1)
    own = np.zeros_like(deep)
    found = connection.execute(
        "SELECT r.n, e.feature, e.contribution FROM (SELECT row_number() OVER (ORDER BY customer_id) - 1 AS n, l FROM learned l "
        f"ORDER BY customer_id LIMIT {EXPLAINED}) r, insight_explain('explained', r.l, 100) e"
    )
    for n, feature, contribution in found.fetchall():
        own[n, names.index(feature)] = contribution
    apart = float(np.abs(own - deep).max())
    check("mlp (churn) beside DeepExplainer", apart <= 1e-5, f"{apart:.1e} apart at most")


# Algorithm, target, rows compared with, and what is promised: exact, or within the errors that are stated.
MODELS = [
    ({"algorithm": "gbdt"}, "monthly_fee", 48, "exact"),
    ({"algorithm": "random_forest", "trees": 50}, "monthly_fee", 48, "exact"),
    ({"algorithm": "linear"}, "monthly_fee", 16, "exact"),
    ({"algorithm": "linear"}, "churn", 16, "within"),
    ({"algorithm": "mlp", "epochs": 15}, "churn", 48, "within"),
    ({"algorithm": "dnn", "epochs": 15}, "churn", 48, "within"),
    ({"algorithm": "dnn", "epochs": 15}, "monthly_fee", 48, "within"),
    ({"folds": 2}, "churn", 24, "within"),
    ({"algorithm": "gbdt"}, "churn", 48, "within"),
    ({"algorithm": "random_forest", "trees": 50, "calibration": "none"}, "churn", 48, "exact"),
]


def main():
    with psycopg.connect("", autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("CREATE EXTENSION insight")
        connection.execute(
            "CREATE TABLE learned AS SELECT customer_id, contract, plan, tenure_months, monthly_fee, support_tickets, satisfaction, "
            "last_login_days, churn FROM insight_sample_customers(4000, 7)"
        )
        for options, target, rows, promise in MODELS:
            other = "churn" if target != "churn" else "monthly_fee"
            options = {"exclude": ["customer_id", *([other] if target != "churn" else [])], **options}
            connection.execute("SELECT insight_train('learned', %s, 'explained', %s)", [target, json.dumps(options)])
            background = kept(one(connection, "SELECT insight_export('explained', keep_rows => true)"))
            own, errors, exact = explained(connection, "explained", background, rows)
            apart, size = np.abs(own - exact), np.abs(exact).max(1).mean()
            root = lambda values: float(np.sqrt((values**2).mean()))
            what = f"{options.get('algorithm', 'auto')} ({target})"
            said = f"{apart.max():.1e} apart at most, {root(apart):.1e} by root mean square, stated {root(errors):.1e}; the greatest contributions are {size:.2g}"
            if promise == "exact":
                check(what, bool(apart.max() <= 1e-5 * max(1.0, size)), said)
            else:
                # Errors of columns are found on eight rows: they hold for all columns together, and roughly for each.
                within = np.mean(apart <= 3 * errors + 1e-6)
                good = root(apart) <= 2 * root(errors) and within >= 0.8 and root(apart) <= 0.1 * size
                check(what, bool(good), f"{100 * within:.0f}% within three errors; {said}")
        beside_deep_explainer(connection)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
