"""What receivers tell about work that ends later: they post progress and the end to the address that a call carries.

The first end wins. The same end again changes nothing, so that a receiver may repeat it; another is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from core.api import payload
from core.api.errors import Conflict, Forbidden, NotFound, invalid_field
from core.masking import secret_texts
from executions.delivery.carry_out import target_of
from executions.models import OPEN, Execution, Report
from executions.recording import Finished, store
from executions.targets import Outcome, Webhook
from executions.targets.webhook import callback
from jobs.content import Content
from settings_app import sent_secrets

PROGRESS, SUCCESS = Report.State.PROGRESS.value, Report.State.SUCCESS.value
_LONGEST_MESSAGE, _LONGEST_URL = 1000, 2048
_MOST_COUNTS, _LONGEST_NAME, _LARGEST_COUNT = 20, 40, 2**31 - 1


class Told(NamedTuple):
    """What a receiver tells. `message` and `url` may be ''; `counts` are numbers by name."""

    status: str
    message: str
    counts: dict[str, int]
    url: str


def take(token: str, data: Mapping[str, Any]) -> Execution:
    """Store what a receiver tells about the execution of this token; returns the execution as it is then.

    Raises `Invalid callback` for a token that is not ours, `Execution not found`, `Invalid payload`, and `Execution
    already ended` for anything but the same end again.
    """
    try:
        execution_id = callback.execution_of(token)
    except ValueError:
        raise Forbidden(
            "Invalid callback", f"This address is none that Cronsched has sent in {callback.HEADER}."
        ) from None
    told = _read(data)
    with transaction.atomic():
        locked = Execution.objects.select_for_update(of=("self",)).select_related("job")
        execution = locked.filter(pk=execution_id, job__deleted_at=None).first()
        if execution is None:
            raise NotFound("Execution not found", f"There is no execution with the id '{execution_id}'.")
        told = _without_secrets(told, execution)
        if execution.status not in OPEN:
            _refuse_unless_same(told, execution)
            return execution
        _keep(told, execution_id)
        if told.status != PROGRESS:
            store([Finished.of(execution, _outcome(told, execution), execution.worker_id)])
            execution.refresh_from_db()
    return execution


def of(execution_id: UUID) -> Report | None:
    """What was told last about an execution."""
    return Report.objects.filter(pk=execution_id).first()


def _read(data: Mapping[str, Any]) -> Told:
    status = data.get("status")
    if status not in Report.State.values:
        raise invalid_field("status", "'status' must be 'success', 'failed' or 'progress'.")
    return Told(status, _message(data.get("message")), _counts(data.get("counts")), _url(data.get("url")))


def _message(value: Any) -> str:
    """The message; a longer one is cut, because the end that it tells must not be lost."""
    if value is not None and not isinstance(value, str):
        raise invalid_field("message", "'message' must be text.")
    text = (value or "").replace("\x00", "").encode(errors="replace").decode().strip()
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 1]}…"


def _counts(value: Any) -> dict[str, int]:
    found = payload.mapping(value, "counts")
    if len(found) > _MOST_COUNTS:
        raise invalid_field("counts", f"At most {_MOST_COUNTS} counts are kept; these are {len(found)}.")
    for name, number in found.items():
        if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            raise invalid_field("counts", f"A name of 'counts' must have 1 to {_LONGEST_NAME} characters.")
        payload.whole(number, f"counts.{name}", 0, _LARGEST_COUNT)
    return found


def _url(value: Any) -> str:
    text = payload.text(value, "url", limit=_LONGEST_URL)
    if text and not text.lower().startswith(("http://", "https://")):
        raise invalid_field("url", "'url' must be an address of http or https.")
    return text


def _without_secrets(told: Told, execution: Execution) -> Told:
    """What was told without the secrets of the execution's request, which its receiver knows."""
    try:
        deliverable = target_of(execution).delivery(
            Content.of_stored(execution.job, execution.overrides or {}), execution.job
        )
        keys = deliverable.secret_keys if isinstance(deliverable, Webhook) else []
        found = sent_secrets.read(keys) if keys else {}
    except (ValueError, sent_secrets.Refused):
        # One that is gone can no longer be compared.
        return told
    texts = [text for one in found.values() for text in sent_secrets.texts_of(one)]
    hide = secret_texts(tuple((text, "{{ secret }}") for text in texts)).hide
    names = {hide(name)[:_LONGEST_NAME]: number for name, number in told.counts.items()}
    return Told(told.status, hide(told.message)[:_LONGEST_MESSAGE], names, hide(told.url)[:_LONGEST_URL])


def _refuse_unless_same(told: Told, execution: Execution) -> None:
    kept = of(execution.pk)
    if kept and told.status != PROGRESS:
        told = told._replace(counts=told.counts or kept.counts)
        if told == Told(kept.status, kept.message, kept.counts, kept.url):
            return
    raise Conflict("Execution already ended", f"It has ended with the status '{execution.status}'.")


def _keep(told: Told, execution_id: UUID) -> None:
    kept = {"status": told.status, "message": told.message, "url": told.url, "told_at": timezone.now()}
    # Counts that were told before hold until others are told.
    if told.counts:
        kept["counts"] = told.counts
    Report.objects.update_or_create(pk=execution_id, defaults=kept)


def _outcome(told: Told, execution: Execution) -> Outcome:
    if told.status == SUCCESS:
        return Outcome(True, execution.response_status, told.message or execution.output)
    reason = (
        f"Its receiver says that it failed: {told.message}" if told.message else "Its receiver says that it failed."
    )
    return Outcome(False, execution.response_status, execution.output, f"{reason} {told.url}".strip())
