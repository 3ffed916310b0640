"""Scores of insight and of libraries on the same splits: a stratified random fifth is never seen in training; everybody takes a
fifth of the rest to stop by. Untuned, the libraries as their documentation shows them."""

import sys
import time
import warnings

import numpy as np
import pandas as pd
import psycopg
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_squared_error, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer
from xgboost import XGBClassifier, XGBRegressor

warnings.filterwarnings("ignore")
SEEDS, ONLY = int(sys.argv[1]), sys.argv[2]
MACHINES = ["udi", "product_id", "twf", "hdf", "pwf", "osf", "rnf"]
TABLES = [  # name, relation, target, columns left out, the positive label (None: a number)
    ("telco_churn", "telco", "Churn", ["customerID"], "Yes"),
    ("adult", "adult", "income", [], ">50K"),
    ("bank_full", "bank", "y", [], "yes"),
    ("bank, no duration", "bank", "y", ["duration"], "yes"),
    ("online_shoppers", "shoppers", "Revenue", [], True),
    ("german_credit", "german", "class", [], 2),
    ("ai4i2020", "machines", "machine_failure", MACHINES, 1),
    ("california_housing", "housing", "median_house_value", [], None),
]
server = psycopg.connect(autocommit=True, prepare_threshold=None)


def insight(table, target, left_out, positive, test, seed):
    server.execute("DROP TABLE IF EXISTS held_out")
    server.execute("CREATE TABLE held_out (row_number int PRIMARY KEY)")
    with server.cursor().copy("COPY held_out FROM STDIN") as copy:
        for row in test:
            copy.write_row([int(row)])
    options = {"exclude": left_out + ["row_number"], "test_size": 0, "seed": seed}
    if positive is not None:
        options["positive"] = positive
    options = psycopg.types.json.Jsonb(options)
    seen = f"SELECT * FROM {table} WHERE row_number NOT IN (SELECT row_number FROM held_out)"
    unseen = f"SELECT * FROM {table} WHERE row_number IN (SELECT row_number FROM held_out)"
    server.execute("SELECT insight_train(%s, %s, 'beside', %s)", (seen, target, options))
    metric = "rmse" if positive is None else "roc_auc"
    score = "SELECT value FROM insight_evaluate('beside', %s) WHERE metric = %s AND class IS NULL"
    return server.execute(score, (unseen, metric)).fetchone()[0]


def mlp(numbers, categories, regression):
    prepare = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), QuantileTransformer(output_distribution="normal")), numbers),
            ("c", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5), categories),
        ]
    )
    model = MLPRegressor if regression else MLPClassifier
    return make_pipeline(prepare, model(hidden_layer_sizes=(256, 128), early_stopping=True, validation_fraction=0.2, random_state=0))


def libraries(frame, y, train, test, regression, seed):
    """Each library's name with a function that trains it and answers what it predicts for the test rows."""
    stratify = None if regression else y[train]
    fit, stop = train_test_split(train, test_size=0.2, random_state=seed, stratify=stratify)
    categories = [c for c in frame if frame[c].dtype == "category"]
    numbers = [c for c in frame if c not in categories]
    x, x_stop, x_test = frame.iloc[fit], frame.iloc[stop], frame.iloc[test]
    texts = frame.assign(**{c: frame[c].astype(object) for c in categories})
    predict = lambda model, x: model.predict(x) if regression else model.predict_proba(x)[:, 1]

    def catboost():
        model = (CatBoostRegressor if regression else CatBoostClassifier)(
            iterations=2000, early_stopping_rounds=50, random_seed=seed, verbose=False, allow_writing_files=False
        )
        model.fit(texts.iloc[fit], y[fit], cat_features=categories, eval_set=(texts.iloc[stop], y[stop]))
        return predict(model, texts.iloc[test])

    def lightgbm():
        model = (LGBMRegressor if regression else LGBMClassifier)(n_estimators=2000, learning_rate=0.05, random_state=seed, verbose=-1)
        model.fit(x, y[fit], eval_set=[(x_stop, y[stop])], callbacks=[early_stopping(50, verbose=False)])
        return predict(model, x_test)

    def xgboost():
        model = (XGBRegressor if regression else XGBClassifier)(
            n_estimators=2000, learning_rate=0.05, early_stopping_rounds=50, enable_categorical=True, random_state=seed
        )
        model.fit(x, y[fit], eval_set=[(x_stop, y[stop])], verbose=False)
        return predict(model, x_test)

    def network():
        model = mlp(numbers, categories, regression)
        scale = y[train].std() if regression else 1
        model.fit(texts.iloc[train], y[train] / scale)
        return predict(model, texts.iloc[test]) * scale

    return [("CatBoost", catboost), ("LightGBM", lightgbm), ("XGBoost", xgboost), ("sklearn MLP", network)]


names = ["insight", "CatBoost", "LightGBM", "XGBoost", "sklearn MLP"]
print(f"mean over {SEEDS} splits: roc_auc, for california_housing rmse; seconds of training; rank")
print(f"{'table':20}" + "".join(f"{name:>26}" for name in names), flush=True)
ranks = []
for name, relation, target, left_out, positive in TABLES:
    if ONLY not in ("", name):
        continue
    regression = positive is None
    server.execute("DROP TABLE IF EXISTS numbered")
    server.execute(f"CREATE TABLE numbered AS SELECT row_number() OVER () AS row_number, * FROM {relation}")
    cursor = server.execute("SELECT * FROM numbered ORDER BY row_number")
    frame = pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])
    rows, y = frame.pop("row_number").to_numpy(), frame.pop(target)
    y = y.astype(float).to_numpy() if regression else (y == positive).astype(int).to_numpy()
    frame = frame.drop(columns=left_out)
    for column in frame:
        given = frame[column]
        number = pd.to_numeric(given.map(lambda v: None if isinstance(v, (bool, str)) else v), errors="coerce")
        frame[column] = number.astype(float) if number.notna().sum() == given.notna().sum() else given.map(lambda v: "missing" if v is None else str(v)).astype("category")
    scores, seconds = {n: [] for n in names}, {n: [] for n in names}
    for seed in range(SEEDS):
        train, test = train_test_split(np.arange(len(y)), test_size=0.2, random_state=seed, stratify=None if regression else y)
        started = time.time()
        scores["insight"].append(insight("numbered", target, left_out, positive, rows[test], seed))
        seconds["insight"].append(time.time() - started)
        for library, run in libraries(frame, y, train, test, regression, seed):
            started = time.time()
            predicted = run()
            seconds[library].append(time.time() - started)
            error = mean_squared_error(y[test], predicted) ** 0.5 if regression else roc_auc_score(y[test], predicted)
            scores[library].append(error)
    mean = {n: np.mean(scores[n]) for n in names}
    order = sorted(names, key=lambda n: mean[n] if regression else -mean[n])
    ranks.append([order.index(n) + 1 for n in names])
    score = (lambda v: f"{v:.0f}") if regression else (lambda v: f"{v:.4f}")
    cells = (f"{score(mean[n])} {np.mean(seconds[n]):5.1f} s ({order.index(n) + 1})" for n in names)
    print(f"{name:20}" + "".join(f"{cell:>26}" for cell in cells), flush=True)
print(f"{'mean rank':20}" + "".join(f"{r:26.2f}" for r in np.mean(ranks, axis=0)))
