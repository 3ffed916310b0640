"""The table that reading and the profile share: 20 columns of mixed types."""

from common import ROWS, one

COLUMNS = (
    "i1, i2, i3, big1, big2, f1, f2, f3, f4, f5, f6, price, cost, city, plan, channel, active, born, seen, churn"
)


def prepare(server):
    """Makes what is not there yet; both subjects may run in one database."""
    if not one(server, "SELECT to_regclass('mixed') IS NULL"):
        return
    server.execute("SELECT setseed(0.5)")
    server.execute(
        f"""
        CREATE TABLE mixed AS
        SELECT (random() * 100)::int AS i1, (random() * 1000)::int AS i2, CASE WHEN random() > 0.1 THEN (random() * 10)::int END AS i3,
               (random() * 1e6)::bigint AS big1, (random() * 1e10)::bigint AS big2,
               random() AS f1, random() * 1000 AS f2, exp(random() * 5) AS f3, random() - 0.5 AS f4,
               CASE WHEN random() > 0.1 THEN random() END AS f5, random() * random() AS f6,
               (random() * 1000)::numeric(10, 2) AS price, (random() * 100)::numeric(10, 2) AS cost,
               'city ' || (random() * 200)::int AS city, (ARRAY['basic', 'plus', 'business'])[1 + (random() * 2)::int] AS plan,
               CASE WHEN random() > 0.05 THEN (ARRAY['shop', 'web', 'phone', 'partner'])[1 + (random() * 3)::int] END AS channel,
               random() > 0.3 AS active, date '1950-01-01' + (random() * 20000)::int AS born,
               timestamptz '2024-01-01' + random() * interval '700 days' AS seen, random() < 0.3 AS churn
        FROM generate_series(1, {ROWS})
        """
    )
    server.execute("VACUUM ANALYZE mixed")
