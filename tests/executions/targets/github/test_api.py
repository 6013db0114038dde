"""Tokens of credentials."""

from __future__ import annotations

import pytest

from executions.targets.github import api
from settings_app.models import GitHubCredential

pytestmark = pytest.mark.django_db


def test_a_credential_that_another_process_changed_has_its_new_token_at_once() -> None:
    credential = GitHubCredential.objects.create(name="qa", token="the old token")
    assert api.token_of(credential.pk) == "the old token"
    # This process keeps tokens; nobody calls `forget` here.
    elsewhere = GitHubCredential.objects.get(pk=credential.pk)
    elsewhere.token = "the new token"
    elsewhere.save()
    assert api.token_of(credential.pk) == "the new token"
    elsewhere.delete()
    with pytest.raises(api.NoToken, match="gone"):
        api.token_of(credential.pk)
