"""Tables of django-celery-beat, as `manage.py dumpdata django_celery_beat` writes them (celery.schedules.crontab)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moving.entries import Entry, read_json, safely, zone_of

_APP = "django_celery_beat."
_PERIODS = {"minutes": 1, "hours": 60, "days": 1440}
Rows = Mapping[tuple[str, Any], dict[str, Any]]


def read(text: str) -> Iterator[Entry]:
    """The periodic tasks of a dump. Raises `Nothing to import` for what is none."""
    told = read_json(text)
    rows: dict[tuple[str, Any], dict[str, Any]] = {}
    for one in told if isinstance(told, list) else []:
        if isinstance(one, dict) and isinstance(one.get("fields"), dict):
            rows[str(one.get("model", "")).removeprefix(_APP), str(one.get("pk"))] = one["fields"]
    for (model, key), fields in rows.items():
        if model == "periodictask":
            yield safely(_entry, f"task {key}"[:80], key, fields, rows)


def _entry(key: str, fields: dict[str, Any], rows: Rows) -> Entry:
    name = str(fields.get("name") or f"task {key}")
    entry = Entry(f"task {key}", name, "").with_change(f"the task {str(fields.get('task'))[:100]} is not run")
    if fields.get("enabled") is False:
        entry = entry.with_change("it is disabled")
    if fields.get("start_time") or fields.get("expires"):
        entry = entry.with_change("its start and end date are not taken over")
    if fields.get("one_off"):
        return entry.with_problem("it runs once: plan a single run of a job")
    crontab = rows.get(("crontabschedule", str(fields.get("crontab"))))
    interval = rows.get(("intervalschedule", str(fields.get("interval"))))
    if crontab:
        return _of_crontab(entry, crontab)
    if interval:
        return _of_interval(entry, interval)
    return entry.with_problem("it follows the sun or a clocked time, which no cron expression does")


def _of_crontab(entry: Entry, crontab: dict[str, Any]) -> Entry:
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    parts = [str(crontab.get(name, "*")).replace(" ", "") for name in names]
    written = " ".join(parts)
    entry = entry._replace(schedule=written, cron=written, zone=zone_of(str(crontab.get("timezone") or "UTC")))
    if not parts[2].startswith("*") and not parts[4].startswith("*"):
        return entry.with_problem("Celery asks for both its day of the month and its weekday, crontab(5) for either")
    return entry


def _of_interval(entry: Entry, interval: dict[str, Any]) -> Entry:
    period, every = str(interval.get("period")), interval.get("every")
    entry = entry._replace(schedule=f"every {every} {period}", zone="UTC")
    minutes = _PERIODS.get(period, 0) * every if isinstance(every, int) and every > 0 else 0
    entry = entry.with_change("an interval counts from the run before; the job has fixed times")
    if 0 < minutes < 60 and 60 % minutes == 0:
        return entry._replace(cron=f"*/{minutes} * * * *" if minutes > 1 else "* * * * *")
    if minutes and minutes % 60 == 0 and 24 % (minutes // 60) == 0:
        hours = minutes // 60
        return entry._replace(cron="0 0 * * *" if hours == 24 else f"0 */{hours} * * *" if hours > 1 else "0 * * * *")
    return entry.with_problem(f"an interval of {every} {period} has no fixed times")
