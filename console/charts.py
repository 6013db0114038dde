"""Charts as numbers. Templates draw them as SVG attributes, which need no inline style and no script."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from executions.models import Status
from executions.statistics.queries import total

# The stacking order, from the bottom.
ORDER = (Status.SUCCESS, Status.FAILED, Status.RUNNING, Status.QUEUED, Status.SKIPPED, Status.MISSED, Status.CANCELLED)
WIDTH, HEIGHT = 600, 120


class Column(NamedTuple):
    """One period: its label, whether the axis shows the label, and its counts by status."""

    label: str
    tick: str
    counts: Mapping[str, int]


class Bar(NamedTuple):
    """A rectangle and its CSS class."""

    x: float
    y: float
    width: float
    height: float
    kind: str


def hours(found: Mapping[dt.datetime, Mapping[str, int]], count: int) -> list[Column]:
    """The last hours, the current one last."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    moments = [now - dt.timedelta(hours=count - 1 - number) for number in range(count)]
    local = [moment.astimezone(settings.SCHEDULER_ZONE) for moment in moments]
    return [
        Column(f"{there:%m-%d %H:00}", f"{there:%H}" if there.hour % 3 == 0 else "", found.get(moment, {}))
        for moment, there in zip(moments, local, strict=True)
    ]


def days(found: Mapping[dt.datetime, Mapping[str, int]], count: int) -> list[Column]:
    """The last days in the scheduler's zone, today last."""
    today = timezone.now().astimezone(settings.SCHEDULER_ZONE).date()
    wanted = [today - dt.timedelta(days=count - 1 - number) for number in range(count)]
    by_day = {
        day: total(
            dict(counts) for hour, counts in found.items() if hour.astimezone(settings.SCHEDULER_ZONE).date() == day
        )
        for day in wanted
    }
    return [Column(f"{day:%Y-%m-%d}", f"{day:%m-%d}", by_day[day]) for day in wanted]


def stacked(columns: Sequence[Column], title: str) -> dict[str, Any]:
    """Stacked columns of outcomes."""
    most = max((sum(column.counts.values()) for column in columns), default=0)
    step = WIDTH / max(1, len(columns))
    drawn = []
    for number, column in enumerate(columns):
        bars, y = [], float(HEIGHT)
        for status in ORDER:
            if count := column.counts.get(status, 0):
                height = max(1.0, HEIGHT * count / most)
                y -= height
                bars.append(Bar(round(number * step + 1, 1), round(y, 1), round(step - 2, 1), round(height, 1), status))
        drawn.append({"column": column, "bars": bars, "middle": round((number + 0.5) * step, 1)})
    return {"title": title, "columns": drawn, "most": most, "width": WIDTH, "height": HEIGHT}


def timeline(minutes: Sequence[tuple[dt.datetime, int]]) -> dict[str, Any]:
    """The number of jobs that fire in each coming minute."""
    most = max((count for _, count in minutes), default=0)
    step = WIDTH / max(1, len(minutes))
    drawn = [
        {
            "at": moment,
            "count": count,
            "tick": f"{moment:%H:%M}" if moment.minute % 10 == 0 else "",
            "middle": round((number + 0.5) * step, 1),
            "bar": Bar(
                round(number * step + 0.5, 1),
                round(60 - (height := max(2.0, 60 * count / most) if count else 0), 1),
                round(step - 1, 1),
                round(height, 1),
                "expected",
            ),
        }
        for number, (moment, count) in enumerate(minutes)
    ]
    return {"minutes": drawn, "most": most, "width": WIDTH, "height": 60, "total": sum(count for _, count in minutes)}
