"""The audit trail in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from audit.models import ChangeRecord
from console import records
from console.admin import columns
from core.admin import ReadOnlyAdmin
from core.sentences import said


class _NamedFilter(SimpleListFilter):
    """Records by the value of a column, under the words that the list has for it."""

    parameter_name = ""
    words: Any = None

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        values = ChangeRecord.objects.order_by().values_list(self.parameter_name, flat=True).distinct()
        return sorted(((value, type(self).words(value)) for value in values), key=lambda one: str(one[1]))

    def queryset(self, request: Any, queryset: QuerySet[ChangeRecord]) -> QuerySet[ChangeRecord]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class SubjectFilter(_NamedFilter):
    title = gettext_lazy("subject")
    parameter_name = "subject"
    words = staticmethod(records.subject_of)


class KindFilter(_NamedFilter):
    title = gettext_lazy("kind")
    parameter_name = "kind"
    words = staticmethod(records.kind_name)


@admin.register(ChangeRecord)
class ChangeRecordAdmin(ReadOnlyAdmin):
    """The audit trail."""

    purpose = gettext_lazy("Who changed what, and from where.")
    list_display = ("at", "about", "named", "what", "by_email", "address", "changes")
    list_filter = (SubjectFilter, KindFilter)
    search_fields = ("name", "by_email")
    show_full_result_count = False
    fields = ("at", "about", "named", "what", "by_email", "address", "changes")

    changes = columns.changes

    @admin.display(description=gettext_lazy("Subject"), ordering="subject")
    def about(self, record: ChangeRecord) -> str:
        return records.subject_of(record.subject)

    @admin.display(description=gettext_lazy("Name"), ordering="name")
    def named(self, record: ChangeRecord) -> str:
        return said(record.name)

    @admin.display(description=gettext_lazy("Kind"), ordering="kind")
    def what(self, record: ChangeRecord) -> str:
        return records.kind_of(record)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Only admins see IP addresses."""
        user: Any = request.user
        return self.list_display if user.is_admin else [name for name in self.list_display if name != "address"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        user: Any = request.user
        return self.fields if user.is_admin else [name for name in self.fields if name != "address"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChangeRecord]:
        """Users who are not admins see only the changes of jobs, which everybody may read."""
        records: QuerySet[ChangeRecord] = super().get_queryset(request)
        user: Any = request.user
        return records if user.is_admin else records.filter(subject="job")
