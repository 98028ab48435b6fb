"""Structured logs: one JSON object a line, or one readable line, to standard error or to a file that is kept short.

Message and names of extra fields are fixed text; what varies is a field. No argument, token or content is logged.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from aos.telemetry.metrics import LOG_LINES

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Size at which a log file is put aside; the last one put aside is kept."""
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_QUIET: Final = (
    "uvicorn", "gunicorn", "asyncio", "psycopg.pool", "psycopg_pool", "django", "aiohttp", "celery", "kombu", "amqp"
)  # fmt: skip


def configure_logging(*, level: str, form: str, process: str, file: Path | None = None) -> None:
    """Send every log record of this process to `file`, or to standard error; `form` is `json` or `text`."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file is not None:
        handler = RotatingFileHandler(file, maxBytes=FILE_BYTES_MAX, backupCount=1, encoding="utf-8")
    handler.setFormatter(JsonLines(process) if form == "json" else TextLines(process))
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    handler.addFilter(_count)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("django.request").setLevel(logging.ERROR)  # a caller's mistake is answered, not logged
    logging.captureWarnings(True)


class JsonLines(logging.Formatter):
    """A record as one JSON object: time (RFC 3339, UTC), level, process, logger, message, then its extra fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        found: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """A record as one line for people, extra fields at its end."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with a traceback below it where there is one."""
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        line = f"{_time(record)} {record.levelname.lower():8} {self._process} {record.getMessage()}{extra}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _count(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.WARNING:
        LOG_LINES.labels(record.levelname.lower()).inc()
    return True


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}
