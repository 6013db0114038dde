"""Base classes of the model admins of every app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from django.forms.utils import flatatt
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin, checkbox
from unfold.decorators import display

from core.api.errors import DomainError
from core.sentences import said

# What the filters of django.contrib.admin ask for.
_FILTERS = ("", "__exact", "__isnull", "__gte", "__lt", "__in", "__id__exact", "__isempty")


def act_button(url: str, label: str, *, name: str = "", value: str = "") -> SafeString:
    """A small button that sends a POST to `url`, by the form of `core/act.html`, with a value if it has a name."""
    return format_html(
        '<button type="submit" class="cs-button cs-small" form="act" formaction="{}" name="{}" value="{}">{}</button>',
        url, name, value, label,
    )  # fmt: skip


def _without_times(fields: Any, obj: Any) -> list[Any]:
    return [name for name in fields if obj is not None or name not in {"created_at", "updated_at"}]


def show_errors(form: forms.BaseForm, error: DomainError, names: Mapping[str, str] | None = None) -> None:
    """Show why a request was refused at the form's fields. `names`: what the form calls fields of the API otherwise."""
    for name, texts in (error.fields or {"": [error.spoken]}).items():
        field = (names or {}).get(name, name)
        form.add_error(field if field in form.fields else None, [said(text) for text in texts])


class DayInput(forms.DateInput):
    """The browser's own field for a day: it knows the keyboard, the language and dark colours."""

    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": "cs-input", **(attrs or {})}, format="%Y-%m-%d")


class MomentInput(forms.DateTimeInput):
    """The browser's own field for a day and a time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__({"class": "cs-input"}, format="%Y-%m-%dT%H:%M")


class WordsOfConstraints(forms.ModelForm[Any]):
    """Tells which field breaks a check of the database; Django would tell the name of the check."""

    def _update_errors(self, errors: Any) -> None:
        found = dict(getattr(errors, "error_dict", {}))
        checks = {str(one.get_violation_error_message()): one for one in self._checks()}
        broken = [one for one in found.get(NON_FIELD_ERRORS, []) if str(one.message) in checks]
        if broken:
            found[NON_FIELD_ERRORS] = [one for one in found[NON_FIELD_ERRORS] if one not in broken]
            errors = ValidationError({name: told for name, told in found.items() if told})
        super()._update_errors(errors)  # type: ignore[misc]
        # What is told already is the reason of more than one.
        for one in broken if not self.errors else ():
            condition: Any = checks[str(one.message)].condition
            fields = [name for name in self.fields if name in condition.referenced_base_fields]
            self.add_error(fields[0] if fields else None, _("This value is not possible here."))

    def _checks(self) -> list[models.CheckConstraint]:
        constraints = self.instance._meta.constraints
        return [one for one in constraints if isinstance(one, models.CheckConstraint)]


class ProductAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Options that every list and form of the admin shares."""

    compressed_fields = True
    warn_unsaved_form = True
    list_per_page = 50
    formfield_overrides = {models.DateField: {"widget": DayInput}}
    # The name of the rows, where the model's own does not do.
    plural: Any = ""
    # What the list is for: shown while it is empty.
    purpose: Any = ""
    # Look-ups of links to the list, besides those of its filters, and what they are called.
    linked_lookups: Mapping[str, Any] = {}
    list_after_template = change_form_outer_after_template = "core/act.html"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return _without_times(super().get_fields(request, obj), obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What is not stored yet has no times."""
        found = [
            (title, {**options, "fields": _without_times(options["fields"], obj)})
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [(title, options) for title, options in found if options["fields"]]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (WordsOfConstraints, form), {})

    @display(description=checkbox.render("action_toggle_all", 1))  # type: ignore[untyped-decorator]
    def action_checkbox(self, obj: models.Model) -> SafeString:
        """unfold's check box without a template for each row, which is a tenth of the time of a page of 50 rows."""
        how = flatatt(checkbox.attrs)
        return format_html('<input type="checkbox" name="{}" value="{}"{}>', ACTION_CHECKBOX_NAME, obj.pk, how)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """A list is called as its entry in the sidebar."""
        title = {"title": self.plural} if self.plural else {}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A choice without the menu that adds, changes and deletes the choices in windows of their own."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        for part in ("add", "change", "delete", "view"):
            if field is not None and hasattr(field.widget, f"can_{part}_related"):
                setattr(field.widget, f"can_{part}_related", False)
        return field

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only the look-ups of the list's own filters and links. Django allows every look-up of every own column:
        regular expressions, and columns that the user may not see.
        """
        if lookup in self.linked_lookups:
            return True
        entries = self.get_list_filter(request) if request else self.list_filter
        fields = [entry[0] if isinstance(entry, tuple | list) else entry for entry in entries]
        allowed = {getattr(entry, "parameter_name", "") for entry in entries}
        allowed |= {f"{name}{suffix}" for name in fields if isinstance(name, str) for suffix in _FILTERS}
        return lookup in allowed


class ReadOnlyAdmin(ProductAdmin):
    """Records that no person adds, changes or deletes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
