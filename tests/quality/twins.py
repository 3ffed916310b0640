"""CTGAN and TVAE of the package ctgan beside insight's gan and tvae: the same rows and epochs. SDMetrics judges both; gradient
boosted trees trained on generated rows are tested on real rows that nobody has seen."""

import sys
import time
import warnings

import numpy as np
import pandas as pd
import psycopg
from ctgan import CTGAN, TVAE
from sdmetrics.reports.single_table import QualityReport
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

warnings.filterwarnings("ignore")
EPOCHS, ROWS = int(sys.argv[1]), int(sys.argv[2])
server = psycopg.connect(autocommit=True, prepare_threshold=None)


def read(relation):
    cursor = server.execute(f"SELECT * FROM {relation}")
    return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


def tidy(frame, numbers):
    for column in frame:
        if column in numbers:
            frame[column] = pd.to_numeric(frame[column]).astype(float)
        else:
            frame[column] = frame[column].astype(object).where(frame[column].notna(), "?").astype(str)
    return frame


def quality(real, made, numbers):
    kinds = {c: {"sdtype": "numerical" if c in numbers else "categorical"} for c in real}
    report = QualityReport()
    report.generate(real, made, {"columns": kinds}, verbose=False)
    parts = dict(zip(report.get_properties()["Property"], report.get_properties()["Score"]))
    return report.get_score(), parts["Column Shapes"], parts["Column Pair Trends"]


def efficacy(made, test, target, positive, numbers):
    features = [c for c in made if c != target]
    texts = [c for c in features if c not in numbers]
    model = make_pipeline(
        ColumnTransformer([("t", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), texts)], remainder="passthrough"),
        HistGradientBoostingClassifier(random_state=0),
    )
    truth = (made[target] == positive).to_numpy()
    if truth.all() or not truth.any():
        return float("nan"), float("nan")
    model.fit(made[features], truth)
    known = (test[target] == positive).to_numpy()
    p = model.predict_proba(test[features])[:, 1]
    return f1_score(known, p >= 0.5), roc_auc_score(known, p)


def compare(name, relation, left_out, target, positive, numbers, test=None):
    train = tidy(read(relation).drop(columns=left_out), numbers)
    if test is None:
        train, test = train_test_split(train, test_size=0.2, random_state=0, stratify=train[target])
        train = train.reset_index(drop=True)
    else:
        test = tidy(read(test), numbers)
    if ROWS:
        train = train.sample(min(ROWS, len(train)), random_state=0).reset_index(drop=True)
    server.execute("DROP TABLE IF EXISTS twins_of")
    kind = lambda c: "double precision" if c in numbers else "text"
    server.execute("CREATE TABLE twins_of (" + ", ".join(f'"{c}" {kind(c)}' for c in train) + ")")
    with server.cursor().copy("COPY twins_of FROM STDIN") as copy:
        for row in train.itertuples(index=False):
            copy.write_row([None if isinstance(v, float) and np.isnan(v) else v for v in row])
    print(f"{name}: {len(train)} rows, {EPOCHS} epochs")
    print(f"  {'':14} {'seconds':>8} {'quality':>8} {'shapes':>7} {'pairs':>7} {'f1':>7} {'roc_auc':>8}")

    def show(label, seconds, made):
        q, shapes, pairs = quality(train, made, numbers) if made is not None else (1, 1, 1)
        f1, auc = efficacy(made if made is not None else train, test, target, positive, numbers)
        print(f"  {label:14} {seconds:8.1f} {q:8.4f} {shapes:7.4f} {pairs:7.4f} {f1:7.4f} {auc:8.4f}", flush=True)

    show("real rows", 0, None)
    texts = [c for c in train if c not in numbers]
    for algorithm, package in (("gan", CTGAN), ("tvae", TVAE)):
        started = time.monotonic()
        options = f'{{"algorithm": "{algorithm}", "epochs": {EPOCHS}}}'
        server.execute("SELECT insight_train('twins_of', NULL, 'twins', %s::jsonb)", [options])
        seconds = time.monotonic() - started
        made = tidy(read(f"insight_generate('twins', {len(train)}, NULL::twins_of, seed => 1)"), numbers)
        show(f"insight {algorithm}", seconds, made)
        own = server.execute("SELECT value FROM insight.metrics WHERE model = 'twins' AND metric = 'quality' ORDER BY version DESC LIMIT 1").fetchone()[0]
        print(f"  {'':14} insight's own measure of quality: {own:.4f}")
        started = time.monotonic()
        other = package(epochs=EPOCHS, **({"cuda": False} if package is CTGAN else {"cuda": False}))
        filled = train.copy()
        for column in numbers:
            filled[column] = filled[column].fillna(filled[column].mean())
        other.fit(filled, texts)
        seconds_other = time.monotonic() - started
        show(f"ctgan {package.__name__}", seconds_other, other.sample(len(train)))
        print(f"  {'':14} insight is {seconds_other / seconds:.2f} times as fast")


ADULT = ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
compare("telco_churn", "telco", ["customerID"], "Churn", "Yes", ["tenure", "MonthlyCharges", "TotalCharges"])
compare("adult", "adult", [], "income", ">50K", ADULT, "adult_unseen")
