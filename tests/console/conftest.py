from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User


@pytest.fixture
def browser(admin: User) -> Client:
    """An admin's session."""
    client = Client()
    client.force_login(admin)
    return client
