-- Only users are forgotten (docs/ledger-format.md): what a ledger says of its settings, its groups
-- and itself stays. Statements run one by one inside one migration.

-- Streams of users begin with User-, and no others are from there up to the next text, User. .
-- Compared without a function, which a connection could define otherwise.
CREATE TRIGGER event_erases_a_user BEFORE INSERT ON event
WHEN NEW.type = 'Erased' AND NOT (NEW.stream >= 'User-' AND NEW.stream < 'User.')
BEGIN SELECT raise(ABORT, 'ledger: only the stream of a user is erased'); END;

-- As before, and the stream is a user's: also on account of an Erased event that was there already.
DROP TRIGGER payload_is_only_erased;

CREATE TRIGGER payload_is_only_erased BEFORE UPDATE ON payload
WHEN NEW.position IS NOT OLD.position
  OR OLD.body IS NULL
  OR NEW.body IS NOT NULL
  OR NEW.salt IS NOT NULL
  OR NOT EXISTS (
    SELECT 1 FROM event AS erasure JOIN event AS erased ON erased.stream = erasure.stream
    WHERE erasure.position = NEW.erased_by AND erasure.type = 'Erased'
      AND erased.position = OLD.position AND erasure.position > erased.position
      AND erasure.stream >= 'User-' AND erasure.stream < 'User.'
  )
BEGIN SELECT raise(ABORT, 'ledger: a payload is only ever erased, by an Erased event'); END;
