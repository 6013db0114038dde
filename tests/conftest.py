"""What tests share: accounts, clients, jobs, a real HTTP target on loopback, and a whole installation."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from hypothesis import settings as hypothesis_settings
from rest_framework.test import APIClient

from accounts.auth import jwt
from accounts.models import LoginSession, Role, User
from console import kept
from executions.delivery import caller, engine
from executions.delivery.state import Delivery
from executions.targets import lookup
from jobs.models import Job
from jobs.services import create_job
from settings_app import credential_rights
from taxonomy.models import Category, PicTeam
from tests.support.executions import IdleEngine
from tests.support.installation import Installation
from tests.support.migrated import copy_migrated
from tests.support.postgres import Postgres
from tests.support.redis import Redis
from tests.support.target import Target

# A machine that is busy fails no property.
hypothesis_settings.register_profile("cronsched", deadline=None)
hypothesis_settings.load_profile("cronsched")

PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def django_db_keepdb(request: pytest.FixtureRequest) -> bool:
    return connection.vendor == "sqlite" or bool(request.config.getvalue("reuse_db"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Begin with all tables in place of applying each migration."""
    if connection.vendor == "sqlite":
        file = Path(django_settings.DATABASES["default"]["TEST"]["NAME"])
        for beside in ("-wal", "-shm"):
            file.with_name(file.name + beside).unlink(missing_ok=True)
        copy_migrated(file)


@pytest.fixture(autouse=True)
def _stop_engine() -> Iterator[None]:
    yield
    # What a transaction that is rolled back has said.
    credential_rights.forget()
    kept.forget()
    caller.shut_down_local_caller()
    engine.shutdown_local_engine(0)
    # What runs later would meet the database while it is flushed.
    lookup._LATER.submit(int).result()


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(username: str, role: str = Role.USER, **fields: Any) -> User:
        return User.objects.create_user(username, f"{username}@example.com", PASSWORD, role=role, **fields)

    return make


@pytest.fixture
def admin(make_user: Callable[..., User]) -> User:
    return make_user("ada", Role.ADMIN)


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user("uma")


@pytest.fixture
def viewer(make_user: Callable[..., User]) -> User:
    return make_user("vic", Role.VIEWER)


@pytest.fixture
def client_of(db: None) -> Callable[[User], APIClient]:
    """An API client that holds a user's access token."""

    def make(user: User) -> APIClient:
        session = LoginSession.objects.create(
            user=user,
            expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(days=30),
            auth_hash=user.get_session_auth_hash(),
        )
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {jwt.issue(jwt.AccessToken, session)}")
        return client

    return make


@pytest.fixture
def api(client_of: Callable[[User], APIClient], admin: User) -> APIClient:
    """An admin's API client."""
    return client_of(admin)


@pytest.fixture
def browser_of(db: None) -> Callable[[User], Client]:
    """A user's session in the admin."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def browser(browser_of: Callable[[User], Client], admin: User) -> Client:
    """An admin's session in the admin."""
    return browser_of(admin)


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Delivery]:
    """The deliveries that are handed to this process's engine, which makes no calls."""
    idle = IdleEngine()
    monkeypatch.setattr(engine, "local_engine", lambda: idle)
    return idle.deliveries


@pytest.fixture
def team(general: Category) -> PicTeam:
    return PicTeam.objects.create(name="QA Team", slug="qa-team", slack_handle="@qa")


@pytest.fixture
def general(db: None) -> Category:
    return Category.objects.get_or_create(slug="general", defaults={"name": "General"})[0]


@pytest.fixture
def job_body(team: PicTeam, general: Category) -> dict[str, Any]:
    """A body that `POST /jobs` accepts."""
    return {
        "name": "Nightly",
        "cron_expression": "0 2 * * *",
        "end_date": "2099-12-31",
        "pic_team": team.slug,
        "target_url": "https://hooks.example.com/nightly",
    }


@pytest.fixture
def make_job(job_body: dict[str, Any], admin: User) -> Callable[..., Job]:
    def make(**changes: Any) -> Job:
        by = changes.pop("by", admin)
        if "github_repo" in changes:
            changes.setdefault("target_url", None)
        return create_job({**job_body, **changes}, by=by)

    return make


@pytest.fixture(scope="session")
def _target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.fixture
def target(_target: Target) -> Target:
    """A real HTTP server on loopback that notes what arrives; its paths misbehave in many ways."""
    _target.forget()
    return _target


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The product as an operator runs it: web processes and a scheduler, on a database of their own, which is one of
    PostgreSQL where the tests' is; with `TEST_CLUSTER` a cluster.
    """
    folder: Path = tmp_path_factory.mktemp("installation")
    if os.environ.get("TESTS_DATABASE_URL"):
        with (
            Postgres() as postgres,
            Installation(folder, env={"DATABASE_URL": postgres.migrated()}) as running,
        ):
            yield running
        return
    if not os.environ.get("TEST_CLUSTER"):
        with Installation(folder) as running:
            yield running
        return
    with Postgres() as postgres, Redis() as broker:
        env = {
            "DATABASE_URL": postgres.migrated(),
            "EXECUTION_BACKEND": "celery",
            "BROKER_URL": broker.url,
        }
        with Installation(folder, schedulers=2, workers=2, env=env) as running:
            yield running
