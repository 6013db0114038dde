"""Inputs from public bug reports of other schedulers, clients and spreadsheet programs."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any
from zoneinfo import ZoneInfo

import jwt
import pytest
from django.conf import settings as django_settings
from rest_framework.test import APIClient

from accounts.models import LoginSession, User
from core.api.errors import Invalid
from demo.github_stand_in import GitHub
from executions.runs.follower import RunFollower
from executions.services import trigger_now
from executions.targets.github.workflow_inputs import declared, differences
from jobs.schedules.schedule import schedule_of
from jobs.transfer import csv_reader
from jobs.transfer.importing import import_jobs
from tests.support.clock import HandClock, passing_time
from tests.support.executions import ended
from tests.support.target import wait_until


def test_workflow_files_are_yaml_1_2() -> None:
    specs = declared(
        """
        on:
          workflow_dispatch:
            inputs:
              answer: {type: choice, options: [yes, no]}
              python: {type: choice, options: [3.10, 3.9], required: true}
        """
    )
    assert differences(specs, {"answer": "yes", "python": "3.10"}) == []
    assert differences(specs, {"answer": "true", "python": "3.1"}) == [
        "The input 'answer' is one of yes, no.",
        "The input 'python' is one of 3.10, 3.9.",
    ]


def test_a_midnight_that_a_zone_skips_is_not_on_the_day_before() -> None:
    nuuk = ZoneInfo("America/Nuuk")
    assert schedule_of("0 0 * * *", nuuk).minutes_of(dt.date(2027, 3, 27)) == [0]
    assert schedule_of("0 0 * * *", nuuk).minutes_of(dt.date(2027, 3, 28)) == [0]


class TestTokens:
    pytestmark = pytest.mark.django_db

    def status(self, user: User, **changes: Any) -> int:
        session = LoginSession.objects.create(
            user=user,
            expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(days=1),
            auth_hash=user.get_session_auth_hash(),
        )
        now = int(time.time())
        claims = {
            "sub": str(user.pk),
            "sid": str(session.pk),
            "type": "access",
            "jti": "x",
            "iat": now,
            "exp": now + 60,
        }
        key = django_settings.SIMPLE_JWT["SIGNING_KEY"]
        token = jwt.encode({**claims, **changes}, key, algorithm="HS256")
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return int(client.get("/api/v2/auth/me").status_code)

    def test_claims_of_wrong_types_are_refused(self, admin: User) -> None:
        assert self.status(admin) == 200
        for changes in ({"exp": "tomorrow"}, {"exp": 1e300}, {"exp": None}, {"iat": []}, {"sub": 5}, {"sid": {}}):
            assert self.status(admin, **changes) == 401, changes

    def test_a_clock_that_is_a_little_ahead(self, admin: User) -> None:
        assert self.status(admin, iat=int(time.time()) + 2) == 200
        assert self.status(admin, iat=int(time.time()) + 60) == 401


class TestSheets:
    HEAD = "Job Name,Cron Schedule (JST),Target URL,End Date,PIC Team,Status"
    ROW = "夜間,0 9 * * *,https://x.example.com/,2099-12-31,qa-team,"

    pytestmark = pytest.mark.django_db

    def read(self, text: str | bytes, user: User) -> Any:
        raw = text.encode() if isinstance(text, str) else text
        return import_jobs(raw, by=user, dry_run=True)

    @pytest.mark.parametrize(
        "text",
        [
            f"sep=;\r\n{HEAD.replace(',', ';')}\r\n{ROW.replace(',', ';')}\r\n",
            f"\ufeff\ufeff{HEAD}\n{ROW}\n",
            f"\u200b{HEAD}\n{ROW}\n",
            f"{HEAD}\n{ROW.replace('2099-12-31', '2099/12/31 0:00')}\n",
            f"{HEAD}\n{ROW.replace('0 9 * * *', '０　９ ＊ ＊ ＊')}\n",
            f"{HEAD}\n{ROW}\n".encode("iso2022_jp"),
        ],
        ids=["sep", "two BOMs", "zero width", "midnight", "full width", "ISO-2022-JP"],
    )
    def test_what_is_clear_is_read(self, text: str | bytes, admin: User, team: Any) -> None:
        found = self.read(text, admin)
        assert found.errors == []
        assert [(job.name, job.cron_expression) for _, job in found.jobs] == [("夜間", "0 9 * * *")]

    def test_an_open_quote_is_named_with_its_row(self, admin: User, team: Any) -> None:
        with pytest.raises(Invalid, match="row 3 opens a quote"):
            csv_reader.read(f'{self.HEAD}\n{self.ROW}\n"夜間,0 9 * * *\n'.encode())

    def test_control_characters_in_a_name_are_refused(self, admin: User, team: Any) -> None:
        row = self.ROW.replace("夜間", "a\x1bb")
        found = self.read(f"{self.HEAD}\n{row}\n", admin)
        assert "control characters" in found.errors[0]["message"]

    @pytest.mark.parametrize(("word", "active"), [("無効", False), ("停止中", False), ("×", False), ("有効", True)])
    def test_a_job_that_was_meant_to_be_off_is_off(self, word: str, active: bool, admin: User, team: Any) -> None:
        found = self.read(f"{self.HEAD}\n{self.ROW}{word}\n", admin)
        assert [job.is_active for _, job in found.jobs] == [active]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "metadata",
    [
        {"branchDetails": {"a": 1}},
        {"branchDetails": True},
        {f"input{number}": "x" for number in range(26)},
        {"text": "x" * 70_000},
    ],
)
def test_metadata_that_github_refuses_is_refused_when_it_is_saved(
    metadata: dict[str, Any], api: APIClient, job_body: dict[str, Any]
) -> None:
    body = {**job_body, "target_url": "acme/shop/ci.yml", "metadata": metadata}
    answer = api.post("/api/v2/jobs", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid metadata")
    is_huge = len(str(metadata)) > 64 * 1024
    answer = api.post("/api/v2/jobs", {**body, "target_url": "https://x.example.com/"})
    assert answer.status_code == (400 if is_huge else 201)


@pytest.mark.django_db(transaction=True)
class TestGitHub:
    @pytest.fixture
    def github(self, settings: Any) -> Any:
        with GitHub() as server:
            settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "the environment's"
            yield server

    def test_a_rate_limit_without_retry_after_is_waited_for(
        self, github: GitHub, make_job: Any, admin: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from executions.delivery import engine

        with passing_time(dt.datetime(2026, 11, 26, 0, 0, tzinfo=dt.UTC)) as clock:
            monkeypatch.setattr(engine, "new_clock", lambda: clock)
            job = make_job(target_url="acme/shop/success-0.yml", wait_for_run=False)
            reset = str(int(time.time()) + 40)
            github.fail_next = [(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})]
            execution = trigger_now(job.pk, {}, by=admin)
            assert 30 < clock.next_timer() < 45
            clock.advance(50)
            assert ended(execution).status == "success"

    def test_a_renamed_repository_is_followed_within_the_api(
        self, github: GitHub, make_job: Any, admin: User, settings: Any
    ) -> None:
        moved = f"{github.url}/repos/acme/new/actions/workflows/success-0.yml/dispatches"
        github.fail_next = [(307, {"Location": moved})]
        job = make_job(target_url="acme/shop/success-0.yml", wait_for_run=False)
        assert ended(trigger_now(job.pk, {}, by=admin)).status == "success"
        github.fail_next = [(307, {"Location": "https://evil.example.com/repos/acme/new"})]
        assert ended(trigger_now(job.pk, {}, by=admin)).status == "failed"

    def test_a_deleted_repository_does_not_keep_its_executions_running(
        self, github: GitHub, make_job: Any, admin: User
    ) -> None:
        clock = HandClock()
        job = make_job(target_url="acme/shop/success-900.yml")
        execution = trigger_now(job.pk, {}, by=admin)
        wait_until(lambda: type(execution).objects.get(pk=execution.pk).run_id)
        type(execution).objects.update(started_at=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5))
        follower = RunFollower(clock.monotonic)
        for _ in range(3):
            github.fail_next = [(404, {})]
            clock.advance(120)
            follower.poll()
        done = type(execution).objects.get(pk=execution.pk)
        assert (done.status, done.run_conclusion) == ("failed", "gone")
