"""Why, how and whether still: explanations, the report and drift beside shap and SciPy.

insight explains its own models, shap a model of LightGBM or scikit-learn trained on the same rows, against as many background rows
and in the same unit, the probability. The clients' seconds of drift contain the reading; LightGBM's training does not count.
"""

import warnings

import numpy
from common import ROWS, connect, head, median_seconds, note, one, times

EXPLAINED, COLUMNS, TRAINED = 10_000, 20, 20_000
BACKGROUND = 48
NAMES = [f"x{i}" for i in range(COLUMNS)]


def make_table():
    """A table of numbers of which a third tell the answer, by sums, products and steps."""
    numbers = ", ".join(f"random() * {1 + i} AS x{i}" for i in range(COLUMNS))
    server.execute("SELECT setseed(0.5)")
    server.execute(f"CREATE TABLE plain AS SELECT id, {numbers} FROM generate_series(1, {ROWS}) AS id")
    server.execute(
        f"""CREATE TABLE known AS SELECT {', '.join(NAMES)},
                random() < 1 / (1 + exp(2 - 2 * x0 - x1 * x2 / 3 + (x3 > 2)::int * 2 - x5 / 3)) AS churn FROM plain WHERE id <= {TRAINED}"""
    )
    server.execute(f"CREATE TABLE asked AS SELECT {', '.join(NAMES)} FROM plain WHERE id <= {EXPLAINED}")


def train(algorithm):
    return one(server, "SELECT model FROM insight_train('known', 'churn', %s, %s)", algorithm, f'{{"algorithm": "{algorithm}", "max_seconds": 60}}')


def read(query):
    return numpy.array(server.execute(query).fetchall(), dtype=float)


def shap_seconds(algorithm):
    """What shap takes for the same rows; the name of what is explained, or why there is none."""
    try:
        import shap
        from sklearn.linear_model import LogisticRegression
        from sklearn.neural_network import MLPClassifier
        from sklearn.preprocessing import StandardScaler
    except ImportError as why:
        return None, f"no shap: {why}"
    rows = read(f"SELECT {', '.join(NAMES)}, churn::int FROM known")
    inputs, target = rows[:, :-1], rows[:, -1]
    asked = read("SELECT * FROM asked")
    scaler = StandardScaler().fit(inputs)
    background = inputs[:BACKGROUND]
    if algorithm == "gbdt":
        import lightgbm

        model = lightgbm.LGBMClassifier(n_estimators=200, verbose=-1).fit(inputs, target)
        explainer = shap.TreeExplainer(model, background, feature_perturbation="interventional", model_output="probability")
        # More rows at once show a bar of progress.
        each = lambda: [explainer.shap_values(asked[i : i + 500], check_additivity=False) for i in range(0, len(asked), 500)]
        return median_seconds(each, 1), "TreeExplainer, LightGBM, 200 trees"
    scaled, background = scaler.transform(asked), scaler.transform(background)
    few = scaled[:100]
    if algorithm == "linear":
        model = LogisticRegression().fit(scaler.transform(inputs), target)
    else:
        with warnings.catch_warnings():
            # Ten epochs are enough here: how good it is does not matter, only its size.
            warnings.simplefilter("ignore")
            model = MLPClassifier((128, 64), max_iter=10).fit(scaler.transform(inputs), target)
    explainer = shap.PermutationExplainer(lambda x: model.predict_proba(x)[:, 1], shap.maskers.Independent(background, BACKGROUND))
    # Its first call compiles code.
    explainer(few[:5], silent=True)
    seconds = median_seconds(lambda: explainer(few, silent=True), 1)
    return seconds * len(scaled) / len(few), f"PermutationExplainer, {type(model).__name__}, from 100"


def explain():
    for algorithm in ["linear", "gbdt", "dnn", "auto"]:
        model = train(algorithm)
        count = f"SELECT count(*) FROM asked a, insight_explain('{model}', a, {COLUMNS}) e"
        server.execute("SET max_parallel_workers_per_gather = 0")
        mine = median_seconds(lambda: one(server, count), 1)
        theirs, label = shap_seconds(algorithm) if algorithm != "auto" else (None, "")
        times(f"insight_explain, {algorithm}", mine, label, theirs)
        server.execute("RESET max_parallel_workers_per_gather")


def report():
    for algorithm in ["linear", "gbdt", "dnn", "auto"]:
        times(f"insight_report, {algorithm}", median_seconds(lambda: one(server, f"SELECT insight_report('{algorithm}')")))
    times("the same with 20,000 rows as they are now", median_seconds(lambda: one(server, "SELECT insight_report('auto', 'known')")))


def drift():
    def client():
        from scipy.stats import ks_2samp

        now, before = read(f"SELECT {', '.join(NAMES)} FROM plain"), read(f"SELECT {', '.join(NAMES)} FROM known")
        return [ks_2samp(now[:, i], before[:, i]) for i in range(COLUMNS)]

    mine = median_seconds(lambda: server.execute("SELECT * FROM insight_drift('gbdt', 'plain')").fetchall())
    times(f"insight_drift, {ROWS:,} rows", mine, "psycopg, NumPy, ks_2samp of each column", median_seconds(client, 1))


if __name__ == "__main__":
    server = connect()
    make_table()
    head(f"{EXPLAINED:,} rows of {COLUMNS} columns explained, s")
    explain()
    note(f"one process each, every column, {BACKGROUND} background rows for shap")
    head("a page about a model, s")
    report()
    head("drift, s")
    drift()
