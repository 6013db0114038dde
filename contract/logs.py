"""Logs for people or for machines (`LOG_FORMAT`): each line about an execution carries its id."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

# The execution that is being carried out here; '' outside of one.
execution: ContextVar[str] = ContextVar("execution", default="")


class ExecutionId(logging.Filter):
    """Gives each record the attribute `execution`, unless the line names one itself (`extra`)."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "execution"):
            record.execution = execution.get()
        return True


class Human(logging.Formatter):
    """A line for people; the execution's id stands at its end."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        named = getattr(record, "execution", "")
        return f"{text} [execution {named}]" if named else text


class Json(JsonFormatter):
    """One JSON object a line: `time` (RFC 3339), `level`, `logger`, `message`, `execution`, `process`, and `exc_info` where there is one."""

    def __init__(self, **_: Any) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}{execution}{process}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            json_ensure_ascii=False,
        )


def configuration(style: str, level: str) -> dict[str, Any]:
    """The value of Django's LOGGING."""
    formatters = {
        "human": {"()": Human, "format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"},
        "json": {"()": Json},
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"execution": {"()": ExecutionId}},
        "formatters": formatters,
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": style, "filters": ["execution"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"handlers": [], "propagate": True},
            # 4xx answers are the client's business, not the operator's.
            "django.request": {"level": "ERROR"},
            "apscheduler": {"level": "WARNING"},
            "celery": {"level": "WARNING"},
        },
    }
