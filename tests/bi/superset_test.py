"""A dataset, a chart and a dashboard on predictions, by Superset's own API, as a role that may only read the scores."""

import json
import os

import psycopg2
from superset.app import create_app

ROLE = "superset_insight_reader"


def expected():
    """The figures of the chart, by SQL."""
    with psycopg2.connect("") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT label, count(*), avg(probability) FROM churn_scores GROUP BY 1 ORDER BY 1"
        )
        return {label: (rows, mean) for label, rows, mean in cursor.fetchall()}


passed = []


def ok(response, what):
    assert response.status_code in (200, 201), f"{what}: {response.status_code} {response.get_data(as_text=True)[:2000]}"
    passed.append(what)
    print(f"ok    {what}")
    return response.get_json()


def main():
    app = create_app()
    with app.test_client() as client:
        login = {"username": "admin", "password": "admin", "provider": "db", "refresh": True}
        token = ok(client.post("/api/v1/security/login", json=login), "log in")["access_token"]
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

        uri = f"postgresql+psycopg2://{ROLE}@/{os.environ['PGDATABASE']}?host={os.environ['PGHOST']}&port={os.environ['PGPORT']}"
        database = {"database_name": "insight", "sqlalchemy_uri": uri, "expose_in_sqllab": True}
        database = ok(client.post("/api/v1/database/", json=database), "a database")["id"]

        dataset = {"database": database, "schema": "public", "table_name": "churn_scores"}
        dataset = ok(client.post("/api/v1/dataset/", json=dataset), "a dataset")["id"]
        columns = ok(client.get(f"/api/v1/dataset/{dataset}"), "its columns")["result"]["columns"]
        found = {column["column_name"]: column for column in columns}
        names = ["key", "prediction", "label", "probability", "model", "version", "scored_at", "changed_at"]
        assert sorted(found) == sorted(names), sorted(found)
        assert found["scored_at"]["is_dttm"], "scored_at is a time"
        assert found["prediction"]["type"] == "DOUBLE PRECISION", found["prediction"]["type"]
        assert all(column.get("description") for column in columns), "comments of columns are descriptions"

        mean = {"expressionType": "SQL", "sqlExpression": "avg(probability)", "label": "mean"}
        form = {
            "datasource": f"{dataset}__table",
            "viz_type": "table",
            "query_mode": "aggregate",
            "groupby": ["label"],
            "metrics": ["count", mean],
            "row_limit": 100,
        }
        query = {
            "datasource": {"id": dataset, "type": "table"},
            "force": True,
            "queries": [{"columns": ["label"], "metrics": ["count", mean], "row_limit": 100, "orderby": []}],
            "form_data": form,
            "result_format": "json",
            "result_type": "full",
        }
        chart = {
            "slice_name": "churn by label",
            "viz_type": "table",
            "datasource_id": dataset,
            "datasource_type": "table",
            "params": json.dumps(form),
            "query_context": json.dumps(query),
        }
        chart = ok(client.post("/api/v1/chart/", json=chart), "a chart")["id"]
        data = ok(client.get(f"/api/v1/chart/{chart}/data/"), "the chart's data")["result"][0]["data"]
        wanted = expected()
        assert len(data) == len(wanted) == 2, data
        for row in data:
            rows, mean = wanted[row["label"]]
            assert row["count"] == rows and abs(row["mean"] - mean) < 1e-9, (row, wanted)
        print(f"ok    as SQL says: {data}")

        # By time, as a dashboard over refreshes would ask.
        query["queries"] = [
            {
                "columns": [{"columnType": "BASE_AXIS", "sqlExpression": "scored_at", "label": "scored_at", "expressionType": "SQL", "timeGrain": "P1D"}],
                "metrics": ["count"],
                "filters": [{"col": "prediction", "op": ">", "val": 0.5}],
                "extras": {"time_grain_sqla": "P1D"},
            }
        ]
        data = ok(client.post("/api/v1/chart/data", json=query), "by day, with a filter")["result"][0]["data"]
        assert sum(row["count"] for row in data) > 0, data

        position = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
            "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": ["ROW-1"], "parents": ["ROOT_ID"]},
            "ROW-1": {"type": "ROW", "id": "ROW-1", "children": ["CHART-1"], "parents": ["ROOT_ID", "GRID_ID"], "meta": {"background": "BACKGROUND_TRANSPARENT"}},
            "CHART-1": {"type": "CHART", "id": "CHART-1", "children": [], "parents": ["ROOT_ID", "GRID_ID", "ROW-1"], "meta": {"chartId": chart, "width": 6, "height": 50}},
        }
        dashboard = {"dashboard_title": "Who leaves", "published": True, "position_json": json.dumps(position)}
        dashboard = ok(client.post("/api/v1/dashboard/", json=dashboard), "a dashboard")["id"]
        ok(client.put(f"/api/v1/chart/{chart}", json={"dashboards": [dashboard]}), "the chart on it")
        charts = ok(client.get(f"/api/v1/dashboard/{dashboard}/charts"), "its charts")["result"]
        assert [c["slice_name"] for c in charts] == ["churn by label"], charts
        del client.environ_base["HTTP_AUTHORIZATION"]
        client.post("/login/", data={"username": "admin", "password": "admin"})
        page = client.get(f"/superset/dashboard/{dashboard}/")
        assert page.status_code == 200, page.status_code
        assert "Who leaves" in page.get_data(as_text=True), page.get_data(as_text=True)[:3000]
        print("ok    its page")
    print(f"{len(passed) + 2} passed, 0 failed")


main()
