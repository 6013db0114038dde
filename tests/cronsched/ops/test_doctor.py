"""The doctor names each problem and its remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from cronsched.ops.doctor import examine
from demo.github_stand_in import GitHub
from jobs.models import Job
from notifications.models import Message
from scheduler.models import Leadership
from settings_app.models import EnvironmentToken, GitHubCredential, Secret, SlackSettings, WebhookCredential

pytestmark = pytest.mark.django_db


class TestDoctor:
    @pytest.fixture
    def github(self, settings: Any) -> Iterator[GitHub]:
        with GitHub() as server:
            settings.GITHUB_API_URL = server.url
            yield server

    def test_each_trouble_is_named_with_its_remedy(
        self, make_job: Callable[..., Job], settings: Any, github: GitHub, monkeypatch: Any
    ) -> None:
        settings.EXPOSE_ERROR_DETAILS = True
        settings.MAIL_ENABLED, settings.EMAIL_HOST, settings.EMAIL_PORT = True, "127.0.0.1", 1
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EXECUTION_BACKEND, settings.GITHUB_TOKEN = "celery", "revoked"
        monkeypatch.setattr("executions.celery_backend.dispatch.waiting_messages", lambda: None)
        make_job(github_owner="acme", github_repo="shop", github_workflow_name="x.yml")
        Job.objects.filter(pk=make_job(name="odd").pk).update(problem="bad cron", target_url="http://10.0.0.1/x")
        Message.objects.create(key="k", channel="email", status="failed", text="x")
        bad = {finding.subject for finding in examine(online=True) if finding.level == "bad"}
        assert bad == {"settings", "leader", "broker", "workers", "targets", "messages", "mail", "GitHub"}
        assert all(finding.remedy for finding in examine(online=True) if finding.level == "bad")

    def test_a_healthy_one_has_nothing_bad(self, capsys: Any) -> None:
        Leadership.objects.create(leader_id="h:1", heartbeat_at=timezone.now())
        call_command("doctor", "--json")
        findings = json.loads(capsys.readouterr().out)
        assert {finding["level"] for finding in findings} <= {"ok", "note"}

    @pytest.mark.parametrize(
        ("model", "values"),
        [
            (SlackSettings, {"webhook_url": "https://hooks.example.com/x"}),
            (GitHubCredential, {"name": "g", "token": "secret text"}),
            (EnvironmentToken, {"webhook_secret": "secret text"}),
            (Secret, {"name": "s", "value": "secret text"}),
            (WebhookCredential, {"name": "w", "kind": "bearer", "secret": "secret text"}),
        ],
    )
    def test_a_secret_whose_key_is_lost_is_named(self, model: Any, values: dict[str, str], settings: Any) -> None:
        model(**values).save()
        assert [one.level for one in examine() if one.subject == "secrets"] == ["ok"]
        settings.CRONSCHED_ENCRYPTION_KEYS = ["another"]
        [finding] = [one for one in examine() if one.subject == "secrets"]
        assert (finding.level, finding.words.partition(":")[0]) == ("bad", str(model._meta.verbose_name))
        assert "CRONSCHED_ENCRYPTION_KEYS" in finding.remedy

    def test_callbacks_that_lead_to_their_receivers_are_noted(
        self, make_job: Callable[..., Job], settings: Any
    ) -> None:
        make_job(target_url="http://127.0.0.1:1/", completion="callback")
        settings.PUBLIC_URL = "http://localhost:5000"
        assert [one.remedy for one in examine() if "call back" in one.words] == [
            "Set PUBLIC_URL to an address that they reach."
        ]
        settings.PUBLIC_URL = "https://cron.example.com"
        assert not [one for one in examine() if "call back" in one.words]

    def test_the_command_ends_with_1_where_something_is_bad(self, capsys: Any) -> None:
        with pytest.raises(SystemExit) as ended:
            call_command("doctor")
        assert ended.value.code == 1
        assert "-> Start one: 'manage.py runscheduler'." in capsys.readouterr().out
