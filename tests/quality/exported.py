"""Exported models beside insight: the same rows, the same answers. See tests/quality/exported."""

import json
import sys

import numpy as np
import onnxruntime
import psycopg
import safetensors
import safetensors.numpy

try:
    import torch
except ImportError:
    torch = None

ROWS = 1500
BOUND = 1e-5
passed = failed = 0


def check(what, apart, bound=BOUND):
    global passed, failed
    good = apart <= bound
    passed, failed = passed + good, failed + (not good)
    print(f"{'ok    ' if good else 'FAILED'}  {what}: {apart:.2e} apart", flush=True)


def one(connection, query, *values):
    return connection.execute(query, values).fetchone()[0]


def feeds(session, rows, names):
    """The rows as the graph takes them; what stands for a missing text is told in the file."""
    told = json.loads(session.get_modelmeta().custom_metadata_map["insight"])
    missing = {column["name"]: column["missing"] for column in told["columns"]}
    out = {}
    for wanted in session.get_inputs():
        values = [row[names.index(wanted.name)] for row in rows]
        if wanted.type == "tensor(string)":
            cells = [missing[wanted.name] if v is None else str(v) for v in values]
            out[wanted.name] = np.array(cells, dtype=object).reshape(-1, 1)
        else:
            cells = [np.nan if v is None else float(v) for v in values]
            out[wanted.name] = np.array(cells, dtype=np.float64).reshape(-1, 1)
    return out


def in_onnx(connection, model, relation):
    """The largest distance of a number from insight's, relative to numbers above 1."""
    cursor = connection.execute(f"SELECT * FROM {relation} ORDER BY customer_id")
    rows, names = cursor.fetchall(), [column.name for column in cursor.description]
    file = one(connection, "SELECT insight_export(%s, 'onnx')", model)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    got = dict(zip(outputs, session.run(None, feeds(session, rows, names))))
    apart = 0.0

    def compare(own, other):
        nonlocal apart
        own, other = np.asarray(own, dtype=float).ravel(), np.asarray(other, dtype=float).ravel()
        apart = max(apart, float(np.max(np.abs(own - other) / np.maximum(1.0, np.abs(own)))))

    asked = "SELECT {} FROM {} r ORDER BY customer_id"
    if "prediction" in got:
        own = connection.execute(asked.format(f"insight_predict('{model}', r)", relation)).fetchall()
        compare(own, got["prediction"])
    if "probabilities" in got:
        told = json.loads(session.get_modelmeta().custom_metadata_map["insight"])
        own = connection.execute(asked.format(f"insight_probabilities('{model}', r)", relation)).fetchall()
        compare([[row[0][label] for label in told["labels"]] for row in own], got["probabilities"])
    if "label" in got:
        own = connection.execute(asked.format(f"insight_classify('{model}', r)", relation)).fetchall()
        # An answer that lies on the threshold falls to either side by the last bit.
        told = json.loads(session.get_modelmeta().custom_metadata_map["insight"])["threshold"]
        sure = np.abs(got["prediction"] - told).ravel() > 1e-6 if told is not None else np.ones(len(own), bool)
        other = sum(a[0] != b[0] for a, b, decided in zip(own, got["label"], sure) if decided)
        compare([other], [0])
    return apart


def prepared(entry, rows, names):
    """The first layer's inputs of rows without missing values, from what the file says of each column alone."""
    numbers, categories = [], []
    for column in entry["recipe"]["columns"]:
        values = [row[names.index(column["column"])] for row in rows]
        said = column["parameters"]
        if column["kind"] == "number":
            assert said["method"] == "standard" and said["transform"] == "plain" and not said["missing_flag"]
            scale = 1 / said["spread"] if said["spread"] else 0.0
            numbers.append(np.clip((np.array(values, dtype=float) - said["centre"]) * scale, -8, 8))
        else:
            texts = [str(v).lower() if isinstance(v, bool) else v for v in values]
            categories.append(np.array([said["levels"].index(text) + 1 for text in texts]))
    return np.stack(numbers, 1).astype(np.float32), np.stack(categories, 1)


def outputs(entry, weights, numbers, codes):
    """The network of a file, built from its description; its weights are loaded by their names."""
    network = entry["parts"][0]["model"]["network"]
    one_hot, embedded = [], []
    for at, category in enumerate(network["inputs"]["categories"]):
        if category["encoding"] == "one_hot":
            one_hot.append(np.eye(category["levels"] + 1, dtype=np.float32)[codes[:, at]][:, 1:])
        else:
            table = weights[f"parts.0.embeddings.{len(embedded)}.weight"]
            embedded.append(table[codes[:, at]])
    x = np.concatenate([numbers, *one_hot, *embedded], 1)
    own = {name.removeprefix("parts.0."): tensor for name, tensor in weights.items() if name.startswith("parts.0.")}
    own = {name: tensor for name, tensor in own.items() if name.split(".")[0] in ("layers", "heads")}
    if torch is None:
        for i in range(len(network["layers"])):
            x = x @ own[f"layers.{i}.weight"].T + own[f"layers.{i}.bias"]
            x = x / (1 + np.exp(-x))
        return (1 / (1 + np.exp(-(x @ own["heads.0.weight"].T + own["heads.0.bias"])))).ravel()

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            linear = lambda of: torch.nn.Linear(of["inputs"], of["outputs"])
            self.layers = torch.nn.ModuleList(map(linear, network["layers"]))
            self.heads = torch.nn.ModuleList(map(linear, network["heads"]))

        def forward(self, x):
            for layer in self.layers:
                x = torch.nn.functional.silu(layer(x))
            return torch.sigmoid(self.heads[0](x))

    module = Network()
    module.load_state_dict({name: torch.from_numpy(tensor.copy()) for name, tensor in own.items()})
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy().ravel()


def in_pytorch(connection):
    options = {"algorithm": "mlp", "standardise": "standard", "calibration": "none", "epochs": 5}
    connection.execute("SELECT insight_train('whole', 'churn', 'carried', %s)", [json.dumps(options)])
    file = one(connection, "SELECT insight_export('carried')")
    with open("/tmp/insight-exported.safetensors", "wb") as out:
        out.write(file)
    with safetensors.safe_open("/tmp/insight-exported.safetensors", framework="numpy") as opened:
        entry = json.loads(opened.metadata()["insight"])
    weights = safetensors.numpy.load(file)
    cursor = connection.execute("SELECT * FROM whole ORDER BY customer_id")
    rows, names = cursor.fetchall(), [column.name for column in cursor.description]
    got = outputs(entry, weights, *prepared(entry, rows, names))
    own = connection.execute("SELECT insight_predict('carried', r) FROM whole r ORDER BY customer_id").fetchall()
    apart = float(np.max(np.abs(got - np.array(own, dtype=float).ravel())))
    check(f"weights of an mlp in {'PyTorch' if torch else 'NumPy, for PyTorch is not installed'}", apart)


MODELS = [
    ("dnn", "churn", {"algorithm": "dnn"}),
    ("waves", "churn", {"algorithm": "dnn", "number_embedding": "periodic", "members": 3, "activation": "relu"}),
    ("plain", "churn", {"algorithm": "mlp", "activation": "tanh", "hidden": [16, 8], "standardise": "none", "transform": "log"}),
    ("sigmoid", "churn", {"algorithm": "mlp", "activation": "sigmoid", "standardise": "quantile"}),
    ("power", "churn", {"algorithm": "mlp", "transform": "power", "standardise": "robust", "category_encoding": "embedding"}),
    ("means", "churn", {"algorithm": "mlp", "standardise": "minmax", "category_encoding": "target", "construct": "auto"}),
    ("attention", "churn", {"algorithm": "transformer", "epochs": 2, "d_token": 16, "attention_heads": 4}),
    ("class_attention", "contract", {"algorithm": "transformer", "epochs": 2, "d_token": 16, "attention_heads": 2, "n_blocks": 3}),
    ("linear", "churn", {"algorithm": "linear"}),
    ("gbdt", "churn", {"algorithm": "gbdt"}),
    ("forest", "churn", {"algorithm": "random_forest", "trees": 50}),
    ("auto", "churn", {"folds": 2}),
    ("beta", "churn", {"algorithm": "gbdt", "calibration": "beta"}),
    ("isotonic", "churn", {"algorithm": "gbdt", "calibration": "isotonic"}),
    ("classes", "contract", {"algorithm": "dnn", "calibration": "temperature"}),
    ("class_trees", "contract", {"algorithm": "gbdt", "calibration": "vector"}),
    ("class_forest", "contract", {"algorithm": "random_forest", "trees": 20}),
    ("value", "monthly_fee", {"algorithm": "dnn"}),
    ("value_trees", "monthly_fee", {"algorithm": "gbdt"}),
    ("value_line", "monthly_fee", {"algorithm": "linear"}),
    ("counts", "support_tickets", {"algorithm": "dnn", "task": "regression", "loss": "poisson"}),
    ("stars", "satisfaction", {"algorithm": "dnn", "task": "ordinal"}),
    ("stars_trees", "satisfaction", {"algorithm": "gbdt", "task": "ordinal"}),
    ("when", "tenure_months", {"algorithm": "dnn", "task": "survival", "event": "churn"}),
    ("effect", "churn", {"algorithm": "gbdt", "task": "uplift", "treatment": "treated", "uplift_method": "two_model"}),
]


def main():
    with psycopg.connect("", autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("CREATE EXTENSION insight")
        connection.execute(
            f"CREATE TABLE learned AS SELECT c.*, customer_id %% 2 = 0 AS treated FROM insight_sample_customers({ROWS}, 7) c"
            .replace("%%", "%")
        )
        for column in ("signup_date", "notes", "loyalty_code", "cancellation_fee"):
            connection.execute(f"ALTER TABLE learned DROP COLUMN {column}")
        # Rows as they come later: other ones, with levels never met, and values missing where none was.
        connection.execute(
            "CREATE TABLE later AS SELECT c.*, true AS treated FROM insight_sample_customers(400, 8) c"
        )
        connection.execute("UPDATE later SET city = 'Nowhere', monthly_fee = 1e9 WHERE customer_id % 7 = 0")
        connection.execute("UPDATE later SET age = NULL, plan = NULL, tenure_months = -3 WHERE customer_id % 11 = 0")
        connection.execute(
            "CREATE TABLE whole AS SELECT customer_id, contract, plan, monthly_fee, tenure_months, support_tickets, churn FROM learned"
        )
        for name, target, options in MODELS:
            few = {} if options.get("algorithm") in ("linear", "gbdt", "random_forest") else {"epochs": 4}
            options = {"exclude": ["customer_id"], **few, **options}
            try:
                connection.execute("SELECT insight_train('learned', %s, %s, %s)", [target, name, json.dumps(options)])
                for relation in ("learned", "later"):
                    check(f"{name} ({target}) in onnxruntime, rows {relation}", in_onnx(connection, name, relation))
            except Exception as error:
                global failed
                failed += 1
                print(f"FAILED  {name}: {str(error).strip()}", flush=True)
        in_pytorch(connection)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
