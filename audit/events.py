"""Security events in the audit trail: what happens to logins, tokens and second factors, what leaves the product, and
what is tried. Each is stored, and logged as `cronsched.audit` for programs that collect logs.

They stand beside the records of changes (`audit.listener`): an event has no values before and after.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any
from uuid import UUID

from audit.models import ChangeRecord
from core.runtime import request_context

log = logging.getLogger("cronsched.audit")
SUBJECT = "security"


class Event(StrEnum):
    """What happened, as it is stored in `ChangeRecord.kind`."""

    LOGIN = "login"
    LOGIN_FAILED = "login failed"
    LOGIN_LIMITED = "login limit reached"
    LOGOUT = "logout"
    LOGIN_ENDED = "login ended"
    SIGN_ON_REFUSED = "sign-on refused"
    FACTOR_SET_UP = "second factor set up"
    FACTOR_REMOVED = "second factor removed"
    FACTOR_REFUSED = "second factor refused"
    TOKEN_MADE = "token made"  # noqa: S105
    TOKEN_REVOKED = "token revoked"  # noqa: S105
    TEST_RUN = "test run"
    WORKFLOW_ENABLED = "workflow enabled"
    CREDENTIAL_CHECKED = "credential checked"
    WORKFLOW_CHECKED = "workflow checked"
    EXPORTED = "exported"
    LINK_MADE = "set-password link made"
    ACKNOWLEDGED = "acknowledged"
    REENCRYPTED = "secrets encrypted again"


def note(event: Event, name: str, *, by: Any = None, about: UUID | None = None, **details: Any) -> None:
    """Store and log an event about `name` (an account, a token, a target ...), with plain `details` without secrets.

    `by`: who caused it; the user of the current request by default. `about`: the id of the account or object.
    """
    by = by or request_context.user()
    record = ChangeRecord.objects.create(
        subject=SUBJECT,
        subject_id=about,
        name=name[:255],
        kind=event.value,
        by=by,
        by_email=by.email if by else "",
        address=request_context.address() or None,
        difference={key: [None, value] for key, value in details.items()},
    )
    log.info("%s", event.value, extra={"event": event.value, "by": record.by_email, "about": record.name, **details})
