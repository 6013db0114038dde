"""Findings on an installation: the problem and its remedy in plain words."""

from __future__ import annotations

import datetime as dt
import shutil
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.core.checks import run_checks
from django.core.mail import get_connection
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from core.api.errors import DomainError
from core.db.encryption import UndecryptableError, encrypted_fields
from core.findings import Finding, Level
from core.runtime import files
from core.runtime.readiness import database_problem
from executions.celery_backend import dispatch
from executions.models import Worker
from executions.recording.worker import STALE_SECONDS
from executions.targets import installed_kinds
from jobs.models import Job
from notifications.models import Message, MessageStatus
from scheduler.leadership import own_settings
from scheduler.models import Leadership, LeaderTerm
from scheduler.services import backlog
from settings_app.models import CredentialRights, EnvironmentToken, GitHubCredential, SlackSettings

_SKEW_SECONDS = 1.0
_FREE_BYTES = 500 * 2**20


def examine(*, online: bool = False) -> Iterator[Finding]:
    """Run every check; `online` includes mail server and GitHub. Without a database, checks that need it are left
    out. Nothing is written.
    """
    yield from _settings()
    yield from _unknown_settings()
    if not settings.CRONSCHED_DATA_DIR.is_dir() or (connection.vendor == "sqlite" and not _sqlite_file().is_file()):
        words = f"Nothing is set up in {settings.CRONSCHED_DATA_DIR}."
        yield Finding("database", "bad", words, "Run './cronschedctl run', or 'manage.py setup'.")
        return
    yield from _disk()
    yield from _files()
    problem = database_problem()
    if problem:
        yield Finding("database", "bad", problem, "Start it, or correct DATABASE_URL; then run 'manage.py setup'.")
        return
    yield Finding("database", "ok", f"{connection.vendor}, up to date")
    checks: list[Callable[[], Iterator[Finding]]] = [
        _clock,
        _leader,
        _leader_settings,
        _execution,
        _proxies,
        _secrets,
        _credentials,
        _targets,
        _slack,
        _messages,
    ]
    if online:
        checks += [_mail, _targets_online]
    for check in checks:
        yield from check()


def _settings() -> Iterator[Finding]:
    warnings = [one for one in run_checks(include_deployment_checks=True) if not one.is_silenced()]
    for one in warnings:
        yield Finding("settings", "bad", " ".join(one.msg.split()), " ".join((one.hint or "").split()) or one.id or "")
    if settings.EXPOSE_ERROR_DETAILS:
        yield Finding("settings", "bad", "Errors show their details to clients.", "Set EXPOSE_ERROR_DETAILS=false.")
    if not settings.HTTPS and settings.HOST not in {"127.0.0.1", "localhost", "::1"}:
        yield Finding(
            "settings",
            "note",
            "Served to the network without TLS.",
            "Put a proxy with TLS in front, and set HTTPS=true.",
        )
    if settings.HTTPS and "localhost" in settings.PUBLIC_URL:
        yield Finding(
            "settings", "bad", "Links in messages lead to localhost.", "Set PUBLIC_URL to this server's address."
        )
    if not warnings:
        yield Finding("settings", "ok", "no warnings")


def _unknown_settings() -> Iterator[Finding]:
    """Typing errors in .env."""
    for name, like in settings.ENVIRONMENT.unknown().items():
        remedy = f"Did you mean {like}?" if like else "Remove it, or see .env.example for the names."
        yield Finding("settings", "bad", f"{name} in .env is not a setting of Cronsched.", remedy)


def _sqlite_file() -> Path:
    return Path(str(settings.DATABASES["default"]["NAME"]))


def _leader_settings() -> Iterator[Finding]:
    """Settings that the running leader has and this shell does not see, or sees otherwise."""
    leadership = Leadership.current()
    if not leadership.is_live or not leadership.settings:
        return
    here = own_settings()
    odd = [name for name, value in leadership.settings.items() if here.get(name) != value]
    if odd:
        told = ", ".join(f"{name}={leadership.settings[name]} (here {here.get(name, '')})" for name in odd[:5])
        yield Finding(
            "settings",
            "note",
            f"The running scheduler has other settings than this shell: {told}",
            "Write them into .env, which both see. What follows is checked with this shell's.",
        )


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(settings.CRONSCHED_DATA_DIR).free
    level: Level = "bad" if free < _FREE_BYTES else "ok"
    yield Finding(
        "disk", level, f"{free // 2**20} MiB free in the data directory", "Make room." if level == "bad" else ""
    )


def _files() -> Iterator[Finding]:
    folder = settings.CRONSCHED_DATA_DIR
    if files.is_open_to_others(folder):
        yield Finding(
            "files",
            "note",
            "Every user of this machine may look into the data directory; its files are private.",
            f"chmod 0700 {folder}",
        )


def _clock() -> Iterator[Finding]:
    """Compare the database's clock with ours."""
    if connection.vendor != "postgresql":
        return
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        there: dt.datetime = cursor.fetchone()[0]
    here = before + (timezone.now() - before) / 2
    skew = abs((there - here).total_seconds())
    remedy = "Let both machines keep time by NTP (chrony, systemd-timesyncd)." if skew > _SKEW_SECONDS else ""
    yield Finding("clock", "bad" if remedy else "ok", f"{skew:.2f} s from the database's", remedy)


def _leader() -> Iterator[Finding]:
    leadership, due = Leadership.current(), backlog()
    if not leadership.is_live:
        seen = f"since {leadership.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC" if leadership.heartbeat_at else "yet"
        yield Finding(
            "leader", "bad", f"No scheduler leads {seen}: no job fires.", "Start one: 'manage.py runscheduler'."
        )
    else:
        yield Finding("leader", "ok", f"{leadership.leader_id} with fencing token {leadership.fencing_token}")
    if due and leadership.is_live:
        yield Finding(
            "backlog",
            "note",
            f"{due} jobs are due and not yet fired",
            "Check again; if it grows, read the leader's log.",
        )
    hour = timezone.now() - dt.timedelta(hours=1)
    changes = LeaderTerm.objects.filter(started_at__gte=hour).count()
    if changes > 5:
        yield Finding(
            "leader",
            "bad",
            f"The leader changed {changes} times in an hour.",
            "Read the schedulers' logs: the database or the host is too slow, or they crash.",
        )


def _execution() -> Iterator[Finding]:
    alive = Worker.objects.filter(heartbeat_at__gte=timezone.now() - dt.timedelta(seconds=STALE_SECONDS)).count()
    if settings.EXECUTION_BACKEND == "local":
        yield Finding("execution", "ok", "the scheduler makes the calls itself")
        return
    if connection.vendor == "sqlite":
        yield Finding(
            "execution",
            "note",
            "Celery workers share one SQLite file.",
            "Move to PostgreSQL: 'manage.py movedata --to URL'.",
        )
    waiting = dispatch.waiting_messages()
    if waiting is None:
        yield Finding(
            "broker", "bad", "The broker does not answer: executions wait.", "Start it, or correct BROKER_URL."
        )
    else:
        yield Finding("broker", "ok", f"{waiting} messages wait")
    if alive:
        yield Finding("workers", "ok", f"{alive} processes with an engine are alive")
    else:
        yield Finding("workers", "bad", "No worker is alive: executions wait.", "Start some: 'manage.py runworker'.")


def _proxies() -> Iterator[Finding]:
    if settings.HTTPS and not settings.TRUSTED_PROXIES:
        yield Finding(
            "proxy",
            "note",
            "HTTPS is on, so a proxy stands in front, but TRUSTED_PROXIES is not set: audit and login throttle see "
            "the proxy's address.",
            "Set TRUSTED_PROXIES to the proxy's address.",
        )


def _secrets() -> Iterator[Finding]:
    """Decrypt every stored secret."""
    found = [finding for model, name in encrypted_fields() if (finding := _lost_key(model, name))]
    yield from found or [Finding("secrets", "ok", "all stored secrets can be decrypted")]


def _lost_key(model: type[Model], name: str) -> Finding | None:
    try:
        # A value is decrypted when it is read.
        for _value in model._default_manager.exclude(**{name: ""}).values_list(name).iterator():
            continue
    except UndecryptableError as exc:
        remedy = "Add the old key to CRONSCHED_ENCRYPTION_KEYS, behind the new one."
        return Finding("secrets", "bad", f"{model._meta.verbose_name}: {exc.message}", remedy)
    return None


def _credentials() -> Iterator[Finding]:
    """GitHub tokens with which every user may start every workflow that they reach."""
    wide = {"usable_by": CredentialRights.Roles.USERS, "repositories": ""}
    names = [f"'{name}'" for name in GitHubCredential.objects.filter(**wide).values_list("name", flat=True)]
    names += ["GITHUB_TOKEN"] if settings.GITHUB_TOKEN and EnvironmentToken.objects.filter(**wide).exists() else []
    if names:
        yield Finding(
            "credentials",
            "note",
            f"Every user may start any workflow that these tokens reach: {', '.join(names[:5])}",
            "Name their repositories, or keep them to admins, in the admin under GitHub credentials and GITHUB_TOKEN.",
        )


def _targets() -> Iterator[Finding]:
    odd = Job.objects.active().exclude(problem="").count()
    if odd:
        yield Finding(
            "targets", "bad", f"{odd} active jobs cannot be fired.", "See the admin's list of jobs, 'cannot be fired'."
        )
    found = [finding for kind in installed_kinds() for finding in kind.findings()]
    yield from found
    if not odd and not found:
        yield Finding("targets", "ok", "every active job can be fired")


def _targets_online() -> Iterator[Finding]:
    for kind in installed_kinds():
        yield from kind.online_findings()


def _slack() -> Iterator[Finding]:
    try:
        slack = SlackSettings.objects.first()
    except DomainError:
        return
    if slack is None or not slack.is_enabled:
        asking = Job.objects.active().filter(alert_slack=True).count()
        remedy = "Switch Slack on in the admin, or the jobs' alerts off." if asking else ""
        yield Finding("Slack", "note" if asking else "ok", f"off; {asking} active jobs ask for it", remedy)
    elif not slack.webhook_url:
        yield Finding("Slack", "bad", "on, without a webhook URL", "Store one in the admin.")
    else:
        yield Finding("Slack", "ok", "on")


def _messages() -> Iterator[Finding]:
    failed = Message.objects.filter(status=MessageStatus.FAILED).count()
    late = Message.objects.filter(status=MessageStatus.PENDING, attempts__gt=2).count()
    if failed or late:
        yield Finding(
            "messages",
            "bad",
            f"{failed} were given up, {late} are tried again and again",
            "Their last error is in the admin, under Messages.",
        )
    else:
        yield Finding("messages", "ok", "none is stuck")


def _mail() -> Iterator[Finding]:
    if not settings.MAIL_ENABLED:
        asking = Job.objects.active().filter(enable_email_notifications=True).count()
        yield Finding(
            "mail",
            "note" if asking else "ok",
            f"off; {asking} active jobs ask for it",
            "Set MAIL_ENABLED=true and MAIL_SERVER." if asking else "",
        )
        return
    mail = get_connection(fail_silently=False)
    try:
        mail.open()
        mail.close()
    except (OSError, smtplib.SMTPException) as exc:
        yield Finding(
            "mail",
            "bad",
            f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} does not take mail: {exc}",
            "Correct the MAIL_ settings.",
        )
    else:
        yield Finding("mail", "ok", f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} answers")
