"""What most commands need first: settings whose URLs are filled in, and a migrated database."""

from core.errors import InputError, LedgerUnavailable
from core.settings import Settings, settings
from db.schema import migrate
from scripts import embedded


def connected(*, start: bool = True) -> Settings:
    """The settings with the embedded servers' addresses where none are set; starts them when they are down.

    Raises InputError when the servers can't be had or the database is not ours.
    """
    environment = embedded.resolve(settings(), start=start)
    loaded = settings().model_copy(update={name.lower(): value for name, value in environment.items()})
    try:
        migrate(loaded.database_url)
    except LedgerUnavailable as exc:
        if not settings().database_url:
            raise
        hint = "start it, correct DATABASE_URL, or unset it to use the embedded servers"
        raise InputError(f"DATABASE_URL: {exc}", hint=hint) from exc
    return loaded
