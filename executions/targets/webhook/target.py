"""Webhooks as targets: a URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlsplit
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from yarl import URL

from core.api import payload
from core.api.errors import invalid_field
from core.findings import Finding
from core.masking import url_for
from executions.http.address import address_of
from executions.http.connection import DeliveryError
from executions.targets.base import Deliverable, DeliverableTarget, Outcome
from executions.targets.webhook.call import KIND, Webhook, plan_of
from jobs.content import Content
from jobs.field_traits import Column
from jobs.models import Job
from jobs.request_fields import Completion
from jobs.targets import address_policy, parsing
from jobs.targets.kinds import Target, TargetField
from jobs.templating import language
from jobs.templating.language import Values

_URL = TargetField("target_url", 2048, Column("Target URL", ("target_url", "url")), searched=True)


@dataclass(frozen=True)
class WebhookTarget(DeliverableTarget):
    """An HTTP call of a URL."""

    kind: ClassVar[str] = KIND
    short_name: ClassVar[str] = "webhook"
    label: ClassVar[Any] = gettext_lazy("A webhook")
    noun: ClassVar[Any] = gettext_lazy("Webhook")
    fields: ClassVar[tuple[TargetField, ...]] = (_URL,)
    repeatable: ClassVar[bool] = True
    accepts_secrets: ClassVar[bool] = True

    target_url: str

    def __str__(self) -> str:
        return self.target_url

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(text)

    @classmethod
    def read(cls, data: Mapping[str, Any], *, default_owner: str) -> Self | None:
        # `jobs.targets.parsing` reads `target_url` before all other fields, because it takes precedence.
        return None

    @classmethod
    def read_text(cls, text: str) -> Self:
        return cls(address_policy.check_url(text))

    def overridden(self, data: Mapping[str, Any]) -> Target:
        url = payload.text(data.get("target_url"), "target_url", limit=_URL.limit)
        asked = parsing.read_text(url) if url else self
        if not isinstance(asked, WebhookTarget):
            raise invalid_field("target_url", "This job calls a webhook: write a URL.", error="Invalid target_url")
        return asked

    def as_overrides(self) -> dict[str, str]:
        return self.values()

    @property
    def host(self) -> str:
        try:
            address = address_of(self.target_url)
        except DeliveryError as exc:
            raise ValueError(f"'{self.target_url[:80]}' is not a URL") from exc
        host = address.host.rstrip(".")
        return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"

    @property
    def receiver(self) -> tuple[str, int]:
        url = URL(language.without_placeholders(self.target_url))
        return url.raw_host or "", url.port or 0

    def rendered_texts(self) -> dict[str, str]:
        return {"target_url": self.target_url}

    def rendered(self, values: Values) -> Self:
        return type(self)(language.render(self.target_url, values, partial(quote, safe="")))

    def delivery(self, content: Content, job: Job, *, token: str = "") -> Deliverable:
        return self._webhook(content, job)

    def trial(self, content: Content, job: Job) -> Deliverable:
        return self._webhook(content, job, always_post=True)

    def _webhook(self, content: Content, job: Job, *, always_post: bool = False) -> Webhook:
        late = language.late_names(list(content[:-1])) if content.is_rendered else set()
        return Webhook(
            self.target_url,
            content,
            plan_of(job),
            job.pk,
            job.pic_team_id,
            always_post,
            frozenset(name.removeprefix(language.SECRETS) for name in late if name != language.ATTEMPT),
            is_whole=not late,
        )

    def trial_message(self, outcome: Outcome) -> str:
        if outcome.ok:
            return "Webhook test run succeeded."
        return f"Webhook test run failed. {outcome.error}."

    def check(self, metadata: dict[str, Any], form: Mapping[str, str], credential_id: UUID | None) -> dict[str, Any]:
        return {"ok": False, "message": _("This job calls a webhook; it has no workflow.")}

    def shown(self, *, is_owner: bool = False) -> str:
        return url_for(self.target_url, is_owner=is_owner)

    @classmethod
    def findings(cls) -> Iterator[Finding]:
        """Hosts of active jobs that the target policy refuses, and callbacks that would lead to the receivers."""
        policy, refused = address_policy.current(), set()
        jobs = Job.objects.active().filter(target_kind=cls.kind).order_by()
        urls = jobs.values_list("target_url", flat=True)
        for url in urls.distinct().iterator():
            host = urlsplit(url).hostname or ""
            if not policy.allows(host):
                refused.add(host)
        if refused:
            shown = ", ".join(sorted(refused)[:5])
            yield Finding(
                "targets",
                "bad",
                f"{len(refused)} hosts of active jobs may not be called: {shown}",
                "List them in CRONSCHED_ALLOWED_TARGETS, or change the jobs.",
            )
        called_back = jobs.filter(completion=Completion.CALLBACK).count()
        if called_back and URL(settings.PUBLIC_URL).host in {"localhost", "127.0.0.1", "::1"}:
            yield Finding(
                "targets",
                "note",
                f"Receivers of {called_back} jobs are to call back at {settings.PUBLIC_URL}.",
                "Set PUBLIC_URL to an address that they reach.",
            )
