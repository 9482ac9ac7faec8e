"""One line a record: time, level, logger, message, then the structured fields."""

import json
import logging
import sys
import traceback
from typing import Any

from core.errors import InputError, Unavailable

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldsFormatter(logging.Formatter):
    """``2026-11-21 10:00:00 INFO core.calling call settled call_id=7 tokens=120``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the fields that ``extra`` brought."""
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD and key != "data"}
        line = super().format(record)
        return line + "".join(f" {key}={_short(value)}" for key, value in fields.items())

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name in the class above
        """Which error where, without its words if they are not ours: they may quote a prompt or an address."""
        shown = []
        error: BaseException | None = ei[1]
        while error is not None:
            where = "".join(traceback.format_tb(error.__traceback__))
            words = f": {error}" if isinstance(error, InputError | Unavailable) else ""
            shown.append(f"{where}{type(error).__module__}.{type(error).__qualname__}{words}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nraised from:\n".join(shown)


def configure(level: str) -> None:
    """Logs to stderr; the loud libraries only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldsFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("kombu", "amqp", "celery.pool", "asyncio", "aiohttp.access", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _short(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 500 else text[:500] + "..."
