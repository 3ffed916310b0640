"""The table and the models that predicting and latency share: 20 numbers, a network 64-32 in insight and in scikit-learn."""

import os

from common import ROWS, SCRATCH, have_plpython, one

COLUMNS = 20
NAMES = [f"x{i}" for i in range(1, COLUMNS + 1)]
_PICKLE = os.path.join(SCRATCH, "network.pickle")


def fill(server, rows=ROWS):
    """Makes the table and insight's model of it where they are not there yet."""
    if one(server, "SELECT to_regclass('points') IS NULL"):
        server.execute("SELECT setseed(0.5)")
        server.execute(
            f"""
            CREATE TABLE points AS
            SELECT r.*, x1 + x2 * x2 + 0.2 * random() > 0.9 AS y
            FROM (SELECT id, {', '.join(f'random() AS {name}' for name in NAMES)} FROM generate_series(1, {rows}) AS id) AS r
            """
        )
        server.execute("ALTER TABLE points ADD PRIMARY KEY (id)")
        server.execute("VACUUM ANALYZE points")
        server.execute(
            """SELECT insight_train('SELECT * FROM points WHERE id <= 20000', 'y', 'points',
                                    '{"algorithm": "mlp", "hidden": [64, 32], "activation": "relu", "epochs": 5}')"""
        )


def prepare(server):
    """Makes what is not there yet; both subjects may run in one database."""
    fill(server)
    try:
        model = scikit(server)
    except ImportError:
        return None, False
    return model, have_plpython(server) and plpython(server)


def scikit(server):
    """A network of the same size, fitted and left where PL/Python finds it."""
    import warnings

    import joblib
    from sklearn.neural_network import MLPClassifier

    if os.path.exists(_PICKLE):
        return joblib.load(_PICKLE)
    rows = server.execute(f"SELECT {', '.join(NAMES)}, y FROM points WHERE id <= 20000").fetchall()
    model = MLPClassifier((64, 32), max_iter=5, random_state=1)
    with warnings.catch_warnings():
        # Five epochs are enough here: how good it is does not matter, only its size.
        warnings.simplefilter("ignore")
        model.fit([row[:-1] for row in rows], [row[-1] for row in rows])
    joblib.dump(model, _PICKLE)
    os.chmod(_PICKLE, 0o644)
    return model


def plpython(server):
    """The usual function: the model is loaded once per session, each call predicts its row."""
    row = ", ".join(f"p['{name}']" for name in NAMES)
    server.execute(
        f"""
        CREATE OR REPLACE FUNCTION scikit_predict(p points) RETURNS float8 LANGUAGE plpython3u STABLE AS $$
        if 'model' not in GD:
            import sys
            sys.path.insert(0, '{SCRATCH}')
            import joblib
            GD['model'] = joblib.load('{_PICKLE}')
        return float(GD['model'].predict_proba([[{row}]])[0][1])
        $$
        """
    )
    return True
