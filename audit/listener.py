"""Records changes of registered models, whichever way they are saved: API, admin or command.

Each app registers its own models when it starts. Jobs are not registered: `jobs.change_log` records their changes in
batches. Secrets are recorded as changed, never with their values.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.utils import translation

from audit.models import ChangeRecord
from core.api.errors import DomainError
from core.runtime import request_context

_NEVER_RECORDED = {"id", "created_at", "updated_at"}
_HIDDEN = "(hidden)"
_MOST_NAMES = 100


class _Audited(NamedTuple):
    """How changes of a model are recorded."""

    subject: str
    secrets: frozenset[str]
    ignored: frozenset[str]
    creations: bool


_models: dict[type[models.Model], _Audited] = {}


def subjects() -> set[str]:
    """The names of the registered models."""
    return {one.subject for one in _models.values()}


def register(
    model: type[models.Model],
    subject: str,
    *,
    secrets: Iterable[str] = (),
    ignored: Iterable[str] = (),
    creations: bool = True,
    deletions: bool = True,
) -> None:
    """Record every change of `model` under the name `subject`.

    Values of `secrets` are masked; changes of `ignored` fields are not recorded; `creations=False` omits creations,
    for rows that a first read makes, and `deletions=False` deletions, for rows that are deleted together with another
    recorded row.
    """
    _models[model] = _Audited(subject, frozenset(secrets), frozenset(ignored) | _NEVER_RECORDED, creations)
    pre_save.connect(_before_save, sender=model, dispatch_uid=f"audit before {model.__name__}")
    post_save.connect(_after_save, sender=model, dispatch_uid=f"audit {model.__name__}")
    for field in model._meta.many_to_many:
        m2m_changed.connect(
            partial(_relation_changed, field.name), sender=getattr(model, field.name).through, weak=False,
            dispatch_uid=f"audit {model.__name__}.{field.name}",
        )  # fmt: skip
    if deletions:
        post_delete.connect(_after_delete, sender=model, dispatch_uid=f"audit end {model.__name__}")


def _before_save(sender: type[models.Model], instance: Any, **kwargs: Any) -> None:
    try:
        stored = None if instance._state.adding else sender._default_manager.filter(pk=instance.pk).first()
    except DomainError:
        # The stored secret cannot be decrypted; this save replaces it.
        stored = None
    instance._audit_before = _values(stored) if stored else {}


def _after_save(sender: type[models.Model], instance: Any, created: bool, **kwargs: Any) -> None:
    if created and not _models[type(instance)].creations:
        return
    before = {} if created else instance.__dict__.pop("_audit_before", {})
    secrets = _models[type(instance)].secrets
    difference = {
        name: [_shown(name in secrets, before.get(name)), _shown(name in secrets, value)]
        for name, value in _values(instance).items()
        if before.get(name) != value
    }
    if difference:
        _record(instance, "created" if created else "updated", difference)


def _relation_changed(field: str, instance: Any, action: str, reverse: bool, **kwargs: Any) -> None:
    """Record a change of a relation to several rows by the names of the rows before and after."""
    if reverse:
        return
    names = sorted(str(one) for one in getattr(instance, field).all())[:_MOST_NAMES]
    if action.startswith("pre_"):
        instance.__dict__.setdefault("_audit_relations", {})[field] = names
        return
    before = instance.__dict__.get("_audit_relations", {}).pop(field, [])
    if before != names:
        _record(instance, "updated", {field: [before, names]})


def _after_delete(sender: type[models.Model], instance: Any, **kwargs: Any) -> None:
    _record(instance, "deleted", {})


def _record(instance: Any, kind: str, difference: dict[str, Any]) -> None:
    by = request_context.user()
    with translation.override("en"):
        name = str(instance)[:255]
    ChangeRecord.objects.create(
        subject=_models[type(instance)].subject,
        subject_id=instance.pk if isinstance(instance.pk, UUID) else None,
        name=name,
        kind=kind,
        by=by,
        by_email=by.email if by else "",
        address=request_context.address() or None,
        difference=difference,
    )


def _values(instance: models.Model) -> dict[str, Any]:
    ignored = _models[type(instance)].ignored
    return {
        field.attname: field.value_from_object(instance)
        for field in instance._meta.concrete_fields
        if field.name not in ignored and field.attname in instance.__dict__
    }


def plain(value: Any) -> Any:
    """A value for JSON: JSON types unchanged, other types as text."""
    return value if isinstance(value, bool | int | str | list | dict) or value is None else str(value)


def _shown(is_secret: bool, value: Any) -> Any:
    if is_secret:
        return _HIDDEN if value else ""
    return plain(value)


def model_of(subject: str) -> type[models.Model] | None:
    """The registered model whose changes are recorded under this name."""
    return next((model for model, one in _models.items() if one.subject == subject), None)
