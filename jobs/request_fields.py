"""The settings of a job that say what its webhook sends and which answers are a success. They are declared here, and
only here (docs/adding-a-job-field.md); docs/requests.md describes them to users.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.masking import MASK, masked_text
from jobs.field_traits import Section, declare
from jobs.fields import JobSettings
from settings_app.models import WebhookCredential

MOST_HEADERS = 32


class Method(models.TextChoices):
    """The HTTP method of a webhook (RFC 9110 section 9)."""

    AUTO = "auto", _("POST; GET without a body")
    GET = "GET", "GET"
    POST = "POST", "POST"
    PUT = "PUT", "PUT"
    PATCH = "PATCH", "PATCH"
    DELETE = "DELETE", "DELETE"
    HEAD = "HEAD", "HEAD"


class Body(models.TextChoices):
    """What the body of a webhook is made of."""

    JSON = "json", _("The request body as JSON")
    FORM = "form", _("The request body as form fields")
    TEXT = "text", _("Text")
    NONE = "none", _("None")


class Redirects(models.TextChoices):
    """What happens to an answer that names another address (RFC 9110 section 15.4)."""

    NONE = "none", _("They are failures")
    FOLLOW = "follow", _("Follow them, at most 5")


class Completion(models.TextChoices):
    """When an execution ends."""

    RESPONSE = "response", _("with its answer")
    CALLBACK = "callback", _("when the receiver calls back")
    POLL = "poll", _("when its status address says so")


def _all_masked(value: dict[str, Any] | None) -> dict[str, str] | None:
    return dict.fromkeys(value, MASK) if value else value


# Headers whose values are no secrets.
_HARMLESS = frozenset(["accept", "accept-encoding", "accept-language", "cache-control", "content-type", "user-agent"])


def _masked_headers(value: dict[str, Any] | None) -> dict[str, str] | None:
    return {name: one if name.lower() in _HARMLESS else MASK for name, one in value.items()} if value else value


def _names_of(value: dict[str, Any] | None) -> list[str]:
    return sorted(value or ())


class RequestSettings(JobSettings):
    """The settings of a job with those of its request."""

    method = declare(
        models.CharField(
            _("method"), max_length=6, choices=Method.choices, default=Method.AUTO, db_default=Method.AUTO.value
        ),
        section=Section.REQUEST,
        target="webhook",
        row="method",
        fired=True,
        beyond=True,
    )
    body = declare(
        models.CharField(_("body"), max_length=4, choices=Body.choices, default=Body.JSON, db_default=Body.JSON.value),
        section=Section.REQUEST,
        target="webhook",
        row="method",
        fired=True,
        beyond=True,
    )
    body_text = declare(
        models.TextField(
            _("text of the body"),
            blank=True,
            default="",
            db_default="",
            help_text=_("Sent as it stands if the body is text, such as XML; name its Content-Type among the headers."),
        ),
        section=Section.REQUEST,
        target="webhook",
        rule=True,
        fired=True,
        outline=len,
        masked=masked_text,
        beyond=True,
        help="Sent as it stands if body is text. At most 64 KiB.",
    )
    headers = declare(
        models.JSONField(
            _("headers"),
            null=True,
            blank=True,
            help_text=_("One per line, such as Accept: application/json. At most 32."),
        ),
        section=Section.REQUEST,
        target="webhook",
        rule=True,
        fired=True,
        outline=_names_of,
        masked=_masked_headers,
        beyond=True,
        help="An object of texts; null for none. At most 32; Host, Content-Length and the like are refused.",
    )
    query = declare(
        models.JSONField(
            _("query"),
            null=True,
            blank=True,
            help_text=_("Appended to the URL. One per line, such as date: today."),
        ),
        section=Section.REQUEST,
        target="webhook",
        rule=True,
        fired=True,
        outline=_names_of,
        masked=_all_masked,
        beyond=True,
        help="An object of texts that is appended to the URL's query; null for none.",
    )
    webhook_credential = declare(
        models.ForeignKey(
            WebhookCredential,
            on_delete=models.PROTECT,
            null=True,
            blank=True,
            related_name="jobs",
            verbose_name=_("authentication"),
            help_text=_("How the webhook authenticates itself. Admins keep the credentials. Empty: it does not."),
        ),
        section=Section.REQUEST,
        target="webhook",
        rule=True,
        lookup="webhook_credential__name",
        fired=True,
        beyond=True,
        help="Name of the webhook credential; null for none.",
    )
    redirects = declare(
        models.CharField(
            _("redirects"),
            max_length=6,
            choices=Redirects.choices,
            default=Redirects.NONE,
            db_default=Redirects.NONE.value,
        ),
        section=Section.REQUEST,
        target="webhook",
        fired=True,
        beyond=True,
    )
    templated = declare(
        models.BooleanField(
            _("put variables in"),
            default=False,
            db_default=False,
            help_text=_(
                "Texts such as {{ scheduled_for }} and {{ secret.NAME }} are replaced in URL, query, headers, body and "
                "workflow inputs."
            ),
        ),
        section=Section.REQUEST,
        fired=True,
        beyond=True,
    )
    success_status = declare(
        models.CharField(
            _("success with status"),
            max_length=100,
            blank=True,
            default="",
            db_default="",
            help_text=_("Such as 200-299,409. Empty: 200 to 299."),
        ),
        section=Section.REQUEST,
        target="webhook",
        row="success",
        rule=True,
        fired=True,
        beyond=True,
    )
    success_body = declare(
        models.CharField(
            _("success with answer"),
            max_length=500,
            blank=True,
            default="",
            db_default="",
            help_text=_('Such as: contains OK, lacks ERROR, matches ^done, or /status = "ok". Empty: any.'),
        ),
        section=Section.REQUEST,
        target="webhook",
        row="success",
        rule=True,
        fired=True,
        beyond=True,
        help='contains TEXT, lacks TEXT, matches REGEX (RE2), or POINTER OPERATOR VALUE such as /status = "ok".',
    )

    completion = declare(
        models.CharField(
            _("the run ends"),
            max_length=8,
            choices=Completion.choices,
            default=Completion.RESPONSE,
            db_default=Completion.RESPONSE.value,
            help_text=_("For work that takes longer than a call: the receiver answers 202, and tells its end later."),
        ),
        section=Section.REQUEST,
        target="webhook",
        row="completion",
        fired=True,
        beyond=True,
        help="response; or callback or poll, for work that goes on after the answer 202.",
    )
    stall_minutes = declare(
        models.PositiveIntegerField(
            _("longest silence (minutes)"),
            default=0,
            db_default=0,
            help_text=_("It fails if a receiver that calls back tells nothing for longer. 0: no limit. At most 50400."),
        ),
        section=Section.REQUEST,
        target="webhook",
        row="completion",
        bounds=(0, 50_400),
        beyond=True,
    )

    class Meta:
        abstract = True
