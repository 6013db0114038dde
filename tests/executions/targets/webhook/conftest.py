"""Secrets and credentials for the test target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from settings_app import sent_secrets
from settings_app.models import Secret, WebhookCredential


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    sent_secrets.forget()


@pytest.fixture
def make_secret(db: None) -> Callable[..., Secret]:
    def make(name: str = "KEY", value: str = "s3cr3t-välue/+", hosts: str = "127.0.0.1") -> Secret:
        return Secret.objects.create(name=name, value=value, allowed_hosts=hosts)

    return make


@pytest.fixture
def make_credential(db: None) -> Callable[..., WebhookCredential]:
    def make(**fields: Any) -> WebhookCredential:
        values = {"name": "crm", "kind": "bearer", "secret": "t0k3n-of-crm", "allowed_hosts": "127.0.0.1"}
        return WebhookCredential.objects.create(**{**values, **fields})

    return make
