"""Labels: groups of calls that belong to no sweep."""

import sqlalchemy

from db.engine import transaction

_FIND = "SELECT id FROM groups WHERE group_type = 'label' AND name = %s ORDER BY id LIMIT 1"
_MAKE = "INSERT INTO groups (group_type, name, description) VALUES ('label', %s, %s) RETURNING id"


def label(engine: sqlalchemy.Engine, name: str, description: str) -> int:
    """The label's group id, made where there is none of this name. Raises LedgerUnavailable."""
    with transaction(engine) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"label {name}",))
        cursor.execute(_FIND, (name,))
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_MAKE, (name, description))
            row = cursor.fetchone()
        ((found,),) = (row,) if row is not None else ((0,),)
        return int(found)
