"""Operations on windows. Each is one transaction, and raises a `DomainError` if it is refused."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from core.api import payload
from core.api.errors import Checks, Conflict, Forbidden, NotFound, invalid_field, missing_fields
from jobs import validation
from jobs.models import Job, Revision
from jobs.services import may_touch
from taxonomy.models import Category, Label, LabelBook, PicTeam
from windows.cover import OF_SCOPE, Cover, Inside
from windows.models import Effect, Window

# A window over every job ends by itself, so that nobody forgets it.
LONGEST_FOR_ALL = dt.timedelta(days=14)
_MOST_MINUTES = 10_080
_MOST_NAMED = 1_000


def create(data: Mapping[str, Any], *, by: User | None) -> Window:
    """Open a window from the fields of the API."""
    values, scope = clean(data)
    with transaction.atomic():
        window = Window.objects.create(**values, made_by=by)
        _store_scope(window, scope)
        Revision.bump(edited=True)
    return window


@transaction.atomic
def update(window_id: Any, data: Mapping[str, Any]) -> Window:
    """Change a window: its end, such as to renew it, or anything else."""
    window = get_window(window_id, lock=True)
    values, scope = clean(data, window)
    for name, value in values.items():
        setattr(window, name, value)
    window.save()
    _store_scope(window, scope)
    Revision.bump(edited=True)
    return window


def end(window: Window, *, by: User) -> Window:
    """End a window now; what it held is released. Raises `Window is over`."""
    if not may_end(window, by):
        raise Forbidden("Insufficient permissions", "Only who opened the window and admins may end it.")
    now = timezone.now()
    with transaction.atomic():
        stored = Window.objects.select_for_update().filter(pk=window.pk).first()
        if stored is None or (stored.ends_at is not None and stored.ends_at <= now):
            raise Conflict("Window is over", "The window has ended already.")
        if stored.starts_at >= now:
            # It has not begun: nothing was inside.
            stored.delete()
        else:
            stored.ends_at = now
            stored.save()
        Revision.bump(edited=True)
    return stored


def may_end(window: Window, user: User) -> bool:
    """Admins, and who paused jobs; not if somebody has made a freeze over all jobs of it since."""
    return user.is_admin or (window.made_by_id is not None and window.made_by_id == user.pk and not window.is_for_all)


def pause(jobs: Sequence[Job], until: dt.datetime | None, reason: str, *, by: User) -> Window:
    """Pause jobs, at most 1,000, until a time (None: until somebody ends it); their owners and admins may."""
    if not all(may_touch(job, by) for job in jobs):
        raise Forbidden("Insufficient permissions", "Only the job's creator and admins may do this.")
    what = jobs[0].name if len(jobs) == 1 else f"{len(jobs)} jobs"
    return _pause(f"Pause: {what}", {"jobs": [str(job.pk) for job in jobs]}, until, reason, by)


def pause_label(label: Label, until: dt.datetime | None, reason: str, *, by: User) -> Window:
    """Pause every job of a PIC team or a category until a time (None: until somebody ends it)."""
    scope = {"categories" if isinstance(label, Category) else "teams": [label.slug]}
    return _pause(f"Pause: {label.name}", scope, until, reason, by)


def pause_everything(until: dt.datetime, reason: str, *, by: User) -> Window:
    """Pause every job until a time, at most 14 days away."""
    return _pause("Pause of all jobs", {"is_for_all": True}, until, reason, by)


def _pause(name: str, scope: Mapping[str, Any], until: dt.datetime | None, reason: str, by: User) -> Window:
    return create({"name": name[:100], "reason": reason, "ends_at": until, **scope}, by=by)


def get_window(window_id: Any, *, lock: bool = False) -> Window:
    """The window with this id. Raises `Window not found`."""
    message = f"There is no window '{window_id}'."
    windows = Window.objects.select_for_update() if lock else Window.objects.all()
    found = windows.filter(pk=payload.uuid_or_404(window_id, "Window not found", message)).first()
    if found is None:
        raise NotFound("Window not found", message)
    return found


def covered(window: Window, jobs: QuerySet[Job]) -> int:
    """How many of some jobs a window covers."""
    cover = Cover([window])
    return sum(bool(cover.over(job)) for job in jobs.only(*OF_SCOPE).iterator(500))


def inside_now(job: Job) -> Inside | None:
    """The window that a job is inside of now."""
    return Cover.now().inside(job, timezone.now())


def clean(data: Mapping[str, Any], window: Window | None = None) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The columns and the scope of a new or changed window, or the error of every wrong field."""
    values: dict[str, Any] = {}
    scope: dict[str, list[Any]] = {}
    checks = Checks()
    with checks.check():
        if window is None and not data.get("name"):
            raise missing_fields(["name"])
    for name, limit in (("name", 100), ("reason", 200)):
        with checks.check():
            # A new window without a name is refused above; a reason may be taken away.
            if data.get(name) is not None and (data[name] or window or name == "reason"):
                values[name] = " ".join(payload.text(data[name], name, limit=limit).split())
                if name == "name" and not values[name]:
                    raise invalid_field("name", "Write a name for the window.")
    with checks.check():
        if data.get("effect") is not None:
            if data["effect"] not in Effect.values:
                raise invalid_field("effect", f"'effect' must be one of {', '.join(Effect.values)}.")
            values["effect"] = data["effect"]
    with checks.check():
        if data.get("is_for_all") is not None:
            values["is_for_all"] = payload.boolean(data["is_for_all"], "is_for_all")
    for name in ("starts_at", "ends_at"):
        with checks.check():
            if name in data and (data[name] is not None or name == "ends_at"):
                values[name] = payload.moment(data[name], name, settings.SCHEDULER_ZONE)
    with checks.check():
        values |= _recurrence(data, window)
    with checks.check():
        _check_period(values, window)
    scopes = Checks()
    for name, find in _NAMED.items():
        with scopes.check():
            if data.get(name) is not None:
                scope[name] = find(_list(data[name], name))
    for name in ("repositories", "hosts"):
        with scopes.check():
            if data.get(name) is not None:
                values[name] = [_read(one, name) for one in _list(data[name], name)]
    with checks.check():
        # What cannot be read is no missing scope.
        scopes.finish()
        _check_scope(values, scope, window)
    checks.finish()
    return values, scope


def _recurrence(data: Mapping[str, Any], window: Window | None) -> dict[str, Any]:
    if "cron_expression" not in data and "minutes" not in data:
        return {}
    stored = (window.cron_expression, window.minutes) if window else ("", 0)
    text = payload.text(data.get("cron_expression", stored[0]), "cron_expression", limit=255)
    minutes = data.get("minutes", stored[1])
    if not text:
        if minutes and "cron_expression" not in data:
            raise invalid_field("minutes", "Send 'cron_expression' too: minutes are those after each of its times.")
        return {"cron_expression": "", "minutes": 0}
    minutes = payload.whole(minutes, "minutes", 1, _MOST_MINUTES)
    return {"cron_expression": validation.cron(text), "minutes": minutes}


def _check_period(values: Mapping[str, Any], window: Window | None) -> None:
    now = timezone.now()
    start = values.get("starts_at") or (window.starts_at if window else now)
    until = values.get("ends_at", window.ends_at if window else None)
    for_all = values.get("is_for_all", window.is_for_all if window else False)
    if until is not None and until <= start:
        raise invalid_field("ends_at", "The window would end before it begins.")
    if until is not None and until <= now and (window is None or "ends_at" in values):
        raise invalid_field("ends_at", "The end has passed already.")
    if for_all and until is None:
        raise invalid_field("ends_at", "A window over all jobs needs an end, at most 14 days away.")
    if for_all and until - max(start, now) > LONGEST_FOR_ALL:
        raise invalid_field("ends_at", "A window over all jobs lasts at most 14 days; it can be renewed.")


def _check_scope(values: Mapping[str, Any], scope: Mapping[str, list[Any]], window: Window | None) -> None:
    named = any(scope.values()) or values.get("repositories") or values.get("hosts")
    for_all = values.get("is_for_all", window.is_for_all if window else False)
    kept = window is not None and (
        any(getattr(window, name).exists() for name in _NAMED if name not in scope)
        or any(getattr(window, name) for name in ("repositories", "hosts") if name not in values)
    )
    if not named and not kept and not for_all:
        raise invalid_field(
            "is_for_all", "Say which jobs: all of them, or teams, categories, repositories, hosts or jobs."
        )
    if named and for_all:
        raise invalid_field("is_for_all", "All jobs, or some teams, categories, repositories, hosts or jobs: not both.")


def _list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_NAMED:
        raise invalid_field(field, f"Send a list of at most {_MOST_NAMED}.")
    return value


def _jobs(named: list[Any]) -> list[Job]:
    """The jobs with these ids or names, in one query."""
    texts = [str(one) for one in named]
    found = list(Job.objects.filter(Q(pk__in=[payload.uuid_or_nil(one) for one in texts]) | Q(name__in=texts)))
    known = {job.name for job in found} | {str(job.pk) for job in found}
    for text in texts:
        if text not in known and str(payload.uuid_or_nil(text)) not in known:
            raise invalid_field("jobs", f"There is no job with the id or name '{text[:60]}'.")
    return found


def _labels(kind: Any, field: str) -> Any:
    def find(named: list[Any]) -> list[Any]:
        book = LabelBook(kind)
        found = [book.called(payload.text(one, field, limit=100)) for one in named]
        if None in found:
            raise invalid_field(field, f"Unknown: '{str(named[found.index(None)])[:60]}'.")
        return found

    return find


def _read(value: Any, field: str) -> str:
    """A repository or a host, also of an address."""
    text = payload.text(value, field, limit=200).strip().lower()
    address = text if "://" in text else f"//{text}"
    try:
        if field == "hosts":
            text = urlsplit(address).hostname or ""
        elif "://" in text:
            text = urlsplit(address).path.strip("/")
    except ValueError:
        text = ""
    if not _SHAPES[field].fullmatch(text):
        example = "owner/repository" if field == "repositories" else "hooks.example.com"
        raise invalid_field(field, f"'{text[:60]}' is none of the {field}: write such as {example}.")
    return text


# Names and addresses of hosts, without a port.
_SHAPES = {"repositories": re.compile(r"[\w.-]+/[\w.-]+"), "hosts": re.compile(r"[\w.-]+|[0-9a-f:.]+")}
_NAMED = {"teams": _labels(PicTeam, "teams"), "categories": _labels(Category, "categories"), "jobs": _jobs}


def _store_scope(window: Window, scope: Mapping[str, Iterable[Any]]) -> None:
    for name, chosen in scope.items():
        getattr(window, name).set(chosen)
