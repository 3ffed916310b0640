import java.io.StringWriter;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;

/** pgjdbc: bound parameters, server-side prepared statements, fetch size, COPY, cancelling, warnings, errors. */
public class Jdbc {
    static final String TRAIN = "SELECT * FROM insight_train(?, ?, ?, ?::jsonb)";
    static final String FAST = System.getenv("FAST"), SLOW = System.getenv("SLOW"), CUSTOMER = System.getenv("CUSTOMER");
    static String driver = "pgjdbc";
    static Connection connection, watcher;

    interface Play { void run() throws Exception; }

    static void check(String what, Play play) {
        try {
            play.run();
            System.out.println("ok " + driver + ": " + what);
        } catch (Throwable error) {
            StackTraceElement at = Arrays.stream(error.getStackTrace()).filter(e -> e.getClassName().startsWith("Jdbc"))
                .filter(e -> !e.getMethodName().equals("require")).findFirst().orElse(null);
            System.out.println("not ok " + driver + ": " + what + ": " + (error + " at " + at).replaceAll("\\s+", " "));
        }
    }

    static void require(boolean holds, Object found) {
        if (!holds) throw new AssertionError(String.valueOf(found));
    }

    static Connection connect(String... more) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        for (int i = 0; i < more.length; i += 2) properties.setProperty(more[i], more[i + 1]);
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("TCP_HOST") + ":" + System.getenv("PGPORT") + "/"
            + System.getenv("PGDATABASE"), properties);
    }

    static PreparedStatement training(Connection on, String model, String options) throws SQLException {
        PreparedStatement statement = on.prepareStatement(TRAIN);
        statement.setString(1, "customers");
        statement.setString(2, "churn");
        statement.setString(3, model);
        statement.setString(4, options);
        return statement;
    }

    static String text(Connection on, String query) throws SQLException {
        try (Statement statement = on.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            return rows.next() ? rows.getString(1) : null;
        }
    }

    static String ended(String model) throws SQLException {
        return text(watcher, "SELECT status || ' ' || sqlstate FROM insight.jobs WHERE model = '" + model + "'");
    }

    static PGobject json(String value) throws SQLException {
        PGobject object = new PGobject();
        object.setType("jsonb");
        object.setValue(value);
        return object;
    }

    static PSQLException failure(Play play) throws Exception {
        try {
            play.run();
        } catch (PSQLException error) {
            return error;
        }
        throw new AssertionError("no error");
    }

    public static void main(String[] arguments) throws Exception {
        connection = connect();
        watcher = connect();
        driver += " " + connection.getMetaData().getDriverVersion();

        check("trains in the background with bound parameters", () -> {
            try (PreparedStatement train = training(connection, "jdbc", FAST.replace("{", "{\"wait\": false, ")); ResultSet rows = train.executeQuery()) {
                rows.next();
                require(rows.getString("status").equals("queued") && rows.getObject("version") == null, rows.getString("status"));
                String status = text(connection, "SELECT insight_wait(" + rows.getLong("job") + ")");
                require(status.equals("succeeded"), status);
            }
        });

        for (String threshold : new String[] {"0", "1"}) {
            // From 1 on statements are prepared on the server and numbers, times and arrays come in binary.
            check("types of answers, " + (threshold.equals("0") ? "unprepared" : "prepared and binary"), () -> {
                try (Connection typed = connect("prepareThreshold", threshold); PreparedStatement score = typed.prepareStatement(
                    "SELECT insight_predict(?, c) AS risk, insight_predict(?, c)::text AS written, insight_classify(?, c) AS label,"
                    + " insight_probabilities(?, c) AS probabilities, insight_interval('fee', c) AS interval, insight_classes(?, c) AS labels,"
                    + " (SELECT created_at FROM insight.models WHERE model = ?) AS at FROM customers c WHERE customer_id = ANY (?)")) {
                    for (int i = 1; i <= 6; i++) score.setString(i, "jdbc");
                    score.setArray(7, typed.createArrayOf("bigint", new Long[] {1L, 2L, 3L}));
                    int count = 0;
                    for (int again = 0; again < 3; again++) {
                        try (ResultSet rows = score.executeQuery()) {
                            while (rows.next()) {
                                count++;
                                require(rows.getDouble("risk") == Double.parseDouble(rows.getString("written")), rows.getString("written"));
                                require(rows.getObject("risk") instanceof Double, rows.getObject("risk").getClass());
                                require(Arrays.asList("false", "true").contains(rows.getString("label")), rows.getString("label"));
                                require(((PGobject) rows.getObject("probabilities")).getType().equals("jsonb"), rows.getObject("probabilities"));
                                PGobject interval = (PGobject) rows.getObject("interval");
                                require(interval.getType().equals("numrange") && interval.getValue().contains(","), interval);
                                require(((String[]) rows.getArray("labels").getArray()).length >= 1, rows.getString("labels"));
                                require(rows.getObject("at", OffsetDateTime.class).getYear() > 2000, rows.getString("at"));
                            }
                        }
                    }
                    require(count == 9, count);
                }
            });
        }

        check("a bound row, prepared on the server", () -> {
            try (Connection typed = connect("prepareThreshold", "1");
                PreparedStatement score = typed.prepareStatement("SELECT insight_predict(?, ?)");
                PreparedStatement cast = typed.prepareStatement("SELECT insight_predict(?, ?::jsonb)")) {
                score.setString(1, "jdbc");
                cast.setString(1, "jdbc");
                for (int age = 20; age < 60; age++) {
                    String row = CUSTOMER.replace("41", String.valueOf(age));
                    score.setObject(2, json(row));
                    cast.setString(2, row);
                    try (ResultSet one = score.executeQuery(); ResultSet other = cast.executeQuery()) {
                        one.next();
                        other.next();
                        require(one.getDouble(1) == other.getDouble(1) && one.getDouble(1) > 0 && one.getDouble(1) < 1, one.getDouble(1));
                    }
                }
                String prepared = text(typed, "SELECT count(*) > 0 FROM pg_prepared_statements WHERE statement LIKE 'SELECT insight_predict%'");
                require(prepared.equals("t"), prepared);
            }
        });

        check("many rows, fetched 100 at a time", () -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                int count = 0;
                try (ResultSet rows = statement.executeQuery("SELECT key, prediction FROM insight_predict_table('jdbc', 'customers')")) {
                    while (rows.next()) count++;
                }
                require(count == 2000, count);
            } finally {
                connection.commit();
                connection.setAutoCommit(true);
            }
        });

        check("COPY of predictions", () -> {
            StringWriter out = new StringWriter();
            long rows = connection.unwrap(PGConnection.class).getCopyAPI()
                .copyOut("COPY (SELECT customer_id, insight_predict('jdbc', c) FROM customers c) TO STDOUT (FORMAT csv)", out);
            require(rows == 2000 && out.toString().lines().count() == 2000, rows);
        });

        check("warnings of a waiting training", () -> {
            try (PreparedStatement train = training(connection, "jdbc", FAST); ResultSet rows = train.executeQuery()) {
                rows.next();
                require(rows.getInt("version") == 2, rows.getInt("version"));
                boolean found = false;
                for (SQLWarning warning = train.getWarnings(); warning != null; warning = warning.getNextWarning()) {
                    found |= warning.getMessage().contains("customer_id");
                }
                require(found, train.getWarnings());
            }
        });

        check("setQueryTimeout cancels the training", () -> {
            try (PreparedStatement train = training(connection, "jdbc_timeout", SLOW)) {
                train.setQueryTimeout(3);
                PSQLException error = failure(train::executeQuery);
                require(error.getSQLState().equals("57014"), error);
            }
            require(text(connection, "SELECT 1").equals("1"), "no connection");
            require("cancelled 57014".equals(ended("jdbc_timeout")), ended("jdbc_timeout"));
        });

        check("Statement.cancel cancels the training", () -> {
            try (PreparedStatement train = training(connection, "jdbc_slow", SLOW)) {
                Thread cancelling = new Thread(() -> {
                    try {
                        for (int tries = 0; tries < 400; tries++) {
                            if (text(watcher, "SELECT count(*) FROM insight.jobs WHERE model = 'jdbc_slow' AND status = 'running'").equals("1")) break;
                            Thread.sleep(50);
                        }
                        train.cancel();
                    } catch (Exception error) {
                        throw new RuntimeException(error);
                    }
                });
                cancelling.start();
                PSQLException error = failure(train::executeQuery);
                cancelling.join();
                require(error.getSQLState().equals("57014"), error);
            }
            require(text(connection, "SELECT 1").equals("1"), "no connection");
            require("cancelled 57014".equals(ended("jdbc_slow")), ended("jdbc_slow"));
        });

        check("errors have SQLSTATE, message and hint", () -> {
            PSQLException unknown = failure(() -> text(connection, "SELECT insight_predict('nobody', c) FROM customers c"));
            require(unknown.getSQLState().equals("42704"), unknown);
            require(unknown.getServerErrorMessage().getMessage().contains("\"nobody\" does not exist"), unknown);
            require(unknown.getServerErrorMessage().getHint() != null, "no hint");
            PSQLException wrong = failure(() -> training(connection, "jdbc", "{\"epoch\": 3}").executeQuery());
            require(wrong.getSQLState().equals("22023"), wrong);
            require(wrong.getServerErrorMessage().getHint().contains("epochs"), wrong.getServerErrorMessage().getHint());
        });

        connection.close();
        watcher.close();
    }
}
