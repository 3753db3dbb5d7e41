CREATE TABLE installation (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    owner BLOB NOT NULL CHECK (length(owner) = 16),
    created_at INTEGER NOT NULL,
    term INTEGER NOT NULL CHECK (term BETWEEN 0 AND 1048575),
    version INTEGER NOT NULL
) STRICT;

CREATE TABLE namespaces (
    name TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    namespaces TEXT NOT NULL,
    scopes TEXT NOT NULL,
    allowed_cidrs TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key_secrets (
    key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    valid_until INTEGER,
    PRIMARY KEY (key_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE placements (
    space TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    store TEXT NOT NULL,
    engine TEXT NOT NULL,
    buckets INTEGER NOT NULL CHECK (buckets BETWEEN 1 AND 16384),
    traits INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    term INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE engine_opens (
    engine TEXT PRIMARY KEY,
    opens INTEGER NOT NULL,
    noted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job_runs (
    job TEXT PRIMARY KEY,
    started_at INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    items INTEGER NOT NULL,
    trouble TEXT,
    succeeded_at INTEGER,
    runs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
