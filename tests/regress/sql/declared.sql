-- What a table declares holds for generated rows: among themselves, beside the rows that are there, and as they are delivered.
SET client_min_messages = warning;
CREATE TABLE seats (hall integer, place integer, price numeric(6, 2), PRIMARY KEY (hall, place));
INSERT INTO seats SELECT i % 30, i / 30, 20 + i % 7 FROM generate_series(0, 599) i;
SELECT status FROM insight_train('SELECT hall, place, price FROM seats', NULL, 'seat_twins', '{"algorithm": "tvae", "epochs": 60, "seed": 1}');
-- A unique key of two columns, half of which are taken.
CREATE TABLE booked (LIKE seats INCLUDING ALL);
INSERT INTO booked SELECT * FROM seats WHERE hall % 2 = 0;
INSERT INTO booked SELECT * FROM insight_generate('seat_twins', 100, NULL::booked, 1);
SELECT count(*) FROM booked;
-- A longer call begins as a shorter one; what is there already does not come again.
SELECT count(*) FROM insight_generate('seat_twins', 50, NULL::booked, 1) n JOIN booked b USING (hall, place);
-- No row is left.
CREATE TABLE full_house (LIKE seats INCLUDING ALL);
INSERT INTO full_house SELECT hall, place, 1 FROM generate_series(0, 29) hall, generate_series(-1, 20) place;
SELECT count(*) FROM insight_generate('seat_twins', 1, NULL::full_house, 1);
-- Numbers of a key go on behind those that have come since.
CREATE TABLE tickets (id bigint PRIMARY KEY, hall integer);
INSERT INTO tickets SELECT i, i % 5 FROM generate_series(1, 300) i;
SELECT status FROM insight_train('tickets', NULL, 'ticket_twins', '{"algorithm": "tvae", "epochs": 5}');
INSERT INTO tickets SELECT i, i % 5 FROM generate_series(301, 90000) i;
INSERT INTO tickets SELECT * FROM insight_generate('ticket_twins', 1000, NULL::tickets, 1);
SELECT count(*), count(*) FILTER (WHERE id > 90000) AS new FROM tickets;
-- Partitions, expressions, predicates, and keys that are checked late.
CREATE TABLE rows_of (hall integer, place integer, price numeric, UNIQUE (hall, place)) PARTITION BY RANGE (hall);
CREATE TABLE rows_low PARTITION OF rows_of FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE rows_high (price numeric, place integer, hall integer);
ALTER TABLE rows_of ATTACH PARTITION rows_high FOR VALUES FROM (10) TO (MAXVALUE);
INSERT INTO rows_of SELECT * FROM seats WHERE hall % 2 = 1;
INSERT INTO rows_of SELECT * FROM insight_generate('seat_twins', 60, NULL::rows_of, 2);
SELECT count(*) FROM rows_of;
CREATE TABLE lots (hall integer, place integer, price numeric, UNIQUE (hall, place) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX lots_sum ON lots ((hall * 100 + place));
CREATE UNIQUE INDEX lots_cheap ON lots (hall) WHERE price < 21;
INSERT INTO lots SELECT * FROM seats WHERE price > 24;
INSERT INTO lots SELECT * FROM insight_generate('seat_twins', 80, NULL::lots, 3);
SELECT count(*) > 80 FROM lots;
-- Exclusion constraints.
CREATE TABLE apart (hall integer, place integer, EXCLUDE USING gist (circle(point(hall, place), 1) WITH &&));
INSERT INTO apart VALUES (10, 10), (20, 5);
INSERT INTO apart SELECT * FROM insight_generate('seat_twins', 15, NULL::apart, 4);
SELECT count(*) FROM apart;
-- UNIQUE is judged of the value that is delivered.
CREATE TABLE whole_prices (price integer UNIQUE);
SELECT status FROM insight_train('SELECT random_price AS price FROM (SELECT 20 + i % 400 / 40.0 AS random_price FROM generate_series(1, 800) i) p', NULL, 'price_twins', '{"algorithm": "tvae", "epochs": 40}');
INSERT INTO whole_prices VALUES (25);
INSERT INTO whole_prices SELECT * FROM insight_generate('price_twins', 8, NULL::whole_prices, 5);
SELECT count(*) FROM whole_prices;
-- Domains, too many digits, computed columns.
CREATE DOMAIN near AS integer CHECK (VALUE < 15) NOT NULL;
CREATE DOMAIN never AS integer CONSTRAINT too_far CHECK (VALUE > 1000);
CREATE TABLE limited (hall near, place integer, price numeric(3, 1), total integer GENERATED ALWAYS AS (hall * 100 + place) STORED NOT NULL CHECK (total > 300));
SELECT count(*), max(hall) < 15 AS near, bool_and(total = hall * 100 + place) AS computed, min(total) > 300 AS checked FROM insight_generate('seat_twins', 100, NULL::limited, 6);
INSERT INTO limited SELECT hall, place, price FROM insight_generate('seat_twins', 100, NULL::limited, 6);
-- From 18 on a column may be virtual, and a CHECK name it.
DO $$ BEGIN EXECUTE format('CREATE TABLE offered (hall integer, place integer, total integer GENERATED ALWAYS AS (hall * 100 + place) %s NOT NULL CHECK (total > 300))', CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END); END $$;
SELECT count(*), bool_and(total = hall * 100 + place) AS computed, min(total) > 300 AS checked FROM insight_generate('seat_twins', 100, NULL::offered, 6);
CREATE TABLE tiny (price numeric(2, 1));
SELECT count(*) FROM insight_generate('seat_twins', 1, NULL::tiny, 1);
CREATE TABLE beyond (hall integer, place never);
SELECT count(*) FROM insight_generate('seat_twins', 1, NULL::beyond, 1);
SELECT count(*) FROM insight_generate('seat_twins', 1, NULL::limited, 1, '{"total": 3}');
-- Keys of other tables: exact beyond 2^53, of two columns, and only those that are there.
CREATE TABLE makers (id bigint PRIMARY KEY);
INSERT INTO makers SELECT 9007199254740993 + 2 * i FROM generate_series(0, 19) i;
CREATE TABLE goods (maker bigint REFERENCES makers, hall integer, place integer, FOREIGN KEY (place, hall) REFERENCES seats (place, hall), weight integer);
INSERT INTO goods SELECT 9007199254740993 + 2 * (i % 20), i % 4, i % 3, i FROM generate_series(1, 600) i;
SELECT status FROM insight_train('goods', NULL, 'goods_twins', '{"algorithm": "tvae", "epochs": 60, "seed": 2}');
INSERT INTO goods SELECT * FROM insight_generate('goods_twins', 300, NULL::goods, 1);
SELECT count(*), count(DISTINCT maker) > 15 AS makers FROM goods;
SELECT measure, columns, value > 0.8 AS close FROM insight_fidelity('goods_twins', 'goods') WHERE columns = 'maker' AND measure LIKE '%complement';
DELETE FROM goods WHERE maker <> 9007199254740995;
DELETE FROM makers WHERE id <> 9007199254740995;
SELECT DISTINCT maker FROM insight_generate('goods_twins', 50, NULL::goods, 1);
SELECT count(*) FROM insight_generate('goods_twins', 5, NULL::goods, 1, '{"maker": 9007199254740997}');
SELECT count(*) FROM insight_generate('goods_twins', 5, NULL::goods, 1, '{"maker": 9007199254740995}');
-- Keys of another type, of partitioned tables, NULL that equals NULL, numbers that the server gives.
CREATE TABLE halls (id numeric PRIMARY KEY);
INSERT INTO halls SELECT i FROM generate_series(0, 8) i;
CREATE TABLE places (id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE places_0 PARTITION OF places FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE places_1 PARTITION OF places FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO places SELECT i FROM generate_series(0, 9) i;
CREATE TABLE hall_visits (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hall integer REFERENCES halls, place integer REFERENCES places, price integer);
-- Before 15 no NULL equals another.
DO $$ BEGIN EXECUTE format('ALTER TABLE hall_visits ADD UNIQUE %s (hall, place, price)', CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'NULLS NOT DISTINCT' END); END $$;
INSERT INTO hall_visits (hall, place, price) SELECT i % 9, i % 10, nullif(i, 599) FROM generate_series(0, 599) i;
SELECT status FROM insight_train('hall_visits', NULL, 'visit_twins', '{"algorithm": "tvae", "epochs": 20, "seed": 2}');
DELETE FROM hall_visits WHERE hall > 4 OR place > 5;
DELETE FROM halls WHERE id > 4;
DELETE FROM places WHERE id > 5;
INSERT INTO hall_visits OVERRIDING SYSTEM VALUE SELECT * FROM insight_generate('visit_twins', 50, NULL::hall_visits, 1);
SELECT count(*) FILTER (WHERE id > 600) AS new, max(hall) AS hall, max(place) AS place FROM hall_visits;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE moody (hall integer, place integer, price numeric, moods mood[] NOT NULL);
SELECT count(*) FROM insight_generate('seat_twins', 5, NULL::moody, 1);
-- Who may neither insert nor read learns nothing of what is there.
CREATE ROLE declared_reader;
GRANT USAGE ON SCHEMA public TO declared_reader;
SELECT insight_grant('seat_twins', 'declared_reader');
SET ROLE declared_reader;
SELECT count(*) FROM insight_generate('seat_twins', 5, NULL::full_house, 1);
RESET ROLE;
DROP OWNED BY declared_reader;
DROP ROLE declared_reader;
-- Indexes that store another type than they compare: a hash, and a gist of integers.
SET client_min_messages = warning;
CREATE EXTENSION btree_gist;
CREATE TABLE desks (desk integer, mail text, floor text, EXCLUDE USING gist (desk WITH =), EXCLUDE USING hash (mail WITH =));
INSERT INTO desks SELECT i, 'user' || i || '@example.org', (ARRAY['first', 'second'])[1 + i % 2] FROM generate_series(1, 200) i;
SELECT status FROM insight_train('desks', NULL, 'desks', '{"algorithm": "tvae", "epochs": 5}');
INSERT INTO desks SELECT * FROM insight_generate('desks', 150, NULL::desks, 3);
SELECT count(*), count(DISTINCT desk) AS desks, count(DISTINCT mail) AS mails FROM desks;
-- A grantee does not run what the owner of the parents' table has put into its constraints.
DROP ROLE IF EXISTS keeper;
CREATE ROLE keeper NOLOGIN;
GRANT CREATE ON SCHEMA public TO keeper;
SET ROLE keeper;
CREATE FUNCTION looked(integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''run by %'', current_user; END';
CREATE TABLE stages (id integer PRIMARY KEY, size integer);
CREATE TABLE shows (id integer PRIMARY KEY, stage integer REFERENCES stages, price numeric);
INSERT INTO stages SELECT i, i % 7 FROM generate_series(1, 100) i;
INSERT INTO shows SELECT i, 1 + i % 100, i % 9 FROM generate_series(1, 300) i;
SELECT status FROM insight_train('stages', NULL, 'stages', '{"algorithm": "tvae", "epochs": 3, "children": {"shows": {}}}');
ALTER TABLE stages ADD CHECK (looked(size)) NOT VALID;
RESET ROLE;
CREATE TABLE guest_shows (id integer, stage integer, price numeric);
SELECT count(*) FROM insight_generate('stages', 5, NULL::guest_shows, 1);
SET ROLE keeper;
SELECT count(*) FROM insight_generate('stages', 5, NULL::stages, 1);
RESET ROLE;
ALTER TABLE stages DROP CONSTRAINT stages_size_check, ADD CHECK (size >= 0);
SELECT count(*) > 0 AS some FROM insight_generate('stages', 5, NULL::guest_shows, 1);
ALTER TABLE stages RENAME TO former_stages;
SET client_min_messages = notice;
SELECT count(*) > 0 AS some FROM insight_generate('stages', 5, NULL::guest_shows, 1);
