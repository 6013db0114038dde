"""What receivers tell about work that ends later: they post progress and the end to the address that a call carries.

The first end wins. The same end again changes nothing, so that a receiver may repeat it; another is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from core.api import payload
from core.api.errors import Conflict, Forbidden, NotFound, invalid_field
from core.masking import masked_text, secret_texts, without_callbacks
from executions.delivery.carry_out import UNREADABLE, deliverable_of
from executions.models import OPEN, Execution, Report
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.targets import Outcome, Webhook
from executions.targets.webhook import callback
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
    told = _read(data, _hiding(_found(execution_id)))
    with transaction.atomic():
        execution = _found(execution_id, lock=True)
        kept = of(execution_id)
        if kept:
            # A link and counts that were told before hold until others are told.
            told = told._replace(counts=told.counts or kept.counts, url=told.url or kept.url)
        if execution.status not in OPEN:
            _refuse_unless_same(told, kept, execution)
            return execution
        Report.objects.update_or_create(pk=execution_id, defaults={**told._asdict(), "told_at": timezone.now()})
        if told.status != PROGRESS:
            store([Finished.of(execution, _outcome(told, execution), execution.worker_id)])
            execution.refresh_from_db()
    return execution


def _found(execution_id: UUID, *, lock: bool = False) -> Execution:
    rows = Execution.objects.select_related("job").filter(pk=execution_id, job__deleted_at=None)
    execution = (rows.select_for_update(of=("self",)) if lock else rows).first()
    if execution is None:
        raise NotFound("Execution not found", f"There is no execution with the id '{execution_id}'.")
    return execution


def of(execution_id: UUID) -> Report | None:
    """What was told last about an execution."""
    return Report.objects.filter(pk=execution_id).first()


def readable(report: Report, *, is_owner: bool) -> dict[str, Any]:
    """`message`, `counts`, `url` and `failures` for a reader: the values of secret-sounding names are masked; who may
    not read the job's secrets sees no query of the link, which may be a key.
    """
    return {
        "message": masked_text(report.message),
        "counts": report.counts,
        "url": report.url if is_owner else report.url.partition("?")[0].partition("#")[0],
        "failures": [_readable(one) for one in report.failures if isinstance(one, dict)],
    }


def _readable(failure: dict[str, Any]) -> dict[str, Any]:
    """A failed job of a workflow run (`executions.targets.github.failures`)."""
    return {
        "name": masked_text(str(failure.get("name", ""))),
        "step": masked_text(str(failure.get("step", ""))),
        "url": str(failure.get("url", "")),
        "annotations": [masked_text(str(one)) for one in failure.get("annotations") or ()],
    }


def _read(data: Mapping[str, Any], hide: Callable[[str], str]) -> Told:
    """What was told, checked and without secrets."""
    status = data.get("status")
    if status not in Report.State.values:
        raise invalid_field("status", "'status' must be 'success', 'failed' or 'progress'.")
    counts = {hide(name)[:_LONGEST_NAME]: number for name, number in _counts(data.get("counts")).items()}
    url = hide(_url(data.get("url")))[:_LONGEST_URL]
    return Told(status, _cut(hide(_message(data.get("message")))), counts, url)


def _message(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise invalid_field("message", "'message' must be text.")
    return (value or "").strip()


def _cut(text: str) -> str:
    """A longer message is cut, because the end that it tells must not be lost."""
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


def _hiding(execution: Execution) -> Callable[[str], str]:
    """What replaces the secrets of an execution's request, which its receiver knows, and the token itself."""
    texts: list[tuple[str, str]] = []
    for key in _secret_keys(execution):
        # One that is gone, or was changed since, can no longer be compared.
        with suppress(sent_secrets.Refused):
            for one in sent_secrets.read([key]).values():
                texts += [(text, "{{ secret }}") for text in sent_secrets.texts_of(one)]
    known = secret_texts(tuple(texts))
    return lambda text: without_callbacks(known.hide(text))


def _secret_keys(execution: Execution) -> list[str | UUID]:
    try:
        deliverable = deliverable_of(execution)
    except UNREADABLE:
        return []
    return deliverable.secret_keys if isinstance(deliverable, Webhook) else []


def _refuse_unless_same(told: Told, kept: Report | None, execution: Execution) -> None:
    is_end = kept is not None and kept.status != PROGRESS
    if not (kept and is_end and told == Told(kept.status, kept.message, kept.counts, kept.url)):
        raise Conflict("Execution already ended", f"It has ended with the status '{execution.status}'.")


def _outcome(told: Told, execution: Execution) -> Outcome:
    if told.status == SUCCESS:
        return Outcome(True, execution.response_status, told.message or execution.output)
    reason = "Its receiver says that it failed" + (f": {told.message}" if told.message else ".")
    return Outcome(False, execution.response_status, execution.output, reason)
