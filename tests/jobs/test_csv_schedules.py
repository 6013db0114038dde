"""A CSV file keeps everything that decides when a job runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from calendars.models import Calendar
from jobs.models import Job, schedule_columns
from jobs.transfer.exporting import write_csv
from jobs.transfer.importing import import_jobs

pytestmark = pytest.mark.django_db
SCHEDULES: list[dict[str, Any]] = [
    {},
    {"cron_expression": "@manually"},
    {"cron_expression": "0 9 * * 5", "every_nth": 2, "counted_from": "2026-12-04", "time_zone": "Europe/Berlin"},
    {
        "cron_expression": "0 18 LB-1 * *", "calendar": "office", "on_closed_day": "previous_open", "keep_month": True,
        "shift_open_days": -2, "shift_limit_days": 5,
    },
]  # fmt: skip


def test_what_is_exported_is_imported_alike(make_job: Callable[..., Job], admin: User) -> None:
    Calendar.objects.create(name="Office", slug="office", country="JP")
    for number, fields in enumerate(SCHEDULES):
        make_job(name=f"job {number}", **fields)
    values = ("name", *(name for name in schedule_columns()))
    before = list(Job.objects.order_by("name").values_list(*values))
    file = io.StringIO()
    assert write_csv(Job.objects.select_related("category", "pic_team", "calendar"), file, reader=None) == 4
    Job.objects.all().delete()
    found = import_jobs(file.getvalue().encode(), by=admin, dry_run=False)
    assert found.errors == []
    assert list(Job.objects.order_by("name").values_list(*values)) == before


@pytest.mark.parametrize(
    ("column", "cell", "about"),
    [
        ("every_nth", "x", "every_nth"), ("every_nth", "2", "counted_from"), ("time_zone", "Mars/Base", "time_zone"),
        ("calendar", "none such", "calendar"), ("counted_from", "soon", "counted_from"),
        ("every_nth", "=1+1", "every_nth"),
    ],
)  # fmt: skip
def test_a_wrong_cell_refuses_its_row_only(
    make_job: Callable[..., Job], admin: User, column: str, cell: str, about: str
) -> None:
    make_job(name="good")
    make_job(name="bad")
    file = io.StringIO()
    write_csv(Job.objects.select_related("category", "pic_team", "calendar").order_by("name"), file, reader=None)
    lines = file.getvalue().splitlines()
    place = lines[0].replace('"', "").split(",").index(column)
    cells = lines[1].split('","')
    cells[place] = cell if place < len(cells) - 1 else f'{cell}"'
    Job.objects.all().delete()
    found = import_jobs("\n".join([lines[0], '","'.join(cells), lines[2]]).encode(), by=admin, dry_run=False)
    assert list(Job.objects.values_list("name", flat=True)) == ["good"]
    assert about in str(found.errors)
