"""The language of a message: the one that the account with its address has chosen, else `NOTIFICATION_LANGUAGE`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from django.conf import settings
from django.utils.translation import override

from settings_app.models import Preferences


class Languages:
    """The languages of some recipients, read by one query; `of(recipient)` writes texts in the recipient's."""

    def __init__(self, recipients: Iterable[str]) -> None:
        addresses = {one.lower() for one in recipients if "@" in one}
        chosen = Preferences.objects.filter(user__email__in=addresses).exclude(language="")
        self._chosen: dict[str, str] = dict(chosen.values_list("user__email", "language")) if addresses else {}

    def of(self, recipient: str) -> AbstractContextManager[None]:
        """A context in which texts are in the recipient's language; Slack's recipients have chosen none."""
        return override(self._chosen.get(recipient.lower(), settings.NOTIFICATION_LANGUAGE))
