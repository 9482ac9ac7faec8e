"""What most commands need first: settings whose URLs are filled in, and a migrated database."""

from core.settings import Settings, settings
from db.schema import migrate
from scripts import embedded


def connected(*, start: bool = True) -> Settings:
    """The settings with the embedded servers' addresses where none are set; starts them when they are down.

    Raises InputError when the servers can't be had or the database is not ours.
    """
    environment = embedded.resolve(settings(), start=start)
    loaded = settings().model_copy(update={name.lower(): value for name, value in environment.items()})
    migrate(loaded.database_url)
    return loaded
