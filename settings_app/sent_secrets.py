"""Secrets and webhook credentials as requests need them: read once for many calls, and refused for hosts and teams that
they are not for.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone

from core.api.errors import DomainError, Forbidden, invalid_field
from settings_app.models import CredentialRights, Secret, SentSecret, WebhookCredential

log = logging.getLogger("cronsched.secrets")
# Calls come in bursts; a change by another process counts after this time.
_KEPT_SECONDS = 5.0
# Secrets in use are read again before that, so that no call of a burst waits for it.
_RENEWED_EVERY_SECONDS = 2.0
# `last_used_at` is exact to this.
_USE_NOTED_EVERY = dt.timedelta(minutes=1)
_HOST = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?::[0-9]{1,5})?"
    r"|\[[0-9a-f:.]+\](?::[0-9]{1,5})?",
    re.ASCII,
)


class Refused(Exception):
    """A secret that may not be used for a call; the message says why and holds no secret."""


class Rights(NamedTuple):
    """To which hosts a secret may be sent, and for the jobs of which teams (empty: all)."""

    label: str
    hosts: tuple[str, ...]
    teams: frozenset[UUID]
    usable_by: str

    def refusal(self, host: str, port: int, team: UUID | None) -> str:
        """Why it may not be sent there for a job of this team; '' if it may."""
        if not any(_fits(pattern, host, port) for pattern in self.hosts):
            return f"{self.label} may not be sent to {host}: an admin names its hosts"
        if self.teams and team not in self.teams:
            return f"{self.label} may not be used by this PIC team: an admin names its teams"
        return ""


class StoredSecret(NamedTuple):
    """The value of a secret and its rights."""

    value: str
    rights: Rights


class StoredCredential(NamedTuple):
    """A webhook credential and its rights. `version` changes with every save."""

    id: UUID
    version: str
    kind: str
    username: str
    header_name: str
    secret: str
    previous_secret: str
    token_url: str
    scope: str
    audience: str
    client_certificate: str
    client_key: str
    ca_certificates: str
    rights: Rights

    @property
    def has_certificates(self) -> bool:
        return bool(self.client_certificate or self.ca_certificates)


_kept: dict[str | UUID, tuple[float, StoredSecret | StoredCredential]] = {}
_renewed_from: dict[str | UUID, float] = {}
_lock = threading.Lock()


def forget(**_: Any) -> None:
    """Called when secrets or their rights change in this process."""
    with _lock:
        _kept.clear()
        _renewed_from.clear()


def known(keys: Iterable[str | UUID]) -> dict[Any, Any] | None:
    """The secrets (by name) and credentials (by id) if all of them were read a moment ago; None otherwise. It never
    waits.
    """
    now = time.monotonic()
    found = {}
    for key in keys:
        at, one = _kept.get(key, (0.0, None))
        if one is None or now - at > _KEPT_SECONDS:
            return None
        found[key] = one
    return found


def need_renewal(keys: Iterable[str | UUID]) -> bool:
    """Whether `renew` is to be called for secrets that are used now: once every two seconds."""
    now = time.monotonic()
    due = [key for key in keys if now >= _renewed_from.get(key, now)]
    if due:
        with _lock:
            _renewed_from.update(dict.fromkeys(due, now + _RENEWED_EVERY_SECONDS))
    return bool(due)


def renew(keys: Iterable[str | UUID]) -> None:
    """Read secrets that are in use again, and note their use. No call waits for it: on SQLite the note waits for
    whoever writes.
    """
    keys = list(keys)
    try:
        read(keys)
    except Refused:
        # The next call says why.
        return
    for rows in _rows_of(keys):
        _note_use(rows)


def read(keys: Iterable[str | UUID]) -> dict[Any, Any]:
    """The secrets (by name) and credentials (by id), from the database. Raises `Refused` for one that is gone or cannot
    be opened.
    """
    keys = list(keys)
    found: dict[Any, Any] = {}
    try:
        for rows in _rows_of(keys):
            for row in rows.defer(None).prefetch_related("teams"):
                if isinstance(row, Secret):
                    found[row.name] = StoredSecret(row.value, rights_of(row))
                else:
                    found[row.pk] = _credential(row)
    except DomainError as exc:
        raise Refused(exc.message) from exc
    for key in keys:
        if key not in found:
            raise Refused(
                f"there is no secret '{key}'" if isinstance(key, str) else "the job's webhook credential is gone"
            )
    with _lock:
        _kept.update({key: (time.monotonic(), one) for key, one in found.items()})
    return found


def _rows_of(keys: list[str | UUID]) -> Iterator[QuerySet[Any]]:
    names = [key for key in keys if isinstance(key, str)]
    if names:
        yield Secret.objects.filter(name__in=names)
    ids = [key for key in keys if isinstance(key, UUID)]
    if ids:
        yield WebhookCredential.objects.filter(pk__in=ids)


def _note_use(rows: QuerySet[Any]) -> None:
    now = timezone.now()
    stale = rows.filter(Q(last_used_at=None) | Q(last_used_at__lt=now - _USE_NOTED_EVERY))
    try:
        if stale.exists():
            stale.update(last_used_at=now)
    except DatabaseError as exc:
        log.warning("the use of a secret could not be noted: %s", exc)


def rights_of(row: SentSecret) -> Rights:
    """The rights of a stored secret or credential."""
    label = f"the secret '{row}'" if isinstance(row, Secret) else f"the webhook credential '{row}'"
    teams = frozenset(team.pk for team in row.teams.all())
    return Rights(label, tuple(row.allowed_hosts.lower().split()), teams, row.usable_by)


def _credential(row: WebhookCredential) -> StoredCredential:
    return StoredCredential(
        row.pk,
        row.updated_at.isoformat(),
        row.kind,
        row.username,
        row.header_name,
        row.secret,
        row.previous_secret,
        row.token_url,
        row.scope,
        row.audience,
        row.client_certificate,
        row.client_key,
        row.ca_certificates,
        rights_of(row),
    )


def texts_of(one: StoredSecret | StoredCredential) -> tuple[str, ...]:
    """The secret texts, which nothing may show."""
    if isinstance(one, StoredSecret):
        return (one.value,)
    return tuple(text for text in (one.secret, one.previous_secret) if text)


def check(row: SentSecret, host: str, port: int, team: UUID | None, by: Any, *, field: str) -> None:
    """Raise `Insufficient permissions` if `by` may not use it, and `Invalid payload` naming the field if it is not for
    this host or team. `by`: None for an operator's command.
    """
    rights = rights_of(row)
    label = rights.label[0].upper() + rights.label[1:]
    if by is not None and not by.is_admin and rights.usable_by == CredentialRights.Roles.ADMINS:
        message = f"{label} is for admins: ask one of them, or choose another."
        raise Forbidden("Insufficient permissions", message, fields={field: [f"{label} is for admins."]})
    reason = rights.refusal(host, port, team)
    if reason:
        raise invalid_field(field, f"{reason[0].upper()}{reason[1:]}.")


def cleaned_hosts(text: str) -> str:
    """Patterns of hosts, one a line. Raises `Invalid payload` for a line that is none, and for none at all."""
    lines = [line.strip().lower() for line in text.splitlines() if line.strip()]
    for line in lines:
        if not _HOST.fullmatch(line):
            raise invalid_field(
                "allowed_hosts", f"'{line[:80]}' is no host: write such as api.example.com or *.example.com."
            )
    if not lines:
        raise invalid_field("allowed_hosts", "Name at least one host that it may be sent to.")
    return "\n".join(dict.fromkeys(lines))


@lru_cache(maxsize=10_000)
def _fits(pattern: str, host: str, port: int) -> bool:
    name, colon, number = pattern.rpartition(":") if re.search(r":[0-9]+\Z", pattern) else (pattern, "", "")
    if colon and int(number) != port:
        return False
    host = host.lower().rstrip(".").strip("[]")
    if name.startswith("*."):
        return host.endswith(name[1:])
    return host == name.strip("[]")
