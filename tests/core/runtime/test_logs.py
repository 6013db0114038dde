"""Log lines for people and for machines."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from typing import Any

import pytest
from django.test import Client

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


def test_a_filter_that_a_list_does_not_know_is_one_line(browser: Client) -> None:
    stream, handler = io.StringIO(), logging.StreamHandler()
    handler.setStream(stream)
    handler.setFormatter(logs.Human("{levelname} {name}: {message}", style="{"))
    made = logs.configuration("human", "INFO")
    for name in made["handlers"]["stderr"]["filters"]:
        handler.addFilter(made["filters"][name]["()"]())
    logging.getLogger("django.security").addHandler(handler)
    try:
        assert browser.get("/admin/jobs/job/?bogus=1").status_code == 400
    finally:
        logging.getLogger("django.security").removeHandler(handler)
    assert stream.getvalue() == ("WARNING django.security.DisallowedModelAdminLookup: Filtering by bogus not allowed\n")
