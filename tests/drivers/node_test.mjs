// node-postgres: bound parameters, named prepared statements, a pool, cancelling, notices, errors.
import { createRequire } from "node:module";
import assert from "node:assert/strict";

// The packages lie in a folder of their own, not beside this file.
const require = createRequire(process.env.NODE_FOLDER + "/");
const pg = require("pg");
const driver = `node-postgres ${require("pg/package.json").version}`;
const FAST = JSON.parse(process.env.FAST);
const SLOW = JSON.parse(process.env.SLOW);
const CUSTOMER = JSON.parse(process.env.CUSTOMER);
const TRAIN = "SELECT * FROM insight_train($1, $2, $3, $4)";

async function check(what, play) {
  try {
    await play();
    console.log(`ok ${driver}: ${what}`);
  } catch (error) {
    console.log(`not ok ${driver}: ${what}: ${String(error.stack ?? error).replace(/\s+/g, " ").slice(0, 500)}`);
  }
}
async function failing(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("no error");
}
const client = new pg.Client();
const watcher = new pg.Client();
await client.connect();
await watcher.connect();
const one = async (text, values, by = client) => Object.values((await by.query(text, values)).rows[0])[0];
const ended = (model) => one("SELECT status || ' ' || sqlstate FROM insight.jobs WHERE model = $1", [model], watcher);
async function running(model) {
  for (let tries = 0; tries < 400; tries += 1) {
    if ((await one("SELECT count(*)::int FROM insight.jobs WHERE model = $1 AND status = 'running'", [model], watcher)) === 1) return;
    await new Promise((later) => setTimeout(later, 50));
  }
  throw new Error("the job does not run");
}

await check("trains in the background with bound parameters", async () => {
  const { rows } = await client.query(TRAIN, ["customers", "churn", "node", { ...FAST, wait: false }]);
  assert.equal(rows[0].status, "queued");
  assert.equal(rows[0].version, null);
  // A bigint is a string in JavaScript.
  assert.equal(typeof rows[0].job, "string");
  assert.equal(await one("SELECT insight_wait($1)", [rows[0].job]), "succeeded");
});

await check("types of answers", async () => {
  const { rows } = await client.query(
    `SELECT insight_predict($1, c) AS risk, insight_predict($1, c)::text AS written, insight_classify($1, c) AS label,
       insight_probabilities($1, c) AS probabilities, insight_interval('fee', c) AS interval, insight_classes($1, c) AS labels,
       (SELECT created_at FROM insight.models WHERE model = $1) AS at
     FROM customers c WHERE customer_id = ANY($2) ORDER BY customer_id`,
    ["node", [1, 2, 3]],
  );
  assert.equal(rows.length, 3);
  for (const row of rows) {
    assert.equal(row.risk, Number(row.written));
    assert.equal(row.probabilities.true, row.risk);
    assert.ok(["false", "true"].includes(row.label));
    assert.match(row.interval, /^[[(].*,.*[\])]$/);
    assert.ok(Array.isArray(row.labels) && row.at instanceof Date);
  }
});

await check("a named prepared statement with a bound row", async () => {
  const score = (age) => client.query({ name: "score", text: "SELECT insight_predict($1, $2::jsonb) AS risk", values: ["node", { ...CUSTOMER, age }] });
  const risks = [];
  for (let age = 20; age < 60; age += 1) risks.push((await score(age)).rows[0].risk);
  assert.ok(risks.every((risk) => risk > 0 && risk < 1) && new Set(risks).size > 5);
  assert.equal(await one("SELECT count(*)::int FROM pg_prepared_statements WHERE name = 'score'"), 1);
});

await check("a pool of five scores 50 rows", async () => {
  const pool = new pg.Pool({ max: 5 });
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, age) => pool.query("SELECT insight_predict($1, $2::jsonb) AS risk", ["node", { ...CUSTOMER, age: age + 20 }])),
  );
  assert.ok(answers.every(({ rows }) => rows[0].risk > 0 && rows[0].risk < 1));
  await pool.end();
});

await check("notices of a waiting training", async () => {
  const notices = [];
  client.on("notice", (notice) => notices.push(notice.message));
  assert.equal((await client.query(TRAIN, ["customers", "churn", "node", FAST])).rows[0].version, 2);
  assert.ok(notices.some((notice) => notice.includes("customer_id")), notices.join());
});

await check("cancelling a training", async () => {
  let query;
  const cancelled = new Promise((resolve) => {
    query = client.query(new pg.Query({ text: TRAIN, values: ["customers", "churn", "node_slow", SLOW] }, (error) => resolve(error)));
  });
  await running("node_slow");
  new pg.Client().cancel(client, query);
  assert.equal((await cancelled).code, "57014");
  assert.equal(await one("SELECT 1"), 1);
  assert.equal(await ended("node_slow"), "cancelled 57014");
});

await check("statement_timeout of the client cancels the training", async () => {
  const hasty = new pg.Client({ statement_timeout: 2000 });
  await hasty.connect();
  assert.equal((await failing(hasty.query(TRAIN, ["customers", "churn", "node_timeout", SLOW]))).code, "57014");
  assert.equal(await one("SELECT 1", [], hasty), 1);
  await hasty.end();
  assert.equal(await ended("node_timeout"), "cancelled 57014");
});

await check("errors have SQLSTATE, message and hint", async () => {
  const unknown = await failing(client.query("SELECT insight_predict($1, $2::jsonb)", ["nobody", CUSTOMER]));
  assert.equal(unknown.code, "42704");
  assert.match(unknown.message, /"nobody" does not exist/);
  assert.ok(unknown.hint);
  const wrong = await failing(client.query(TRAIN, ["customers", "churn", "node", { epoch: 3 }]));
  assert.equal(wrong.code, "22023");
  assert.match(wrong.hint, /epochs/);
});

await client.end();
await watcher.end();
