"""The audit trail of what is not a job: accounts, labels and settings. Jobs write theirs in `jobs.history`.

It listens to what is saved, so that the API, the admin and commands leave the same trail. Secrets are told as changed, never as what they are.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import models
from django.db.models.signals import post_delete, post_save, pre_save

from accounts.models import User
from contract import caller
from contract.errors import DomainError
from jobs.models import ChangeRecord
from settings_app.models import GitHubCredential, Preferences, SlackSettings
from taxonomy.models import Category, PicTeam

SUBJECTS: dict[type[models.Model], str] = {
    User: "user",
    Category: "category",
    PicTeam: "pic_team",
    SlackSettings: "slack_settings",
    Preferences: "preferences",
    GitHubCredential: "github_credential",
}
SECRET = {"password", "webhook_url", "token", "private_key"}
_UNTOLD = {"id", "created_at", "updated_at", "last_login", "warned_at", "expires_at", "problem"}
_HIDDEN = "(hidden)"


def listen() -> None:
    """Hear of every change of the subjects."""
    for model in SUBJECTS:
        pre_save.connect(_remember, sender=model, dispatch_uid=f"audit before {model.__name__}")
        post_save.connect(_saved, sender=model, dispatch_uid=f"audit {model.__name__}")
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"audit end {model.__name__}")


def _remember(sender: type[models.Model], instance: Any, **kwargs: Any) -> None:
    try:
        stored = None if instance._state.adding else sender._default_manager.filter(pk=instance.pk).first()
    except DomainError:
        # A secret whose key is lost is about to be replaced.
        stored = None
    instance._audit_before = _values(stored) if stored else {}


def _saved(sender: type[models.Model], instance: Any, created: bool, **kwargs: Any) -> None:
    before = {} if created else instance.__dict__.pop("_audit_before", {})
    difference = {
        name: [_shown(name, before.get(name)), _shown(name, value)]
        for name, value in _values(instance).items()
        if before.get(name) != value
    }
    if difference:
        _record(instance, "created" if created else "updated", difference)


def _deleted(sender: type[models.Model], instance: Any, **kwargs: Any) -> None:
    # Preferences go with their account, of which is told.
    if not isinstance(instance, Preferences):
        _record(instance, "deleted", {})


def _record(instance: Any, kind: str, difference: dict[str, Any]) -> None:
    by = caller.user()
    ChangeRecord.objects.create(
        subject=SUBJECTS[type(instance)],
        subject_id=instance.pk if isinstance(instance.pk, UUID) else None,
        name=str(instance)[:255],
        kind=kind,
        by=by,
        by_email=by.email if by else "",
        address=caller.address() or None,
        difference=difference,
    )


def _values(instance: models.Model) -> dict[str, Any]:
    return {
        field.attname: field.value_from_object(instance)
        for field in instance._meta.concrete_fields
        if field.name not in _UNTOLD and field.attname in instance.__dict__
    }


def _shown(name: str, value: Any) -> Any:
    if name in SECRET:
        return _HIDDEN if value else ""
    return value if isinstance(value, bool | int | str | list | dict) or value is None else str(value)
