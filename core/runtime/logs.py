"""Log formats for people and machines (`LOG_FORMAT`); each line about an execution carries its id."""

from __future__ import annotations

import datetime as dt
import logging
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from pythonjsonlogger.json import JsonFormatter

from core.runtime.signed_addresses import without_tokens

# The id of the execution that is being carried out; '' outside of one.
execution: ContextVar[UUID | str] = ContextVar("execution", default="")


class ExecutionId(logging.Filter):
    """Adds the attribute `execution` to each record, unless the caller set it (`extra`)."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "execution"):
            record.execution = str(execution.get())
        return True


class RefusedRequests(logging.Filter):
    """A request that Django refuses as suspicious, such as one that filters by an unknown field, is an error of the
    client: one line as a warning, without a traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
        return True


class Human(logging.Formatter):
    """A readable line that begins with the local time and its offset, and ends with the id of the execution."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return dt.datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        text = without_tokens(super().format(record))
        named = getattr(record, "execution", "")
        return f"{text} [execution {named}]" if named else text


class Json(JsonFormatter):
    """One JSON object per line: `time` (RFC 3339), `level`, `logger`, `message`, `execution`, `process`, and
    `exc_info` if set.
    """

    def __init__(self, **_: Any) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}{execution}{process}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            json_ensure_ascii=False,
        )

    def format(self, record: logging.LogRecord) -> str:
        return without_tokens(super().format(record))


def configuration(style: str, level: str, file: str = "") -> dict[str, Any]:
    """The value of Django's LOGGING. `file`: a file to which the lines are appended as well."""
    formatters = {
        "human": {"()": Human, "format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"},
        "json": {"()": Json},
    }
    handlers: dict[str, Any] = {"stderr": {"class": "logging.StreamHandler"}}
    if file:
        handlers["file"] = {"class": "logging.FileHandler", "filename": file, "encoding": "utf-8"}
    for handler in handlers.values():
        handler |= {"formatter": style, "filters": ["execution", "refused"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"execution": {"()": ExecutionId}, "refused": {"()": RefusedRequests}},
        "formatters": formatters,
        "handlers": handlers,
        "root": {"handlers": list(handlers), "level": level},
        "loggers": {
            "django.server": {"handlers": [], "propagate": True},
            # 4xx answers are errors of the client.
            "django.request": {"level": "ERROR"},
            "apscheduler": {"level": "WARNING"},
            "celery": {"level": "WARNING"},
            # A queue of requests is no event by itself.
            "waitress.queue": {"level": "ERROR"},
        },
    }
