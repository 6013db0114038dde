"""Charts as numbers. Templates draw them as SVG attributes, which need no inline style and no script."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone

from executions.models import Status
from executions.statistics.queries import Run, total

# The stacking order, from the bottom.
ORDER = (Status.SUCCESS, Status.FAILED, Status.RUNNING, Status.QUEUED, Status.SKIPPED, Status.MISSED, Status.CANCELLED)
WIDTH, HEIGHT = 600, 120
_LOW, _SPARK, _LINE = 50, 20, 20


class Column(NamedTuple):
    """One period: its label, whether the axis shows the label, its counts by status, and the query of its
    executions.
    """

    label: str
    tick: str
    counts: Mapping[str, int]
    query: str = ""


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
        Column(
            f"{there:%m-%d %H:00}",
            f"{there:%H}" if there.hour % 3 == 0 else "",
            found.get(moment, {}),
            _query(moment, moment + dt.timedelta(hours=1)),
        )
        for moment, there in zip(moments, local, strict=True)
    ]


def local(moment: dt.datetime) -> str:
    """A datetime as a parameter of the list of executions."""
    return f"{moment.astimezone(settings.SCHEDULER_ZONE):%Y-%m-%dT%H:%M}"


def _query(start: dt.datetime, end: dt.datetime) -> str:
    return urlencode({"from": local(start), "to": local(end)})


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
    return [Column(f"{day:%Y-%m-%d}", f"{day:%m-%d}", by_day[day], _query(*_bounds(day))) for day in wanted]


def _bounds(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    zone = settings.SCHEDULER_ZONE
    start = dt.datetime.combine(day, dt.time(), zone)
    return start, dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone)


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
        middle, whole = round((number + 0.5) * step, 1), sum(column.counts.values())
        drawn.append({"column": column, "bars": bars, "middle": middle, "total": whole})
    return {"title": title, "columns": drawn, "most": most, "width": WIDTH, "height": HEIGHT}


def failures(columns: Sequence[Column], title: str) -> dict[str, Any]:
    """The share of failed runs in each period, on a scale of its own up to `most` percent."""
    shares = [_share(column.counts) for column in columns]
    most = max(shares, default=0.0)
    step = WIDTH / max(1, len(columns))
    drawn = []
    for number, (column, share) in enumerate(zip(columns, shares, strict=True)):
        height = max(1.0, _LOW * share / most) if share else 0.0
        bar = Bar(round(number * step + 1, 1), round(_LOW - height, 1), round(step - 2, 1), round(height, 1), "failed")
        drawn.append({"column": column, "bar": bar, "percent": round(100 * share, 1)})
    return {"title": title, "columns": drawn, "most": round(100 * most, 1), "width": WIDTH, "height": _LOW}


def _share(counts: Mapping[str, int]) -> float:
    failed = counts.get(Status.FAILED, 0)
    ended = failed + counts.get(Status.SUCCESS, 0)
    return failed / ended if ended else 0.0


def spark(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The latest runs as narrow columns in 80 x 20: the height is the duration, the colour the outcome."""
    longest = max((run.duration_seconds or 0 for run in runs), default=0) or 1
    heights = [max(3.0, _SPARK * (run.duration_seconds or 0) / longest) for run in runs]
    return [
        {"x": 4 * number, "y": round(_SPARK - height, 1), "height": round(height, 1), "status": run.status}
        for number, (run, height) in enumerate(zip(runs, heights, strict=True))
    ]


def timeline(minutes: Sequence[tuple[dt.datetime, int]]) -> dict[str, Any]:
    """The number of jobs that fire in each coming minute."""
    most = max((count for _, count in minutes), default=0)
    step = WIDTH / max(1, len(minutes))
    drawn = [
        {
            "at": moment,
            "count": count,
            "tick": f"{moment:%H:%M}" if moment.minute % 10 == 0 else "",
            "query": urlencode(
                {"date": f"{moment:%Y-%m-%d}", "at": (at := moment.hour * 60 + moment.minute), "until": at}
            ),
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


def strip(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The runs of a job, oldest first, for a strip of links: outcome, start and height from 0.2 to 1 by duration."""
    longest = max((run.duration_seconds or 0 for run in runs), default=0) or 1
    return [{"run": run, "height": round(22 * max(0.2, (run.duration_seconds or 0) / longest), 1)} for run in runs]


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed; None without values."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def durations(runs: Sequence[Run]) -> dict[str, Any]:
    """The durations of a job's latest runs as bars, with the median and the 95th percentile as lines."""
    timed = [(run, run.duration_seconds) for run in runs if run.duration_seconds is not None]
    values = [seconds for _run, seconds in timed]
    longest = max(values, default=0.0) or 1.0
    step = WIDTH / max(1, len(timed))
    bars = [
        {
            "run": run,
            "bar": Bar(
                round(number * step + 1, 1),
                round(HEIGHT - (height := max(2.0, HEIGHT * seconds / longest)), 1),
                round(max(1.0, min(step - 2, 24)), 1),
                round(height, 1),
                run.status,
            ),
        }
        for number, (run, seconds) in enumerate(timed)
    ]
    marks: list[dict[str, Any]] = []
    for label, seconds in (("p95", percentile(values, 0.95)), ("p50", percentile(values, 0.5))):
        if seconds is not None:
            y = round(HEIGHT - HEIGHT * seconds / longest, 1)
            # The text of the second line is never on that of the first.
            text_y = max(y, marks[0]["text_y"] + _LINE) if marks else y
            marks.append({"label": label, "seconds": seconds, "y": y, "text_y": text_y})
    return {"bars": bars, "marks": marks, "width": WIDTH, "height": HEIGHT, "longest": longest if values else None}


PASSED, FAILED = "passed", "failed"
# The colour of each count; the others are neutral.
_COUNTED = {PASSED: Status.SUCCESS, FAILED: Status.FAILED}


def counts(told: Sequence[tuple[Run, Mapping[str, int]]]) -> dict[str, Any]:
    """The numbers that runs told, such as of tests passed and failed, as stacked bars, oldest first."""
    most = max((sum(found.values()) for _, found in told), default=0)
    step = WIDTH / max(1, len(told))
    width = round(max(1.0, min(step - 2, 24)), 1)
    drawn = []
    for number, (run, found) in enumerate(told):
        bars, y = [], float(HEIGHT)
        for name in sorted(found, key=lambda one: (one not in _COUNTED, one != PASSED, one)):
            if found[name]:
                # Three failures of a thousand must be seen.
                height = max(4.0 if name == FAILED else 1.0, HEIGHT * found[name] / most)
                y -= height
                kind = _COUNTED.get(name, Status.SKIPPED)
                bars.append(Bar(round(number * step + 1, 1), round(y, 1), width, round(height, 1), kind))
        drawn.append({"run": run, "bars": bars, "words": ", ".join(f"{found[name]} {name}" for name in found)})
    return {"runs": drawn, "most": most, "width": WIDTH, "height": HEIGHT}
