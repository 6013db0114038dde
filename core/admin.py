"""Base classes of the model admins of every app."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin


class ProductAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Options that every list and form of the admin shares."""

    compressed_fields = True
    warn_unsaved_form = True
    list_per_page = 50
    list_after_template = change_form_outer_after_template = "core/act.html"


class ReadOnlyAdmin(ProductAdmin):
    """Records that no person adds, changes or deletes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
