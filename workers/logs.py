"""One line a record: time, level, logger, message, then the structured fields."""

import json
import logging
import sys

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldsFormatter(logging.Formatter):
    """``2026-11-21 10:00:00 INFO core.calling call settled call_id=7 tokens=120``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the fields that ``extra`` brought."""
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD and key != "data"}
        line = super().format(record)
        return line + "".join(f" {key}={_short(value)}" for key, value in fields.items())


def configure(level: str) -> None:
    """Logs to stderr; the loud libraries only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldsFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("kombu", "amqp", "celery.pool", "asyncio", "aiohttp.access", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _short(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 500 else text[:500] + "..."
