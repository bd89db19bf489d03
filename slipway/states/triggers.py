"""The triggers by which each step, and each move of an instance, that gets on record is an event as well, in the same
statement and commit."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.model.run import NOTES

_TOLD = """
INSERT INTO events (at, began_at, type, run_id, instance_id, step, slot, attempt, host, detail) VALUES (
  CASE NEW.state
    WHEN 'intended' THEN NEW.started_at
    WHEN 'done' THEN COALESCE(NEW.finished_at, NEW.started_at)
    ELSE COALESCE(NEW.undone_at, NEW.started_at)
  END,
  NEW.started_at,
  'step.' || NEW.state, NEW.run_id, NEW.instance_id, NEW.step, NEW.slot, NEW.attempt, NEW.host, COALESCE(NEW.error, '')
);
"""

# What a domain did by itself is of no run.
_MOVED = """
INSERT INTO events (at, type, run_id, instance_id, state, detail) VALUES (
  NEW.moved_at, 'instance.' || NEW.move,
  CASE WHEN COALESCE(OLD.task_state, NEW.task_state) IS NOT NULL THEN NEW.run_id END,
  NEW.id, NEW.vm_state || '/' || COALESCE(NEW.task_state, '-'), NEW.detail
);
"""

# Whoever writes such a row tells why as well.
_WHEN = f"WHEN (NEW.kind NOT IN {NOTES})"

_SQLITE = (
    "DROP TRIGGER IF EXISTS effects_inserted",
    "DROP TRIGGER IF EXISTS effects_updated",
    f"CREATE TRIGGER effects_inserted AFTER INSERT ON effects {_WHEN} BEGIN {_TOLD} END",
    f"CREATE TRIGGER effects_updated AFTER UPDATE OF state ON effects {_WHEN} BEGIN {_TOLD} END",
    "DROP TRIGGER IF EXISTS instances_moved",
    f"CREATE TRIGGER instances_moved AFTER UPDATE OF moved_at ON instances BEGIN {_MOVED} END",
)
_POSTGRESQL = (
    f"CREATE OR REPLACE FUNCTION tell_effect() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN {_TOLD} RETURN NULL; END $$",
    "DROP TRIGGER IF EXISTS effects_told ON effects",
    "CREATE TRIGGER effects_told AFTER INSERT OR UPDATE OF state ON effects "
    f"FOR EACH ROW {_WHEN} EXECUTE FUNCTION tell_effect()",
    "CREATE OR REPLACE FUNCTION tell_moved() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN {_MOVED} RETURN NULL; END $$",
    "DROP TRIGGER IF EXISTS instances_moved ON instances",
    "CREATE TRIGGER instances_moved AFTER UPDATE OF moved_at ON instances FOR EACH ROW EXECUTE FUNCTION tell_moved()",
)


def make_triggers(tx: sa.Connection) -> None:
    """Have them as they are to be, whether there are any or not: to make a table anew takes those on it away."""
    for statement in _POSTGRESQL if tx.dialect.name == "postgresql" else _SQLITE:
        tx.exec_driver_sql(statement)
