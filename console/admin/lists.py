"""What the lists of jobs and executions have beyond Django's: tabs with counts, saved views, chips of linked
filters.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.expressions import OrderBy
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from unfold.views import ChangeList

from accounts.models import User
from accounts.permissions import require_login
from calendars.models import Calendar
from console.models import SavedView
from executions.models import Status
from jobs.models import Job
from taxonomy.models import Category, PicTeam

# What names the rows that look-ups mean.
_NAMES: dict[str, tuple[Any, str]] = {
    "job": (Job, "name"),
    "job__pic_team": (PicTeam, "name"),
    "job__category": (Category, "name"),
    "job__created_by": (User, "username"),
    "created_by__id__exact": (User, "username"),
    "calendar__id__exact": (Calendar, "name"),
}


class ExactPaginator(Paginator[Any]):
    """Pages with the exact number of rows. `known`: the number, where it is known without counting."""

    known: int | None = None
    object_list: Any

    @cached_property
    def count(self) -> int:
        return int(self.object_list.count()) if self.known is None else self.known


class NullsLast(ExpressionWrapper[F]):
    """A column whose empty values come last in both directions."""

    def __init__(self, column: str) -> None:
        super().__init__(F(column), output_field=DateTimeField())

    def asc(self, **kwargs: Any) -> OrderBy:
        return super().asc(nulls_last=True)

    def desc(self, **kwargs: Any) -> OrderBy:
        return super().desc(nulls_last=True)


def _named(lookup: str, value: str) -> str:
    """The value of a linked look-up as a person knows it."""
    if lookup.startswith(("status", "last_status")):
        return ", ".join(str(Status(one).label) for one in value.split(",") if one in Status.values)
    if lookup.startswith("is_"):
        return _("yes") if value in {"1", "True"} else _("no")
    key = "slug" if lookup.endswith("__slug") else "pk"
    model, shown = _NAMES.get(lookup.removesuffix("__slug"), (None, ""))
    try:
        return (model and model.objects.filter(**{key: value}).values_list(shown, flat=True).first()) or value
    except ValidationError:
        return value


class ConsoleChangeList(ChangeList):  # type: ignore[misc]  # unfold has no types
    """A list with tabs and saved views."""

    tabs: list[dict[str, Any]] = []

    @property
    def known_count(self) -> int | None:
        """The number of rows, if the current tab tells it."""
        current = next((tab for tab in self.tabs if tab["is_current"]), None)
        return current["count"] if current else None

    @property
    def linked_chips(self) -> list[dict[str, Any]]:
        """The filters that links have set and no filter of the list shows."""
        return [
            {"title": title, "chosen": _named(name, value), "without": self.get_query_string(remove=[name])}
            for name, title in self.model_admin.linked_lookups.items()
            if (value := self.filter_params.get(name, [""])[0])
        ]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.list_name = f"{self.opts.app_label}_{self.opts.model_name}"
        self.saved_views = list(SavedView.objects.filter(user=require_login(request), list=self.list_name))
        self.query_string = urlencode([(name, value) for name, value in request.GET.items() if name not in {"p", "e"}])

    def tab(self, title: Any, count: int, value: str, *, is_bad: bool = False) -> dict[str, Any]:
        """One tab: a value of the filter `attention`."""
        chosen = self.get_query_string({"attention": value}, ["p"]) if value else ""
        return {
            "title": title,
            "count": count,
            "url": chosen or self.get_query_string(remove=["attention", "p"]),
            "is_current": self.params.get("attention", "") == value,
            "is_bad": is_bad and bool(count),
        }
