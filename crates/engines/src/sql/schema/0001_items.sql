-- One row: the engine's history.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    incarnation BLOB NOT NULL,
    incarnation_unsynced BLOB NOT NULL,
    opens INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    synced INTEGER NOT NULL,
    counter INTEGER NOT NULL
) STRICT;

-- Every space, with the control of its buckets that have none of their own.
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    buckets INTEGER NOT NULL,
    traits INTEGER NOT NULL,
    role INTEGER, epoch INTEGER, term INTEGER, marking INTEGER, floor INTEGER, time_floor INTEGER,
    incarnation BLOB, owner BLOB, move_id BLOB
) STRICT;

-- Buckets that have a control of their own, were carried into, or have issued a revision: the highest one known when
-- the row was written, and the term that revisions are issued in.
CREATE TABLE buckets (
    space INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    high INTEGER NOT NULL,
    issued_term INTEGER,
    role INTEGER, epoch INTEGER, term INTEGER, marking INTEGER, floor INTEGER, time_floor INTEGER,
    incarnation BLOB, owner BLOB, move_id BLOB,
    PRIMARY KEY (space, bucket)
) STRICT, WITHOUT ROWID;

-- Form 0 is an absence marker.
CREATE TABLE items (
    space INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    partition BLOB NOT NULL,
    item BLOB NOT NULL,
    form INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    base INTEGER NOT NULL,
    deadline_ms INTEGER,
    value BLOB NOT NULL,
    PRIMARY KEY (space, bucket, partition, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_by_deadline ON items (space, deadline_ms) WHERE deadline_ms IS NOT NULL;

-- Kind 1 is dirty, 2 is unchecked.
CREATE TABLE marks (
    space INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    partition BLOB NOT NULL,
    item BLOB NOT NULL,
    revision INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (space, bucket, partition, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX marks_by_kind ON marks (space, bucket, kind);
