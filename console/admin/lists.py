"""What the lists of jobs and executions have beyond Django's: tabs with counts, saved views, chips of linked
filters.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.expressions import OrderBy
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from accounts.permissions import require_login
from console.models import SavedView


class ExactPaginator(Paginator[Any]):
    """Pages with the exact number of rows, which for the whole list is kept instead of counted."""

    whole: int | None = None
    object_list: Any

    @cached_property
    def count(self) -> int:
        return int(self.object_list.count()) if self.whole is None else self.whole


class NullsLast(ExpressionWrapper[F]):
    """A column whose empty values come last in both directions."""

    def __init__(self, column: str) -> None:
        super().__init__(F(column), output_field=DateTimeField())

    def asc(self, **kwargs: Any) -> OrderBy:
        return super().asc(nulls_last=True)

    def desc(self, **kwargs: Any) -> OrderBy:
        return super().desc(nulls_last=True)


class ConsoleChangeList(ChangeList):  # type: ignore[misc]  # unfold has no types
    """A list with tabs and saved views."""

    tabs: list[dict[str, Any]] = []
    # Titles of filters that links set and no filter of the list shows.
    linked_titles: dict[str, Any] = {}

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
