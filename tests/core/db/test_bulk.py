"""Many rows by one statement."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from core.db import bulk
from executions.models import Execution, Rollup
from jobs.models import Job

pytestmark = pytest.mark.django_db
COLUMNS = (
    "id", "job", "status", "trigger_type", "started_at", "scheduled_for", "execution_type", "target", "error_message",
    "output", "attempts", "overrides",
)  # fmt: skip
NOON = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)


def rows(job: Job, count: int, target: str = "https://x.example.com/") -> list[tuple[Any, ...]]:
    """Values of `COLUMNS`."""
    return [
        (
            uuid.uuid4(),
            job.pk,
            "running",
            "scheduled",
            NOON,
            NOON + dt.timedelta(minutes=number),
            "webhook",
            f"{target}{number}",
            "",
            "",
            [{"status": number}],
            None if number % 2 else {"a": "ü"},
        )
        for number in range(count)
    ]


@pytest.fixture(params=[None, 2])
def _rows_a_statement(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setattr(bulk, "_SQLITE_PARAMETERS", request.param * len(COLUMNS))
        monkeypatch.setattr(bulk, "_POSTGRESQL_ROWS", request.param)


@pytest.mark.usefixtures("_rows_a_statement")
def test_what_exists_is_skipped_and_not_counted(make_job: Callable[..., Job]) -> None:
    made = rows(make_job(), 5)
    assert bulk.insert_new(Execution, COLUMNS, made[:3]) == 3
    assert bulk.insert_new(Execution, COLUMNS, made) == 2
    stored = Execution.objects.order_by("scheduled_for").values_list(*COLUMNS)
    assert list(stored) == made


def test_nothing_needs_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert bulk.insert_new(Execution, COLUMNS, []) == 0
        bulk.update_many(Execution, ("status",), ("id",), [])
        bulk.add_up(Rollup, ("job", "hour", "kind"), ("success",), [])


@pytest.mark.usefixtures("_rows_a_statement")
def test_rows_are_updated_by_their_keys_under_a_condition(make_job: Callable[..., Job]) -> None:
    made = rows(make_job(), 4)
    bulk.insert_new(Execution, COLUMNS, made)
    Execution.objects.filter(pk=made[3][0]).update(status="failed")
    changes = [("success", [number], NOON, row[0], "webhook") for number, row in enumerate(made)]
    columns, keys = ("status", "attempts", "completed_at"), ("id", "execution_type")
    bulk.update_many(Execution, columns, keys, changes, condition="AND status = 'running'")
    found = Execution.objects.order_by("scheduled_for").values_list(*columns)
    assert list(found) == [*(("success", [number], NOON) for number in range(3)), ("failed", [{"status": 3}], None)]


def test_numbers_are_added_and_the_largest_is_kept(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name="a").pk, make_job(name="b").pk]
    columns = ("success", "seconds", "longest", "failed", "cancelled", "skipped", "missed", "success_seconds")
    for success, seconds, longest in [(1, 0.5, 0.5), (2, 1.0, 0.75), (3, 2.0, 0.25)]:
        bulk.add_up(
            Rollup,
            ("job", "hour", "kind"),
            columns,
            [(job, NOON, "webhook", success, seconds, longest, 0, 0, 0, 0, 0) for job in jobs],
            largest="longest",
        )
    assert list(Rollup.objects.values_list(*columns[:3])) == [(6, 3.5, 0.75)] * 2


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite stores a text of any length")
def test_a_text_that_is_too_long_is_refused_and_not_cut(make_job: Callable[..., Job]) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        bulk.insert_new(Execution, COLUMNS, rows(make_job(), 2, target="x" * 5000))
    assert not Execution.objects.exists()
