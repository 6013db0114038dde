"""Categories and PIC teams: the labels of jobs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

GENERAL = "general"


def slug_of(name: str) -> str:
    """The slug of a name: lower case; runs of other characters than a-z and 0-9 become one '-'; trimmed. May be ''."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class LabelQuerySet(models.QuerySet["Label"]):
    """Queries on categories and PIC teams."""

    def by_name(self) -> Self:
        return self.order_by(Lower("name"), "slug")

    def called(self, name: str) -> Any:
        """The label with this slug or, ignoring case, this display name; None if there is none."""
        name = name.strip()
        return best_match(
            name, self.filter(Q(slug=name.lower()) | Q(name__iexact=name) | Q(slug=slug_of(name) or name))
        )


def best_match(name: str, labels: Iterable[Label]) -> Any:
    """The best match among labels: by slug, else by display name ignoring case, else by the name's slug."""
    name = name.lower()
    ranked = [(label.slug != name, label.name.lower() != name, label) for label in labels]
    fitting = [found for found in ranked if not (found[0] and found[1]) or found[2].slug == (slug_of(name) or name)]
    return min(fitting, key=lambda found: found[:2], default=(None,))[-1]


class LabelBook:
    """All labels of a kind, read once, for many look-ups."""

    def __init__(self, kind: type[Label]) -> None:
        self._labels = list(kind.objects.all())
        self._known: dict[str, Any] = {}

    def called(self, name: str) -> Any:
        """Like `LabelQuerySet.called`, without a query."""
        name = name.strip()
        if name not in self._known:
            self._known[name] = best_match(name, self._labels)
        return self._known[name]


class Label(models.Model):
    """A name with a slug that is unique within its kind. Jobs keep a label that is disabled."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100)
    slug = models.CharField(
        _("slug"),
        max_length=100,
        unique=True,
        blank=True,
        help_text=_("Made from the name when left empty. a-z, 0-9 and '-'."),
    )
    is_active = models.BooleanField(
        _("enabled"), default=True, help_text=_("Jobs keep a disabled label, but it cannot be selected.")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects: ClassVar[models.Manager[Label]] = LabelQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Category(Label):
    """The purpose of a job."""

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        ordering = [Lower("name")]
        constraints = [
            models.CheckConstraint(condition=Q(slug__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$"), name="category_slug_valid"),
        ]


class PicTeam(Label):
    """The team in charge of a job."""

    slack_handle = models.CharField(
        _("slack handle"),
        max_length=100,
        blank=True,
        help_text=_("The Slack handle that messages mention, such as @qa-team or S0123ABC. Empty: no mention."),
    )
    max_concurrent = models.PositiveIntegerField(
        _("max concurrent"),
        null=True,
        blank=True,
        help_text=_("The maximum number of concurrent calls of the team's jobs. Empty: no limit."),
    )

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = [Lower("name")]
        constraints = [
            models.CheckConstraint(condition=Q(slug__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$"), name="pic_team_slug_valid"),
            models.CheckConstraint(
                condition=Q(max_concurrent__isnull=True) | Q(max_concurrent__gte=1), name="pic_team_max_concurrent"
            ),
        ]
