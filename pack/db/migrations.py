"""The schema, as numbered steps. A step that was released is never changed: the next one changes what it made.

Designed for 10^8 metric points: runs and metric keys are small integers, a point is one narrow row in the order in
which a history is read, and the latest value of each metric has a table of its own with the index that search orders
by. Times are milliseconds since 1970; ids that people see are text, ids that tables join by are integers.
"""

from __future__ import annotations

_RECORD = (
    "CREATE TABLE pack_schema (version INTEGER PRIMARY KEY)",
    """CREATE TABLE experiments (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, artifact_location TEXT NOT NULL,
        lifecycle_stage TEXT NOT NULL, creation_time INTEGER NOT NULL, last_update_time INTEGER NOT NULL)""",
    """CREATE TABLE experiment_tags (
        experiment INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE, key TEXT NOT NULL,
        value TEXT NOT NULL, PRIMARY KEY (experiment, key)) WITHOUT ROWID""",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE,
        experiment INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE, name TEXT NOT NULL,
        user_id TEXT NOT NULL, status TEXT NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER,
        lifecycle_stage TEXT NOT NULL, deleted_time INTEGER, artifact_uri TEXT NOT NULL, owner TEXT)""",
    "CREATE INDEX runs_by_experiment ON runs (experiment, lifecycle_stage, id)",
    "CREATE INDEX runs_with_owner ON runs (status) WHERE owner IS NOT NULL AND status = 'RUNNING'",
    """CREATE TABLE params (
        run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (run, key)) WITHOUT ROWID""",
    "CREATE INDEX params_by_value ON params (key, substr(value, 1, 64), run)",
    """CREATE TABLE run_tags (
        run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (run, key)) WITHOUT ROWID""",
    "CREATE TABLE metric_keys (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE metrics (
        run INTEGER NOT NULL, key INTEGER NOT NULL, step INTEGER NOT NULL, timestamp INTEGER NOT NULL,
        value REAL NOT NULL, is_nan INTEGER NOT NULL,
        PRIMARY KEY (run, key, step, timestamp, value, is_nan)) WITHOUT ROWID""",
    """CREATE TABLE latest_metrics (
        run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key INTEGER NOT NULL, step INTEGER NOT NULL,
        timestamp INTEGER NOT NULL, value REAL NOT NULL, is_nan INTEGER NOT NULL,
        PRIMARY KEY (run, key)) WITHOUT ROWID""",
    "CREATE INDEX latest_by_value ON latest_metrics (key, is_nan, value, run)",
    """CREATE TABLE logged_models (
        id INTEGER PRIMARY KEY AUTOINCREMENT, model_id TEXT NOT NULL UNIQUE,
        experiment INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE, name TEXT NOT NULL,
        artifact_location TEXT NOT NULL, status TEXT NOT NULL, status_message TEXT, source_run_id TEXT,
        model_type TEXT, step INTEGER NOT NULL, creation_timestamp INTEGER NOT NULL,
        last_updated_timestamp INTEGER NOT NULL, lifecycle_stage TEXT NOT NULL)""",
    "CREATE INDEX logged_models_by_run ON logged_models (source_run_id, name)",
    """CREATE TABLE logged_model_params (
        model INTEGER NOT NULL REFERENCES logged_models(id) ON DELETE CASCADE, key TEXT NOT NULL,
        value TEXT NOT NULL, PRIMARY KEY (model, key)) WITHOUT ROWID""",
    """CREATE TABLE logged_model_tags (
        model INTEGER NOT NULL REFERENCES logged_models(id) ON DELETE CASCADE, key TEXT NOT NULL,
        value TEXT NOT NULL, PRIMARY KEY (model, key)) WITHOUT ROWID""",
    """INSERT INTO experiments (id, name, artifact_location, lifecycle_stage, creation_time, last_update_time)
        VALUES (0, 'Default', '', 'active', strftime('%s', 'now') * 1000, strftime('%s', 'now') * 1000)""",
)
_REGISTRY = (
    """CREATE TABLE registered_models (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL,
        creation_timestamp INTEGER NOT NULL, last_updated_timestamp INTEGER NOT NULL,
        last_version INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE registered_model_tags (
        model INTEGER NOT NULL REFERENCES registered_models(id) ON DELETE CASCADE, key TEXT NOT NULL,
        value TEXT NOT NULL, PRIMARY KEY (model, key)) WITHOUT ROWID""",
    """CREATE TABLE model_versions (
        model INTEGER NOT NULL REFERENCES registered_models(id) ON DELETE CASCADE, version INTEGER NOT NULL,
        creation_timestamp INTEGER NOT NULL, last_updated_timestamp INTEGER NOT NULL, description TEXT NOT NULL,
        user_id TEXT NOT NULL, stage TEXT NOT NULL, source TEXT NOT NULL, storage_location TEXT NOT NULL,
        run_id TEXT, run_link TEXT, model_id TEXT, digest TEXT, status TEXT NOT NULL, status_message TEXT,
        PRIMARY KEY (model, version)) WITHOUT ROWID""",
    """CREATE TABLE model_version_tags (
        model INTEGER NOT NULL, version INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (model, version, key),
        FOREIGN KEY (model, version) REFERENCES model_versions(model, version) ON DELETE CASCADE) WITHOUT ROWID""",
    """CREATE TABLE aliases (
        model INTEGER NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (model, alias),
        FOREIGN KEY (model, version) REFERENCES model_versions(model, version)) WITHOUT ROWID""",
    """CREATE TABLE alias_log (
        id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, alias TEXT NOT NULL, from_version INTEGER,
        to_version INTEGER, user_id TEXT NOT NULL, timestamp INTEGER NOT NULL, reason TEXT)""",
    "CREATE INDEX alias_log_by_model ON alias_log (model, alias, id)",
)
# Search by time, lineage, metrics of models, and a trash that empties.
_COMPLETE = (
    "DROP INDEX runs_by_experiment",
    "DROP INDEX params_by_value",
    "CREATE INDEX runs_by_start ON runs (experiment, lifecycle_stage, start_time DESC, run_id)",
    "CREATE INDEX runs_in_trash ON runs (deleted_time) WHERE lifecycle_stage = 'deleted'",
    "ALTER TABLE experiments ADD COLUMN deleted_time INTEGER",
    "ALTER TABLE logged_models ADD COLUMN deleted_time INTEGER",
    "ALTER TABLE logged_models ADD COLUMN owner TEXT",
    "CREATE INDEX logged_models_with_owner ON logged_models (status) WHERE owner IS NOT NULL AND status = 'PENDING'",
    "CREATE INDEX logged_models_by_experiment ON logged_models (experiment, lifecycle_stage, id)",
    """CREATE TABLE datasets (
        id INTEGER PRIMARY KEY, experiment INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE,
        name TEXT NOT NULL, digest TEXT NOT NULL, source_type TEXT NOT NULL, source TEXT NOT NULL, schema TEXT,
        profile TEXT, UNIQUE (experiment, name, digest))""",
    """CREATE TABLE run_datasets (
        run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        dataset INTEGER NOT NULL REFERENCES datasets(id) ON DELETE CASCADE, place INTEGER NOT NULL,
        PRIMARY KEY (run, dataset)) WITHOUT ROWID""",
    """CREATE TABLE run_dataset_tags (
        run INTEGER NOT NULL, dataset INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (run, dataset, key),
        FOREIGN KEY (run, dataset) REFERENCES run_datasets(run, dataset) ON DELETE CASCADE) WITHOUT ROWID""",
    """CREATE TABLE run_models (
        run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, model_id TEXT NOT NULL, role TEXT NOT NULL,
        step INTEGER NOT NULL, PRIMARY KEY (run, role, model_id)) WITHOUT ROWID""",
    """CREATE TABLE logged_model_metrics (
        model INTEGER NOT NULL REFERENCES logged_models(id) ON DELETE CASCADE, key INTEGER NOT NULL,
        step INTEGER NOT NULL, timestamp INTEGER NOT NULL, value REAL NOT NULL, is_nan INTEGER NOT NULL,
        run_id TEXT NOT NULL, dataset_name TEXT NOT NULL, dataset_digest TEXT NOT NULL,
        PRIMARY KEY (model, key, dataset_name, dataset_digest, step, timestamp, value, is_nan, run_id))
        WITHOUT ROWID""",
    "ALTER TABLE registered_models ADD COLUMN deleted_time INTEGER",
    "ALTER TABLE registered_models ADD COLUMN deleted_name TEXT",
    "ALTER TABLE model_versions ADD COLUMN deleted_time INTEGER",
    "CREATE INDEX model_versions_by_run ON model_versions (run_id) WHERE run_id IS NOT NULL",
    "CREATE INDEX model_versions_by_model_id ON model_versions (model_id) WHERE model_id IS NOT NULL",
    # The history of an alias belongs to the model, not to the name that it had then.
    "ALTER TABLE alias_log ADD COLUMN registered INTEGER",
    "UPDATE alias_log SET registered = (SELECT id FROM registered_models WHERE name = alias_log.model)",
    "DROP INDEX alias_log_by_model",
    "CREATE INDEX alias_log_by_model ON alias_log (registered, alias, id)",
    # What `gc` has taken out of the record and not yet off the disk; it goes on from here after a crash.
    "CREATE TABLE doomed (location TEXT PRIMARY KEY) WITHOUT ROWID",
    # What `import` has brought over, so that a second import adds nothing.
    """CREATE TABLE imported (
        origin TEXT NOT NULL, kind TEXT NOT NULL, origin_id TEXT NOT NULL, own_id TEXT NOT NULL,
        PRIMARY KEY (origin, kind, origin_id)) WITHOUT ROWID""",
)

MIGRATIONS: dict[int, tuple[str, ...]] = {1: _RECORD + _REGISTRY, 2: _COMPLETE}
LATEST = max(MIGRATIONS)
