# Creates the database quality with the real tables; sourced by run and ablation, which set data to the folder of CSV files.
psql="${PG_BIN:-/usr/lib/postgresql/15/bin}/psql"
sql() { "$psql" -X -q -v ON_ERROR_STOP=1 -d quality "$@"; }
load() { sql -c "COPY $1 FROM STDIN WITH (FORMAT csv, $2)"; }

"$psql" -X -q -d postgres -c 'DROP DATABASE IF EXISTS quality' -c 'CREATE DATABASE quality'
sql -c 'CREATE EXTENSION insight' -f tests/quality/tables.sql
load telco "HEADER, NULL ' '" <"$data/telco_churn.csv"
for pair in adult:adult_train adult_unseen:adult_test; do
  # A blank follows each comma; labels of the test rows end in a point.
  sed -n 's/, /,/g; s/\.$//; /,/p' "$data/${pair#*:}.csv" | load "${pair%%:*}" "NULL '?'"
done
load bank HEADER <"$data/bank_full.csv"
load shoppers HEADER <"$data/online_shoppers_intention.csv"
load german "HEADER false" <"$data/german_credit.csv"
load machines "HEADER, DELIMITER E'\t'" <"$data/ai4i2020.csv"
load housing HEADER <"$data/california_housing.csv"

awk '{ print $2 "," $3 "," $5 }' "$data/cdnow_sample.txt" | tr -d '\r' | load cdnow "HEADER false"
