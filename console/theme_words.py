"""Words of django-unfold that its own catalogue does not translate; they are here so that ours has them."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

WORDS = (
    _("Select action"),
    _("Select action to run"),
    _("Select all rows"),
    _("Select record"),
    _("Choose file to upload"),
    _("Select value"),
    _("Type to search"),
)
