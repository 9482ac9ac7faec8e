"""The demo's database: the tables that our own, Celery's and Flower's schemas give, without rows."""

from typing import Any

from celery.backends.database.session import SessionManager
from celery.events import state

from db.exhibit import connect_args, create_database, create_table
from db.schema import migrate

_NAME = "llmsweep_demo_tables"


def show_tables(server_url: str) -> str:
    """Makes the database beside ours, once, and returns its URL. Raises InputError."""
    url = create_database(server_url, _NAME)
    migrate(url)
    # Celery's result tables, as its database backend makes them.
    sessions = SessionManager()
    engine = sessions.get_engine(url, connect_args=connect_args("celery"))
    sessions.prepare_models(engine)
    engine.dispose()
    # Flower has no tables of its own: it keeps Celery's event state (in memory, or in a shelve file).
    kept: Any = state  # its type stubs know no fields
    create_table(url, "flower", "tasks", kept.Task._fields)
    create_table(url, "flower", "workers", kept.Worker._fields)
    return url
