-- A store as version 1 of the schema left it: a period, and a property after it.
PRAGMA application_id = 1400136052;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE categories (
    run TEXT NOT NULL, category TEXT NOT NULL, ordinal INTEGER NOT NULL, step INTEGER NOT NULL,
    end_ns INTEGER NOT NULL, PRIMARY KEY (run, category)
) WITHOUT ROWID;
INSERT INTO "categories" VALUES('r','3DBall',1,1000,1767225610000000000);
CREATE TABLE closed (
    run TEXT NOT NULL, category TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (run, category, first)
) WITHOUT ROWID;
INSERT INTO "closed" VALUES('r','3DBall',1,1);
CREATE TABLE owner (server_id BLOB NOT NULL);
INSERT INTO "owner" VALUES(X'000102030405060708090A0B0C0D0E0F');
CREATE TABLE periods (
    position INTEGER PRIMARY KEY, run TEXT NOT NULL, category TEXT NOT NULL, ordinal INTEGER NOT NULL,
    id TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, step INTEGER NOT NULL,
    workers_reporting INTEGER NOT NULL, workers_expected INTEGER NOT NULL, late INTEGER NOT NULL,
    lost INTEGER NOT NULL, uncertain INTEGER NOT NULL, duplicates INTEGER NOT NULL,
    num_values INTEGER NOT NULL, num_series INTEGER NOT NULL, stored_ns INTEGER NOT NULL,
    has_full_dist INTEGER NOT NULL
);
INSERT INTO "periods" VALUES(1,'r','3DBall',1,'r-3DBall-1',1767225600000000000,1767225610000000000,1000,3,4,5,6,7,8,2,1,1767225700000000000,1);
CREATE TABLE plugins (
    plugin TEXT PRIMARY KEY, start INTEGER NOT NULL, active INTEGER NOT NULL, state TEXT NOT NULL,
    why TEXT NOT NULL, distribution TEXT NOT NULL, version TEXT NOT NULL, max_backlog INTEGER NOT NULL,
    max_backlog_age_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE positions (last INTEGER NOT NULL);
INSERT INTO "positions" VALUES(2);
CREATE TABLE properties (
    position INTEGER PRIMARY KEY, run TEXT NOT NULL, category TEXT NOT NULL, type TEXT NOT NULL,
    value TEXT NOT NULL, session BLOB NOT NULL, seq INTEGER NOT NULL, stored_ns INTEGER NOT NULL,
    UNIQUE (run, category, type, value)
);
INSERT INTO "properties" VALUES(2,'r','3DBall','hyperparameters','{"lr": 0.1}',X'00000000000000000000000000000000',1,1767225700000000000);
CREATE TABLE runs (
    run TEXT PRIMARY KEY, started_ns INTEGER NOT NULL, touched_ns INTEGER NOT NULL,
    closed INTEGER NOT NULL, last_position INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "runs" VALUES('r',1767225700000000000,1767225700000000000,0,2);
CREATE TABLE set_aside (
    plugin TEXT NOT NULL, run TEXT NOT NULL, idx INTEGER NOT NULL, position INTEGER NOT NULL,
    what TEXT NOT NULL, error TEXT NOT NULL, set_aside_ns INTEGER NOT NULL
);
CREATE TABLE summaries (
    period INTEGER NOT NULL, key TEXT NOT NULL, aggregation INTEGER NOT NULL, num INTEGER NOT NULL,
    mean REAL, std REAL, sum REAL, min REAL, max REAL, last REAL, num_nan INTEGER NOT NULL,
    num_inf INTEGER NOT NULL, min_worker TEXT NOT NULL, max_worker TEXT NOT NULL, exact INTEGER NOT NULL,
    mantissa_bits INTEGER NOT NULL, bucket_keys BLOB NOT NULL, bucket_counts BLOB NOT NULL,
    full_dist BLOB NOT NULL
);
INSERT INTO "summaries" VALUES(1,'loss',0,2,2.0,0.0,4.0,1.0,3.0,3.0,0,0,'w1','w2',1,7,X'81FF010041000200',X'01000000000000000100000000000000',X'000000000000F03F0000000000000840');
CREATE TABLE writers (
    plugin TEXT NOT NULL, run TEXT NOT NULL, idx INTEGER NOT NULL, position INTEGER NOT NULL,
    class TEXT NOT NULL, state TEXT NOT NULL, delivered INTEGER NOT NULL, set_aside INTEGER NOT NULL,
    skipped INTEGER NOT NULL, last_error TEXT NOT NULL, last_delivery_ns INTEGER NOT NULL,
    failures INTEGER NOT NULL, retry_ns INTEGER NOT NULL,
    PRIMARY KEY (plugin, run, idx)
) WITHOUT ROWID;
CREATE INDEX periods_of_run ON periods (run, position);
CREATE INDEX periods_by_time ON periods (stored_ns);
CREATE INDEX periods_with_full_dist ON periods (position) WHERE has_full_dist;
CREATE INDEX summaries_of_period ON summaries (period);
CREATE INDEX properties_of_run ON properties (run, position);
COMMIT;
