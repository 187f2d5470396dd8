-- The ledger's tables and what keeps them append-only (docs/ledger-format.md).
-- Statements run one by one inside one migration.

CREATE TABLE ledger (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL,
  opened_at TEXT NOT NULL,
  format INTEGER NOT NULL
) STRICT;

CREATE TABLE event (
  position INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  type TEXT NOT NULL,
  revision INTEGER NOT NULL,
  recorded_at TEXT NOT NULL,
  txn TEXT NOT NULL,
  actor TEXT NOT NULL,
  header BLOB NOT NULL CHECK (length(header) <= 65535),
  leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
  UNIQUE (stream, version)
) STRICT;

CREATE TABLE payload (
  position INTEGER PRIMARY KEY REFERENCES event,
  salt BLOB,
  body BLOB,
  erased_by INTEGER REFERENCES event,
  CHECK ((body IS NULL) = (salt IS NULL)),
  CHECK ((body IS NULL) = (erased_by IS NOT NULL)),
  CHECK (salt IS NULL OR length(salt) = 32)
) STRICT;

CREATE TABLE checkpoint (
  projector TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  position INTEGER NOT NULL
) STRICT;

-- An event goes to the end and nowhere else, also when somebody says INSERT OR REPLACE.
CREATE TRIGGER event_is_next BEFORE INSERT ON event
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM event)
BEGIN SELECT raise(ABORT, 'ledger: an event is appended at the next position'); END;

CREATE TRIGGER event_id_is_new BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE id = NEW.id)
BEGIN SELECT raise(ABORT, 'ledger: an event with this id is there already'); END;

CREATE TRIGGER event_version_is_next BEFORE INSERT ON event
WHEN NEW.version IS NOT (SELECT coalesce(max(version), 0) + 1 FROM event WHERE stream = NEW.stream)
BEGIN SELECT raise(ABORT, 'ledger: an event has the next version of its stream'); END;

CREATE TRIGGER event_time_does_not_go_back BEFORE INSERT ON event
WHEN NEW.recorded_at < (SELECT recorded_at FROM event ORDER BY position DESC LIMIT 1)
BEGIN SELECT raise(ABORT, 'ledger: an event is not recorded before the last one'); END;

CREATE TRIGGER event_is_not_updated BEFORE UPDATE ON event
BEGIN SELECT raise(ABORT, 'ledger: events are never changed'); END;

CREATE TRIGGER event_is_not_deleted BEFORE DELETE ON event
BEGIN SELECT raise(ABORT, 'ledger: events are never deleted'); END;

CREATE TRIGGER payload_comes_with_its_event BEFORE INSERT ON payload
WHEN NEW.position IS NOT (SELECT max(position) FROM event)
  OR EXISTS (SELECT 1 FROM payload WHERE position = NEW.position)
BEGIN SELECT raise(ABORT, 'ledger: a payload is written once, with its event'); END;

CREATE TRIGGER payload_is_not_deleted BEFORE DELETE ON payload
BEGIN SELECT raise(ABORT, 'ledger: payloads are never deleted'); END;

-- The only change allowed: forgetting, on account of an Erased event of the same stream.
CREATE TRIGGER payload_is_only_erased BEFORE UPDATE ON payload
WHEN NEW.position IS NOT OLD.position
  OR OLD.body IS NULL
  OR NEW.body IS NOT NULL
  OR NEW.salt IS NOT NULL
  OR NOT EXISTS (
    SELECT 1 FROM event AS erasure JOIN event AS erased ON erased.stream = erasure.stream
    WHERE erasure.position = NEW.erased_by AND erasure.type = 'Erased'
      AND erased.position = OLD.position AND erasure.position > erased.position
  )
BEGIN SELECT raise(ABORT, 'ledger: a payload is only ever erased, by an Erased event'); END;

CREATE TRIGGER ledger_is_not_doubled BEFORE INSERT ON ledger
WHEN EXISTS (SELECT 1 FROM ledger)
BEGIN SELECT raise(ABORT, 'ledger: a file holds one ledger'); END;

CREATE TRIGGER ledger_is_not_updated BEFORE UPDATE ON ledger
BEGIN SELECT raise(ABORT, 'ledger: the ledger keeps its origin'); END;

CREATE TRIGGER ledger_is_not_deleted BEFORE DELETE ON ledger
BEGIN SELECT raise(ABORT, 'ledger: the ledger is not deleted'); END;
