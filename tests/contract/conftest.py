from __future__ import annotations

import pytest

from tests.support.contract import team
from tests.support.installation import Client, Installation


@pytest.fixture
def anyone(installation: Installation) -> Client:
    return installation.anyone


@pytest.fixture
def admin(installation: Installation) -> Client:  # type: ignore[override]
    team(installation.admin)
    return installation.admin


@pytest.fixture
def user(installation: Installation, admin: Client) -> Client:  # type: ignore[override]
    return installation.user("user")


@pytest.fixture
def viewer(installation: Installation, admin: Client) -> Client:  # type: ignore[override]
    return installation.user("viewer")
