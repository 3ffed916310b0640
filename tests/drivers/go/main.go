// pgx 4: bound parameters in the binary protocol, batches, COPY, cancelling, contexts, notices, errors.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
)

const train = "SELECT model, version, status, job FROM insight_train($1, $2, $3, $4)"

var (
	driver     = "pgx " + os.Getenv("PGX_VERSION")
	background = context.Background()
	customer   = options("CUSTOMER", nil)
	notices    []string
)

func check(what string, play func() error) {
	if err := play(); err != nil {
		fmt.Printf("not ok %s: %s: %s\n", driver, what, strings.Join(strings.Fields(err.Error()), " "))
	} else {
		fmt.Printf("ok %s: %s\n", driver, what)
	}
}

func options(name string, more map[string]interface{}) map[string]interface{} {
	read := map[string]interface{}{}
	if err := json.Unmarshal([]byte(os.Getenv(name)), &read); err != nil {
		panic(err)
	}
	for key, value := range more {
		read[key] = value
	}
	return read
}

func connect() *pgx.Conn {
	config, err := pgx.ParseConfig("")
	if err != nil {
		panic(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { notices = append(notices, notice.Message) }
	conn, err := pgx.ConnectConfig(background, config)
	if err != nil {
		panic(err)
	}
	return conn
}

func text(conn *pgx.Conn, query string, arguments ...interface{}) (answer string, err error) {
	err = conn.QueryRow(background, query, arguments...).Scan(&answer)
	return
}

func running(watcher *pgx.Conn, model string) error {
	for tries := 0; tries < 400; tries++ {
		found, err := text(watcher, "SELECT count(*)::text FROM insight.jobs WHERE model = $1 AND status = 'running'", model)
		if err != nil || found == "1" {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the job does not run")
}

// cancelled waits for the job's end.
func cancelled(watcher *pgx.Conn, model string) error {
	var ended string
	for tries := 0; tries < 100; tries++ {
		var err error
		if ended, err = text(watcher, "SELECT status || coalesce(' ' || sqlstate, '') FROM insight.jobs WHERE model = $1", model); err != nil {
			return err
		}
		if ended == "cancelled 57014" {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New(ended)
}

func code(err error) string {
	var found *pgconn.PgError
	if errors.As(err, &found) {
		return found.Code
	}
	return fmt.Sprint(err)
}

func main() {
	conn, watcher := connect(), connect()

	check("trains in the background with bound parameters", func() error {
		var model, status string
		var version *int32
		var job int64
		err := conn.QueryRow(background, train, "customers", "churn", "go", options("FAST", map[string]interface{}{"wait": false})).
			Scan(&model, &version, &status, &job)
		if err != nil {
			return err
		}
		if status != "queued" || version != nil {
			return errors.New(status)
		}
		if status, err = text(conn, "SELECT insight_wait($1)", job); err == nil && status != "succeeded" {
			err = errors.New(status)
		}
		return err
	})

	check("types of answers, binary", func() error {
		rows, err := conn.Query(background, `SELECT insight_predict($1, c), insight_predict($1, c)::text::float8, insight_classify($1, c),
			insight_probabilities($1, c), insight_interval('fee', c), insight_classes($1, c, 0.99),
			(SELECT created_at FROM insight.versions WHERE model = $1) FROM customers c WHERE customer_id = ANY($2)`, "go", []int64{1, 2, 3})
		if err != nil {
			return err
		}
		defer rows.Close()
		count := 0
		for ; rows.Next(); count++ {
			var risk, written float64
			var label string
			var probabilities map[string]float64
			var interval pgtype.Numrange
			var labels []string
			var at time.Time
			if err := rows.Scan(&risk, &written, &label, &probabilities, &interval, &labels, &at); err != nil {
				return err
			}
			if risk != written || probabilities["true"] != risk || len(labels) == 0 || at.Year() < 2000 || interval.Status != pgtype.Present {
				return fmt.Errorf("%v %v %v %v %v %v", risk, written, probabilities, labels, at, interval)
			}
		}
		if count != 3 {
			return fmt.Errorf("%d rows: %v", count, rows.Err())
		}
		return rows.Err()
	})

	check("a bound row, prepared, and a batch of them", func() error {
		description, err := conn.Prepare(background, "score", "SELECT insight_predict($1, $2::jsonb)")
		if err != nil {
			return err
		}
		if description.ParamOIDs[1] != pgtype.JSONBOID || description.Fields[0].DataTypeOID != pgtype.Float8OID {
			return fmt.Errorf("%v", description)
		}
		batch := &pgx.Batch{}
		for age := 20; age < 60; age++ {
			batch.Queue("score", "go", options("CUSTOMER", map[string]interface{}{"age": age}))
		}
		results := conn.SendBatch(background, batch)
		defer results.Close()
		for age := 20; age < 60; age++ {
			var risk float64
			if err := results.QueryRow().Scan(&risk); err != nil {
				return err
			}
			if risk <= 0 || risk >= 1 {
				return fmt.Errorf("%v", risk)
			}
		}
		return nil
	})

	check("COPY of predictions", func() error {
		var out bytes.Buffer
		_, err := conn.PgConn().CopyTo(background, &out, "COPY (SELECT * FROM insight_predict_table('go', 'customers')) TO STDOUT (FORMAT csv)")
		if lines := strings.Count(out.String(), "\n"); err == nil && lines != 2000 {
			err = fmt.Errorf("%d lines", lines)
		}
		return err
	})

	check("notices of a waiting training", func() error {
		notices = nil
		if _, err := conn.Exec(background, train, "customers", "churn", "go", options("FAST", nil)); err != nil {
			return err
		}
		if !strings.Contains(strings.Join(notices, "\n"), "customer_id") {
			return fmt.Errorf("%v", notices)
		}
		return nil
	})

	check("CancelRequest cancels the training", func() error {
		failed := make(chan error)
		go func() {
			_, err := conn.Exec(background, train, "customers", "churn", "go_slow", options("SLOW", nil))
			failed <- err
		}()
		if err := running(watcher, "go_slow"); err != nil {
			return err
		}
		if err := conn.PgConn().CancelRequest(background); err != nil {
			return err
		}
		if err := <-failed; code(err) != "57014" {
			return fmt.Errorf("%v", err)
		}
		if one, err := text(conn, "SELECT '1'"); err != nil || one != "1" {
			return fmt.Errorf("%v %v", one, err)
		}
		return cancelled(watcher, "go_slow")
	})

	check("a context that ends cancels the training, and closes the connection", func() error {
		hasty := connect()
		limited, release := context.WithTimeout(background, 2*time.Second)
		defer release()
		_, err := hasty.Exec(limited, train, "customers", "churn", "go_timeout", options("SLOW", nil))
		if err == nil || !pgconn.Timeout(err) || !hasty.IsClosed() {
			return fmt.Errorf("%v, closed: %v", err, hasty.IsClosed())
		}
		return cancelled(watcher, "go_timeout")
	})

	check("errors have SQLSTATE, message and hint", func() error {
		var unknown, wrong *pgconn.PgError
		_, err := text(conn, "SELECT insight_predict($1, $2::jsonb)::text", "nobody", customer)
		if !errors.As(err, &unknown) || unknown.Code != "42704" || !strings.Contains(unknown.Message, `"nobody" does not exist`) || unknown.Hint == "" {
			return fmt.Errorf("%v", err)
		}
		_, err = conn.Exec(background, train, "customers", "churn", "go", map[string]int{"epoch": 3})
		if !errors.As(err, &wrong) || wrong.Code != "22023" || !strings.Contains(wrong.Hint, "epochs") {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
}
