"""The address at which a receiver tells how its work goes on: signed, for one execution alone."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.core import signing

from core.runtime.signed_addresses import CALLBACKS

HEADER = "X-Cronsched-Callback"
_SALT = "executions.callback"


def token_of(execution_id: UUID) -> str:
    """The last part of the address. It says which execution it is for, and is the same whenever it is asked for."""
    return signing.Signer(salt=_SALT, sep=".").sign(str(execution_id))


def address_of(execution_id: UUID) -> str:
    """The whole address."""
    return f"{settings.PUBLIC_URL}{CALLBACKS}{token_of(execution_id)}"


def execution_of(token: str) -> UUID:
    """The execution that a token is for. Raises `ValueError` for one that was not signed here."""
    try:
        return UUID(signing.Signer(salt=_SALT, sep=".").unsign(token))
    except signing.BadSignature as exc:
        raise ValueError("the token is not signed by this installation") from exc
