"""The audit trail in words: what was changed or what happened, with the labels of fields instead of their names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import events
from audit.events import Event
from audit.listener import model_of
from audit.models import ChangeRecord
from jobs.models import Job

KINDS: dict[str, Any] = {
    "created": gettext_lazy("Created"),
    "updated": gettext_lazy("Changed"),
    "enabled": gettext_lazy("Enabled"),
    "disabled": gettext_lazy("Disabled"),
    "expired": gettext_lazy("Disabled by its end date"),
    "deleted": gettext_lazy("Deleted"),
    Event.LOGIN: gettext_lazy("Logged in"),
    Event.LOGIN_FAILED: gettext_lazy("Login failed"),
    Event.LOGIN_LIMITED: gettext_lazy("Login limit reached"),
    Event.LOGOUT: gettext_lazy("Logged out"),
    Event.LOGIN_ENDED: gettext_lazy("Login ended"),
    Event.SIGN_ON_REFUSED: gettext_lazy("Single sign-on refused"),
    Event.FACTOR_SET_UP: gettext_lazy("Second factor set up"),
    Event.FACTOR_REMOVED: gettext_lazy("Second factor removed"),
    Event.FACTOR_REFUSED: gettext_lazy("Second factor refused"),
    Event.TOKEN_MADE: gettext_lazy("API token made"),
    Event.TOKEN_REVOKED: gettext_lazy("API token revoked"),
    Event.TEST_RUN: gettext_lazy("Test run"),
    Event.WORKFLOW_ENABLED: gettext_lazy("Workflow enabled"),
    Event.CREDENTIAL_CHECKED: gettext_lazy("Credential checked"),
    Event.WORKFLOW_CHECKED: gettext_lazy("Workflow checked"),
    Event.EXPORTED: gettext_lazy("Exported"),
    Event.LINK_MADE: gettext_lazy("Set-password link made"),
    Event.ACKNOWLEDGED: gettext_lazy("Acknowledged"),
    Event.REENCRYPTED: gettext_lazy("Secrets encrypted again"),
}
SUBJECTS: dict[str, Any] = {"job": gettext_lazy("job"), events.SUBJECT: gettext_lazy("access")}
_DETAILS: dict[str, Any] = {
    "way": gettext_lazy("way"),
    "scope": gettext_lazy("scope"),
    "days": gettext_lazy("days"),
    "owner": gettext_lazy("owner"),
    "count": gettext_lazy("number"),
    "format": gettext_lazy("format"),
    "kind": gettext_lazy("kind"),
}


class Line(NamedTuple):
    """A changed field with its values, or a detail of an event (`before` is None)."""

    label: str
    before: str | None
    after: str


class Shown(NamedTuple):
    """A record in words. `who` is an address, or Cronsched itself."""

    at: dt.datetime
    who: str
    address: str | None
    kind: str
    lines: list[Line]


def shown(records: Iterable[ChangeRecord]) -> list[Shown]:
    """Records in words."""
    return [
        Shown(one.at, one.by_email or "Cronsched", one.address, kind_of(one), list(lines_of(one))) for one in records
    ]


def kind_of(record: ChangeRecord) -> str:
    """What happened, in words."""
    return kind_name(record.kind)


def kind_name(kind: str) -> str:
    """A kind of record in words."""
    return str(KINDS.get(kind, kind))


def subject_of(subject: str) -> str:
    """The kind of what was changed, in words."""
    model = model_of(subject)
    return str(SUBJECTS.get(subject) or (model._meta.verbose_name if model else subject))


def lines_of(record: ChangeRecord) -> Iterator[Line]:
    """The changed fields of a record, or the details of an event."""
    is_event = record.subject == events.SUBJECT
    model = Job if record.subject == "job" else model_of(record.subject)
    for name, (before, after) in record.difference.items():
        label = str(_DETAILS.get(name, name)) if is_event else _label(model, name)
        choices = {} if is_event else _choices(model, name)
        before, after = (choices.get(one, one) if isinstance(one, str) else one for one in (before, after))
        yield Line(label, None if is_event else _text(before), _text(after))


def _label(model: type[models.Model] | None, name: str) -> str:
    """The label of a field, or of the relation that a column `…_id` belongs to."""
    for known in (name, name.removesuffix("_id")):
        with suppress(FieldDoesNotExist):
            if model is not None:
                return capfirst(str(getattr(model._meta.get_field(known), "verbose_name", name)))
    return name


def _choices(model: type[models.Model] | None, name: str) -> dict[str, Any]:
    """The words of a field's values."""
    try:
        field: Any = model and model._meta.get_field(name)
    except FieldDoesNotExist:
        return {}
    return dict(getattr(field, "flatchoices", ()))


def _text(value: Any) -> str:
    if value in ("", None, [], {}):
        return "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
