"""The validation rules of a job's fields. API, admin and CSV use them, each in its own order."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models import Q
from django.utils import timezone

from calendars.models import Calendar
from core.api import payload
from core.api.errors import Checks, Invalid, invalid_field
from jobs import request_rules
from jobs.content import LARGEST
from jobs.field_traits import JobField, Section, job_fields
from jobs.models import Job, today, zone_named
from jobs.schedules import crontab
from jobs.schedules.schedule import CronError, schedule_of
from settings_app.models import GitHubCredential
from taxonomy.models import GENERAL, Category, PicTeam

L = TypeVar("L", Category, PicTeam)
# Characters that change the direction of text (Unicode, UAX 9), with which a name can read otherwise than it is.
_TURNS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MOST_ADDRESSES = 20
_BAD_CRON = "Invalid cron expression"
_MIDNIGHT = re.compile(r"[ T]0?0:00(:00)?$")
# Finds a label by slug or display name.
Called: TypeAlias = Callable[[str], L | None]


def name(value: Any, *, job: Job | None = None) -> str:
    """Validate a name: not blank, not used by another job."""
    text = name_text(value)
    others = Job.objects.exclude(pk=job.pk) if job else Job.objects.all()
    if others.filter(name=text).exists():
        raise duplicate_name(text)
    return text


def name_text(value: Any) -> str:
    """Validate the text of a name: not blank."""
    text = payload.text(value, "name", limit=255)
    if not text:
        raise invalid_field("name", "Write a name for the job.", error="Job name cannot be empty")
    if any(unicodedata.category(one) in {"Cc", "Zl", "Zp"} or one in _TURNS for one in text):
        raise invalid_field("name", "The name holds line breaks or control characters: write it in one line.")
    return text


def duplicate_name(text: str) -> Invalid:
    return invalid_field(
        "name", f'A job named "{text}" already exists. Choose another name.', error="Duplicate job name"
    )


def cron(value: Any, *, field: str = "cron_expression") -> str:
    """Validate a cron expression by itself, without a calendar, that fires at least once; returns it trimmed."""
    text = cron_text(value, field=field)
    try:
        schedule_of(text).next(timezone.now())
    except CronError as exc:
        raise invalid_field(field, str(exc), error=_BAD_CRON) from exc
    return text


def cron_text(value: Any, *, field: str = "cron_expression") -> str:
    """Validate the text of a cron expression, which may need a calendar (`schedule`); returns it trimmed."""
    # Japanese input methods write full-width digits and asterisks.
    text = unicodedata.normalize("NFKC", payload.text(value, field, limit=255, error=_BAD_CRON))
    try:
        crontab.parse(text)
    except CronError as exc:
        raise invalid_field(field, str(exc), error=_BAD_CRON) from exc
    # One spelling, because the leader looks for it.
    return crontab.MANUALLY if text.lower() == crontab.MANUALLY else text


def schedule(job: Job, *, field: str = "cron_expression") -> None:
    """Check that a job's schedule fires at all, by its expression, zone, calendar and rule for closed days; a job
    without fire times of its own need not.
    """
    if job.every_nth > 1 and job.counted_from is None:
        raise invalid_field("counted_from", "Say from which date the days are counted, such as 2026-12-04.")
    try:
        if not job.schedule.tab.is_manual:
            job.schedule.next(timezone.now())
    except CronError as exc:
        raise invalid_field(field, str(exc), error=_BAD_CRON) from exc


def time_zone(value: Any) -> str:
    """Validate an IANA time zone; blank is the scheduler's."""
    text = payload.text(value, "time_zone", limit=64)
    try:
        zone_named(text)
    except CronError as exc:
        raise invalid_field("time_zone", str(exc)) from exc
    return text


def zone_of(data: Mapping[str, Any], job: Job | None = None) -> ZoneInfo | None:
    """The zone of a new or changed job; None, the scheduler's, if what is sent is no zone."""
    try:
        return zone_named(str(data.get("time_zone", job.time_zone if job else "") or ""))
    except CronError:
        return None


def calendar(value: Any) -> Calendar | None:
    """Find a calendar by slug or name; blank is none."""
    text = payload.text(value, "calendar", limit=100)
    found = Calendar.objects.filter(Q(slug=text) | Q(name=text)).first() if text else None
    if text and found is None:
        raise invalid_field("calendar", f"There is no calendar '{text[:60]}'.")
    return found


def category(value: Any, *, current: Category | None = None, called: Called[Category] | None = None) -> Category:
    """Find a category by slug or display name; blank means General. The job's current category is accepted even if it
    is disabled.
    """
    text = payload.text(value, "category", limit=100, error="Invalid category") or GENERAL
    found = _label(called or Category.objects.called, text, current)
    if found is None:
        raise invalid_field("category", f"Unknown category '{text}'. Choose one that exists.", error="Invalid category")
    if not found.is_active and found != current:
        raise invalid_field(
            "category", f"The category '{found.name}' is disabled. Choose an active one.", error="Invalid category"
        )
    return found


def pic_team(value: Any, *, current: PicTeam | None = None, called: Called[PicTeam] | None = None) -> PicTeam:
    """Find a PIC team by slug or display name. The job's current team is accepted even if it is disabled."""
    error = "Invalid PIC team"
    text = payload.text(value, "pic_team", limit=100, error=error)
    if not text:
        raise invalid_field("pic_team", "PIC team is required. Send 'pic_team' with its slug or name.", error=error)
    found = _label(called or PicTeam.objects.called, text, current)
    if found is None:
        raise invalid_field("pic_team", f"Unknown PIC team. There is no team '{text}': create it first.", error=error)
    if not found.is_active and found != current:
        raise invalid_field(
            "pic_team", f"PIC team is disabled. Enable '{found.name}' or choose another team.", error=error
        )
    return found


def _label(called: Called[L], text: str, current: L | None) -> L | None:
    return current if current is not None and text in {current.slug, current.name} else called(text)


def metadata(value: Any, *, error: str = "Invalid metadata") -> dict[str, Any]:
    """Validate a JSON object (RFC 8259) that can be stored and sent: 64-bit numbers, no single surrogates, no NUL."""
    data = payload.mapping(value, "metadata", error=error)
    try:
        text = orjson.dumps(data)
    except (TypeError, ValueError) as exc:
        raise invalid_field("metadata", f"'metadata' cannot be sent as JSON: {exc}.", error=error) from exc
    if len(text) > LARGEST:
        raise invalid_field(
            "metadata",
            f"'metadata' is too large: {len(text):,} bytes as JSON; {LARGEST // 1024} KiB are allowed.",
            error=error,
        )
    if b"\\u0000" in text or orjson.loads(text) != data:
        raise invalid_field("metadata", "'metadata' may hold neither the NUL character nor NaN.", error=error)
    return data


def emails(value: Any) -> list[str]:
    """Validate a list of e-mail addresses; duplicates are removed."""
    error, field = "Invalid notification_emails", "notification_emails"
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid_field(field, "Send a list of e-mail addresses.", error=error)
    found: dict[str, None] = {}
    for item in value:
        address = payload.text(item, field, limit=254, error=error)
        try:
            validate_email(address)
        except ValidationError:
            raise invalid_field(field, f"'{address[:60]}' is not a valid e-mail address.", error=error) from None
        if not _is_allowed(address):
            domains = ", ".join(settings.MAIL_ALLOWED_DOMAINS)
            raise invalid_field(field, f"'{address[:60]}' is outside of the domains {domains}.", error=error)
        found[address] = None
    if len(found) > _MOST_ADDRESSES:
        raise invalid_field(
            field, f"At most {_MOST_ADDRESSES} addresses are allowed; use a mailing list for more.", error=error
        )
    return list(found)


def _is_allowed(address: str) -> bool:
    domain = address.rpartition("@")[2].lower()
    allowed = settings.MAIL_ALLOWED_DOMAINS
    return not allowed or any(domain == one or domain.endswith(f".{one}") for one in allowed)


def end_date(
    value: Any, *, current: dt.date | None = None, spreadsheet: bool = False, zone: ZoneInfo | None = None
) -> dt.date:
    """Validate an end date: today in the job's zone (by default the scheduler's) or later, or the job's current one.

    `spreadsheet` also accepts months and days with one digit.
    """
    error, field = "Invalid end_date", "end_date"
    text = payload.text(value, field, limit=255, error=error)
    try:
        if spreadsheet:
            # A spreadsheet program may add midnight to a date.
            text = _MIDNIGHT.sub("", text)
            text = "-".join(part.zfill(2) for part in text.split("-"))
        if len(text) != 10:
            raise ValueError(text)
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise invalid_field(field, "Write the last day as YYYY-MM-DD.", error=error) from None
    now = today(zone)
    if day != current and day < now:
        raise invalid_field(field, f"The end date {day} has passed. Write today ({now}) or a later day.", error=error)
    return day


def mail(data: Mapping[str, Any], job: Job | None = None) -> dict[str, Any]:
    """Validate the three mail columns. Addresses and `notify_on_success` are kept only while mail is enabled."""
    addresses = emails(data.get("notification_emails"))
    enabled = job.enable_email_notifications if job else False
    on_success = job.notify_on_success if job else False
    if data.get("enable_email_notifications") is not None:
        enabled = payload.boolean(data["enable_email_notifications"], "enable_email_notifications")
    if data.get("notify_on_success") is not None:
        on_success = payload.boolean(data["notify_on_success"], "notify_on_success")
    if job and "notification_emails" not in data:
        addresses = job.notification_emails
    return {
        "enable_email_notifications": enabled,
        "notification_emails": addresses if enabled else [],
        "notify_on_success": on_success and enabled,
    }


def policies(data: Mapping[str, Any], *, start_before: dt.date | None) -> dict[str, Any]:
    """Validate the policies that were sent.

    Policies are the declared fields without a rule of their own, `start_date`, `github_credential`, `time_zone`,
    `calendar` and those of the request. None leaves a policy unchanged, but clears dates, `calendar` and texts.
    """
    values: dict[str, Any] = {}
    checks = Checks()
    for field in job_fields():
        with checks.check():
            if not field.traits.rule and field.name in data:
                values |= _policy(field, data[field.name])
    with checks.check():
        if "start_date" in data:
            values["start_date"] = _start_date(data["start_date"], start_before)
    with checks.check():
        if "github_credential" in data:
            name = payload.text(data["github_credential"], "github_credential", limit=100)
            values["github_credential"] = _credential(name) if name else None
    with checks.check():
        if "time_zone" in data:
            values["time_zone"] = time_zone(data["time_zone"])
    with checks.check():
        if "calendar" in data:
            values["calendar"] = calendar(data["calendar"])
    for field in _request_fields():
        with checks.check():
            if field.traits.rule and field.name in data:
                values[field.name] = getattr(request_rules, field.name)(data[field.name])
    checks.finish()
    return values


def request(data: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the settings of a request that were sent, and those that its variables depend on."""
    wanted = {field.name for field in _request_fields()} | {"time_zone", "calendar", "github_ref"}
    return policies({name: value for name, value in data.items() if name in wanted}, start_before=None)


def _request_fields() -> list[JobField]:
    return [field for field in job_fields() if field.traits.section is Section.REQUEST]


def _policy(field: JobField, value: Any) -> dict[str, Any]:
    """Validate one policy by its column's type and its traits; {} if it stays unchanged."""
    name, column, traits = field
    if isinstance(column, models.CharField) and not column.choices:
        return {name: payload.text(value, name, limit=column.max_length or 255)}
    if isinstance(column, models.DateField):
        return {name: _day(value, name)}
    if value is None:
        return {}
    if traits.bounds:
        return {name: payload.whole(value, name, *traits.bounds)}
    if traits.choices:
        if not isinstance(value, list):
            raise invalid_field(name, f"Send a list of {', '.join(traits.choices.values)}.")
        return {name: list(dict.fromkeys(_choice(item, name, traits.choices.values) for item in value))}
    if column.choices:
        return {name: _choice(value, name, [str(one) for one, _ in column.flatchoices])}
    return {name: payload.boolean(value, name)}


def _credential(name: str) -> GitHubCredential:
    found = GitHubCredential.objects.defer("token", "private_key").filter(name=name).first()
    if found is None:
        raise invalid_field("github_credential", f"There is no GitHub credential '{name[:60]}'.")
    return found


def _choice(value: Any, field: str, choices: list[str]) -> str:
    if value not in choices:
        raise invalid_field(field, f"'{field}' must be one of {', '.join(choices)}.")
    return str(value)


def _start_date(value: Any, end: dt.date | None) -> dt.date | None:
    day = _day(value, "start_date")
    if day is not None and end is not None and day > end:
        raise invalid_field("start_date", f"The start date {day} comes after the end date {end}.")
    return day


def _day(value: Any, field: str) -> dt.date | None:
    """A day; blank is None. The year is from 1990 to 2200."""
    text = payload.text(value, field, limit=255)
    if not text:
        return None
    try:
        if len(text) != 10:
            raise ValueError(text)
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise invalid_field(field, "Write the first day as YYYY-MM-DD.") from None
    if not 1990 <= day.year <= 2200:
        raise invalid_field(field, "The year must be from 1990 to 2200.")
    return day


def job_expired(end_date: dt.date) -> Invalid:
    return invalid_field(
        "end_date", f"The end date {end_date} has passed. Set a later end date first.", error="Job expired"
    )
