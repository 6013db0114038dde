"""Secrets and webhook credentials: in the admin and by the API."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from audit.models import ChangeRecord
from core.db.encryption import decrypt
from jobs.models import Job
from settings_app.models import Secret, WebhookCredential
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db
SIGNING = "whsec_" + base64.b64encode(b"k" * 32).decode()


def raw(model: Any, name: str) -> str:
    """A column as it is in the database."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM {model._meta.db_table}")
        return str(cursor.fetchone()[0])


def pair(name: str = "client") -> tuple[str, str]:
    """A certificate and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(timezone.now() - dt.timedelta(days=1))
    signed = builder.not_valid_after(timezone.now() + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(*shape).decode()


class TestTheAdmin:
    def test_a_value_is_stored_encrypted_and_never_shown(
        self, browser_of: Callable[[User], Client], admin: User
    ) -> None:
        browser = browser_of(admin)
        form = {"name": "KEY", "new_value": "a-s3cret-value", "allowed_hosts": "api.example.com", "usable_by": "users"}
        assert browser.post(reverse("admin:settings_app_secret_add"), form).status_code == 302
        one = Secret.objects.get()
        assert (one.value, one.rotated_at is not None) == ("a-s3cret-value", True)
        assert decrypt(raw(Secret, "value")) == "a-s3cret-value"
        for page in (
            reverse("admin:settings_app_secret_change", args=[one.pk]),
            reverse("admin:settings_app_secret_changelist"),
            reverse("admin:audit_changerecord_changelist"),
        ):
            assert "a-s3cret-value" not in browser.get(page).content.decode()
        assert "a-s3cret-value" not in str(list(ChangeRecord.objects.values_list("difference", flat=True)))

    def test_an_empty_field_keeps_the_value(self, browser_of: Callable[[User], Client], admin: User) -> None:
        one = Secret.objects.create(name="KEY", value="a-s3cret-value", allowed_hosts="a.example.com")
        form = {"new_value": "", "allowed_hosts": "B.example.com \n\n", "usable_by": "users"}
        page = reverse("admin:settings_app_secret_change", args=[one.pk])
        assert browser_of(admin).post(page, form).status_code == 302
        one = Secret.objects.get()
        assert (one.value, one.allowed_hosts, one.rotated_at) == ("a-s3cret-value", "b.example.com", None)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"new_value": ""}, "Paste the value."),
            ({"new_value": "short"}, "too short"),
            ({"name": "a-b"}, "Use letters, digits"),
            ({"allowed_hosts": "https://x.example.com/"}, "is no host"),
            ({"allowed_hosts": "*"}, "is no host"),
            ({"allowed_hosts": " "}, "required"),
        ],
    )
    def test_what_is_refused(
        self, browser_of: Callable[[User], Client], admin: User, changes: dict[str, str], said: str
    ) -> None:
        form = {"name": "KEY", "new_value": "a-s3cret-value", "allowed_hosts": "api.example.com", "usable_by": "users"}
        answer = browser_of(admin).post(reverse("admin:settings_app_secret_add"), {**form, **changes})
        assert answer.status_code == 200
        assert said in answer.content.decode()
        assert not Secret.objects.exists()

    def test_the_page_of_a_deletion_names_the_jobs(
        self, browser_of: Callable[[User], Client], admin: User, make_job: Callable[..., Job]
    ) -> None:
        one = Secret.objects.create(name="KEY", value="a-s3cret-value", allowed_hosts="hooks.example.com")
        make_job(templated=True, headers={"X-Key": "{{ secret.KEY }}"})
        page = reverse("admin:settings_app_secret_delete", args=[one.pk])
        assert "Nightly" in browser_of(admin).get(page).content.decode()
        browser_of(admin).post(page, {"post": "yes"})
        assert Secret.objects.exists()


class TestTheApi:
    BODY = {"name": "KEY", "value": "a-s3cret-value", "allowed_hosts": ["api.example.com", "*.example.org"]}

    def test_values_are_write_only(self, api: APIClient, team: PicTeam) -> None:
        made = api.post("/api/v2/secrets", {**self.BODY, "teams": [team.slug]}, format="json")
        assert made.status_code == 201, made.content
        shown = made.json()["secret"]
        assert (shown["allowed_hosts"], shown["teams"]) == (["api.example.com", "*.example.org"], [team.slug])
        changed = api.put("/api/v2/secrets/KEY", {"value": "another-value"}, format="json")
        assert changed.json()["secret"]["allowed_hosts"] == shown["allowed_hosts"]
        assert changed.json()["secret"]["teams"] == [team.slug]
        assert Secret.objects.get().value == "another-value"
        for answer in (made, changed, api.get("/api/v2/secrets"), api.get(f"/api/v2/secrets/{shown['id']}")):
            assert "value" not in answer.content.decode().replace("a-s3cret", "value!").replace("another-", "value!")
        assert api.delete("/api/v2/secrets/KEY").status_code == 200
        assert api.get("/api/v2/secrets/KEY").json()["error"] == "Secret not found"

    def test_one_in_use(self, api: APIClient, make_job: Callable[..., Job]) -> None:
        api.post("/api/v2/secrets", {**self.BODY, "allowed_hosts": ["hooks.example.com"]}, format="json")
        make_job(templated=True, query={"k": "{{ secret.KEY }}"})
        answer = api.delete("/api/v2/secrets/KEY")
        assert (answer.status_code, answer.json()["error"]) == (409, "Secret in use")
        assert "It is used by Nightly: change them first." in answer.json()["message"]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"value": None}, "value"), ({"value": "short"}, "value"), ({"allowed_hosts": ["a b"]}, "allowed_hosts"),
            ({"allowed_hosts": "x"}, "allowed_hosts"), ({"teams": ["nope"]}, "teams"), ({"name": "1"}, "name"),
            ({"usable_by": "all"}, "usable_by"), ({"value": 7}, "value"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, api: APIClient, changes: dict[str, Any], field: str) -> None:
        answer = api.post("/api/v2/secrets", {**self.BODY, **changes}, format="json")
        assert answer.status_code == 400, answer.content
        assert field in answer.json()["fields"]
        assert not Secret.objects.exists()

    def test_a_secret_keeps_its_name(self, api: APIClient) -> None:
        api.post("/api/v2/secrets", self.BODY, format="json")
        assert api.put("/api/v2/secrets/KEY", {"name": "OTHER"}, format="json").status_code == 400


class TestCredentials:
    BODY = {"name": "crm", "kind": "bearer", "secret": "t0k3n-of-crm", "allowed_hosts": ["api.example.com"]}

    def make(self, api: APIClient, **changes: Any) -> Any:
        return api.post("/api/v2/webhook-credentials", {**self.BODY, **changes}, format="json")

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"kind": "basic", "username": "u"},
            {"kind": "header", "header_name": "X-Key"},
            {"kind": "oauth2", "username": "id", "token_url": "https://id.example.com/token", "scope": "run"},
            {"kind": "hmac", "secret": SIGNING},
        ],
    )
    def test_each_kind(self, api: APIClient, changes: dict[str, str]) -> None:
        answer = self.make(api, **changes)
        assert answer.status_code == 201, answer.content
        assert changes.get("secret", "t0k3n-of-crm") not in answer.content.decode()
        assert WebhookCredential.objects.get().secret == changes.get("secret", "t0k3n-of-crm")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"secret": ""}, "secret"),
            ({"secret": "line\nbreak"}, "secret"),
            ({"secret": "short"}, "secret"),
            ({"kind": "header", "header_name": "Host"}, "header_name"),
            ({"kind": "basic"}, "username"),
            ({"kind": "header"}, "header_name"),
            ({"kind": "header", "header_name": "a b"}, "header_name"),
            ({"kind": "oauth2", "username": "id"}, "token_url"),
            ({"kind": "oauth2", "username": "id", "token_url": "ftp://x"}, "token_url"),
            ({"kind": "hmac", "secret": "whsec_c2hvcnQ="}, "secret"),
            ({"kind": "hmac", "secret": "plain"}, "secret"),
            ({"kind": "certificate", "secret": ""}, "client_certificate"),
            ({"client_certificate": "nonsense"}, "client_certificate"),
            ({"client_certificate": pair()[0]}, "client_key"),
            ({"client_certificate": pair()[0], "client_key": pair()[1]}, "client_key"),
            ({"ca_certificates": "nonsense"}, "ca_certificates"),
            ({"kind": "other"}, "kind"),
        ],
    )
    def test_what_is_refused(self, api: APIClient, changes: dict[str, str], field: str) -> None:
        answer = self.make(api, **changes)
        assert answer.status_code == 400, answer.content
        assert field in answer.json()["fields"], answer.json()
        assert not WebhookCredential.objects.exists()

    def test_certificates(self, api: APIClient) -> None:
        certificate, key = pair()
        made = self.make(api, kind="certificate", secret="", client_certificate=certificate, client_key=key)
        assert made.status_code == 201, made.content
        assert "PRIVATE KEY" not in made.content.decode()
        changed = api.put("/api/v2/webhook-credentials/crm", {"ca_certificates": certificate}, format="json")
        assert changed.status_code == 200, changed.content
        assert WebhookCredential.objects.get().client_key.strip() == key.strip()

    def test_a_signing_secret_is_rotated(self, api: APIClient) -> None:
        new = "whsec_" + base64.b64encode(b"n" * 32).decode()
        self.make(api, kind="hmac", secret=SIGNING)
        api.put("/api/v2/webhook-credentials/crm", {"secret": new, "signs_with_previous": True}, format="json")
        one = WebhookCredential.objects.get()
        assert (one.secret, one.previous_secret) == (new, SIGNING)
        api.put("/api/v2/webhook-credentials/crm", {"scope": ""}, format="json")
        assert WebhookCredential.objects.get().previous_secret == SIGNING
        api.put("/api/v2/webhook-credentials/crm", {"signs_with_previous": False}, format="json")
        assert WebhookCredential.objects.get().previous_secret == ""

    def test_one_in_use(self, api: APIClient, make_job: Callable[..., Job]) -> None:
        self.make(api, allowed_hosts=["hooks.example.com"])
        make_job(webhook_credential="crm")
        answer = api.delete("/api/v2/webhook-credentials/crm")
        assert (answer.status_code, answer.json()["error"]) == (409, "Webhook credential in use")

    def test_who_may_use_it(
        self, api: APIClient, client_of: Callable[[User], APIClient], user: User, job_body: dict[str, Any]
    ) -> None:
        other = PicTeam.objects.create(name="Other", slug="other", slack_handle="@other")
        self.make(api, allowed_hosts=["hooks.example.com"], usable_by="admins")
        mine = client_of(user)
        body = {**job_body, "webhook_credential": "crm"}
        assert mine.post("/api/v2/jobs", body, format="json").status_code == 403
        api.put("/api/v2/webhook-credentials/crm", {"usable_by": "users", "teams": [other.slug]}, format="json")
        refused = mine.post("/api/v2/jobs", body, format="json")
        assert (refused.status_code, "PIC team" in refused.json()["message"]) == (400, True)
        tried = {"target_url": job_body["target_url"], "webhook_credential": "crm"}
        assert mine.post("/api/v2/jobs/test-run", tried, format="json").status_code == 400
        assert mine.post("/api/v2/jobs", {**body, "pic_team": "other"}, format="json").status_code == 201
