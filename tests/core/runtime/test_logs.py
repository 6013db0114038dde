"""Log lines for people and for machines."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from typing import Any

import pytest

from core.runtime import logs

pytestmark = pytest.mark.django_db


def line(style: str, execution: str = "", **extra: Any) -> str:
    stream = io.StringIO()
    made = logs.configuration(style, "INFO")["formatters"][style]
    factory = made.pop("()")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(factory(made["format"], style="{") if made else factory())
    handler.addFilter(logs.ExecutionId())
    record = logging.LogRecord("cronsched.x", logging.WARNING, "f", 1, "日本 %s", ("語",), None)
    record.__dict__.update(extra)
    token = logs.execution.set(execution)
    try:
        handler.handle(record)
    finally:
        logs.execution.reset(token)
    return stream.getvalue().strip()


def test_log_lines_carry_the_execution() -> None:
    assert line("human").endswith("WARNING cronsched.x: 日本 語")
    assert line("human", "some-id").endswith("日本 語 [execution some-id]")
    told = json.loads(line("json", "some-id"))
    assert (told["level"], told["logger"], told["message"], told["execution"]) == (
        "WARNING",
        "cronsched.x",
        "日本 語",
        "some-id",
    )
    assert dt.datetime.fromisoformat(told["time"]).tzinfo
    assert json.loads(line("json", extra="x", execution="other"))["execution"] == "other"
