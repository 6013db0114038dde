"""Operations on categories and PIC teams. Each is one transaction and raises `DomainError`s."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import IntegrityError, transaction

from core.api import payload
from core.api.errors import Checks, Conflict, Invalid, NotFound, invalid_field, missing_fields
from taxonomy.models import GENERAL, Category, PicTeam, slug_of

L = TypeVar("L", Category, PicTeam)


def create(kind: type[L], data: dict[str, Any]) -> L:
    """Create a category or a PIC team from `name`, an optional `slug` and, for teams, `slack_handle`."""
    needed = ("name",) if kind is Category else ("name", "slack_handle")
    checks, texts = Checks(), dict[str, str]()
    for field in needed:
        with checks.check():
            texts[field] = payload.text(data.get(field), field, limit=100)
    with checks.check():
        if missing := [field for field in needed if texts.get(field) == ""]:
            raise missing_fields(missing)
    with checks.check():
        slug = payload.text(data.get("slug"), "slug", limit=100) or texts.get("name")
        texts["slug"] = _slug(slug) if slug else ""
    checks.finish()
    label = kind(**texts)
    with transaction.atomic():
        return _saved(label)


@transaction.atomic
def update(kind: type[L], label_id: str, data: dict[str, Any]) -> tuple[L, int]:
    """Rename, enable or disable a label. A new name changes its slug, also in the API's job list.

    Returns the label and the number of jobs whose slug changed.
    """
    label = _get(kind, label_id)
    if "slug" in data:
        raise invalid_field("slug", "The slug follows from the name: send 'name' instead.")
    old_slug = label.slug
    if data.get("name") is not None:
        _rename(label, data["name"])
    if data.get("is_active") is not None:
        label.is_active = payload.boolean(data["is_active"], "is_active")
    if isinstance(label, PicTeam) and "slack_handle" in data:
        label.slack_handle = payload.text(data["slack_handle"], "slack_handle", limit=100, error="Invalid slack_handle")
        if not label.slack_handle:
            raise invalid_field("slack_handle", "Write the team's Slack handle.", error="Invalid slack_handle")
    _keep_general(label)
    _saved(label)
    return label, label.jobs.count() if label.slug != old_slug else 0


def jobs_that_go_on(label: Category | PicTeam) -> int:
    """How many enabled jobs have a disabled label: disabling it leaves them as they are."""
    return 0 if label.is_active else label.jobs.filter(is_active=True).count()


@transaction.atomic
def disable(kind: type[L], label_id: str) -> L:
    """Disable a label. Its row stays, because jobs refer to it."""
    label = _get(kind, label_id)
    label.is_active = False
    _keep_general(label)
    label.save(update_fields=["is_active", "updated_at"])
    return label


def _get(kind: type[L], label_id: str) -> L:
    # The API answers in English in every language.
    noun = "category" if kind is Category else "PIC team"
    pk = payload.uuid_or_404(label_id, "Not found", f"There is no {noun} '{label_id}'.")
    label: L | None = kind._default_manager.select_for_update().filter(pk=pk).first()  # type: ignore[assignment]
    if label is None:
        raise NotFound("Not found", f"There is no {noun} '{label_id}'.")
    return label


def _rename(label: Category | PicTeam, name: Any) -> None:
    name = payload.text(name, "name", limit=100, error="Invalid name")
    if not name:
        raise invalid_field("name", "The name cannot be empty.", error="Invalid name")
    if isinstance(label, Category) and label.slug == GENERAL and name != label.name:
        raise Invalid("Invalid category", "The category General cannot be renamed.", fields={"name": ["Is fixed."]})
    if name != label.name:
        label.name, label.slug = name, _slug(name)


def _keep_general(label: Category | PicTeam) -> None:
    if isinstance(label, Category) and label.slug == GENERAL and not label.is_active:
        raise Invalid(
            "Invalid category",
            "The category General cannot be disabled: jobs without a category are in it.",
            fields={"is_active": ["General stays active."]},
        )


def _slug(text: str) -> str:
    slug = slug_of(text)
    if not slug:
        raise invalid_field(
            "slug", "No slug can be made of this name: send 'slug' with letters a-z or digits.", error="Invalid slug"
        )
    return slug


def _saved(label: L) -> L:
    taken = type(label)._default_manager.filter(slug=label.slug).exclude(pk=label.pk)
    try:
        with transaction.atomic():
            if not taken.exists():
                label.save()
                return label
    except IntegrityError as exc:
        raise _duplicate(label.slug) from exc
    raise _duplicate(label.slug)


def _duplicate(slug: str) -> Conflict:
    return Conflict(
        "Duplicate slug", f"The slug '{slug}' is taken: choose another name.", fields={"slug": ["Is taken."]}
    )
