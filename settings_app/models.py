"""Settings in the database: Slack, credentials and secrets, preferences of users."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.db.encryption import EncryptedTextField

JOBS_TABLE_COLUMNS = {
    "pic_team": True,
    "end_date": True,
    "cron_expression": False,
    "target_url": False,
    "last_execution_at": False,
}


class SlackSettings(models.Model):
    """The Slack settings, one row. The webhook's URL is a secret."""

    SINGLETON = uuid.UUID(int=1)

    id = models.UUIDField(primary_key=True, default=SINGLETON, editable=False)
    is_enabled = models.BooleanField(_("enabled"), default=False)
    webhook_url = EncryptedTextField(
        "webhook URL", blank=True, help_text=_("Slack's incoming webhook, https only. Stored encrypted.")
    )
    channel = models.CharField(
        _("channel"), max_length=100, blank=True, help_text=_("Only for webhooks that allow a choice of channel.")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = _("Slack settings")
        constraints = [
            models.CheckConstraint(name="slack_settings_is_one_row", condition=Q(id=uuid.UUID(int=1))),
            models.CheckConstraint(name="slack_enabled_has_url", condition=Q(is_enabled=False) | ~Q(webhook_url="")),
        ]

    def __str__(self) -> str:
        return gettext("Slack settings")

    @classmethod
    def current(cls) -> SlackSettings:
        """The row; created with defaults at the first read."""
        return cls.objects.get_or_create(pk=cls.SINGLETON)[0]


class WithoutSecrets(models.Manager[Any]):
    """Defers the encrypted columns, so that a lost key does not break every page that names a credential."""

    def get_queryset(self) -> models.QuerySet[Any]:
        columns = self.model._meta.concrete_fields
        return super().get_queryset().defer(*[one.name for one in columns if isinstance(one, EncryptedTextField)])


class CredentialRights(models.Model):
    """Who may use a GitHub token, for which workflows, and how many dispatches it may make (its budget).

    The role counts when somebody saves a job, runs it with other values or tries it; team and repository count at every
    dispatch as well.
    """

    class Roles(models.TextChoices):
        ADMINS = "admins", _("Admins")
        USERS = "users", _("Admins and users")

    usable_by = models.CharField(
        _("usable by"),
        max_length=10,
        choices=Roles.choices,
        default=Roles.ADMINS,
        # Of credentials that were stored before there were rights: their jobs go on.
        db_default=Roles.USERS,
        help_text=_("Who may save, change and try jobs that use it. Jobs that admins have set up run for everybody."),
    )
    repositories = models.TextField(
        _("repositories"),
        blank=True,
        db_default="",
        help_text=_(
            "One per line: owner/repo, owner/*, or owner/repo/workflow.yml. Empty: all that the token reaches."
        ),
    )
    teams = models.ManyToManyField(
        "taxonomy.PicTeam",
        verbose_name=_("teams"),
        blank=True,
        related_name="+",
        help_text=_("The teams whose jobs may use it. Empty: all."),
    )
    at_once = models.PositiveSmallIntegerField(
        _("dispatches at once"),
        default=50,
        db_default=50,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("GitHub allows 100 requests at once."),
    )
    per_minute = models.PositiveIntegerField(
        _("dispatches a minute"),
        default=150,
        db_default=150,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text=_("GitHub allows 180; further dispatches wait. It is halved for a while when GitHub refuses more."),
    )
    hold_limit_seconds = models.PositiveIntegerField(
        _("longest wait (seconds)"),
        default=900,
        db_default=900,
        validators=[MaxValueValidator(86_400)],
        help_text=_("A dispatch that the budget lets wait for longer fails. At most 86400 seconds."),
    )
    webhook_secret = EncryptedTextField(_("secret of GitHub's webhook"), blank=True, default="", db_default="")

    class Meta:
        abstract = True


class EnvironmentToken(CredentialRights):
    """The rights of `GITHUB_TOKEN`, one row. New installations keep it to admins."""

    SINGLETON = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=SINGLETON, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects: ClassVar[models.Manager[EnvironmentToken]] = WithoutSecrets()

    class Meta:
        base_manager_name = "objects"
        verbose_name = verbose_name_plural = _("GITHUB_TOKEN of the environment")
        constraints = [models.CheckConstraint(name="environment_token_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return "GITHUB_TOKEN"

    @classmethod
    def current(cls) -> EnvironmentToken:
        """The row; created with defaults at the first read."""
        return cls.objects.get_or_create(pk=cls.SINGLETON)[0]


class GitHubCredential(CredentialRights):
    """A token, or an installation of a GitHub App, with which jobs dispatch and follow workflows. Its secrets are not
    shown again.

    GitHub: "Managing your personal access tokens"; "Authenticating as a GitHub App installation".
    """

    class Kind(models.TextChoices):
        TOKEN = "token", _("Fine-grained token")
        APP = "app", _("GitHub App")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.TOKEN)
    token = EncryptedTextField(_("token"), blank=True)
    app_id = models.CharField(_("app id"), max_length=40, blank=True)
    installation_id = models.CharField(_("installation id"), max_length=40, blank=True)
    private_key = EncryptedTextField(_("private key"), blank=True)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, editable=False, help_text=_("The expiry of the token, as last reported by GitHub.")
    )
    problem = models.CharField(
        _("problem"),
        max_length=300,
        blank=True,
        editable=False,
        help_text=_("Why GitHub refuses the credential; empty if it is accepted."),
    )
    warned_at = models.DateTimeField(_("warned at"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects: ClassVar[models.Manager[GitHubCredential]] = WithoutSecrets()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("GitHub credential")
        verbose_name_plural = _("GitHub credentials")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="github_credential_is_whole",
                condition=(Q(kind="token") & ~Q(token=""))
                | (Q(kind="app") & ~Q(app_id="") & ~Q(installation_id="") & ~Q(private_key="")),
            )
        ]

    def __str__(self) -> str:
        return self.name


class SentSecret(models.Model):
    """A secret that is part of requests: to which hosts it may be sent, for the jobs of which teams, and who may choose
    it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    allowed_hosts = models.TextField(
        _("allowed hosts"),
        help_text=_(
            "The only hosts that it is sent to. One per line: api.example.com, *.example.com or api.example.com:8443."
        ),
    )
    teams = models.ManyToManyField(
        "taxonomy.PicTeam",
        verbose_name=_("teams"),
        blank=True,
        related_name="+",
        help_text=_("The teams whose jobs may use it. Empty: all."),
    )
    usable_by = models.CharField(
        _("usable by"),
        max_length=10,
        choices=CredentialRights.Roles.choices,
        default=CredentialRights.Roles.USERS,
        help_text=_("Who may save, change and try jobs that use it. Jobs that admins have set up run for everybody."),
    )
    rotated_at = models.DateTimeField(_("rotated at"), null=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        abstract = True


class Secret(SentSecret):
    """A value that requests name as `{{ secret.NAME }}`. It is not shown again."""

    name = models.CharField(
        _("name"),
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"\A[A-Za-z_][A-Za-z0-9_]*\Z", _("Use letters, digits and '_', no digit first."))],
        help_text=_("Requests name it as {{ secret.NAME }}. Letters, digits and '_'."),
    )
    value = EncryptedTextField(_("value"))

    objects: ClassVar[models.Manager[Secret]] = WithoutSecrets()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("secret")
        verbose_name_plural = _("secrets")
        ordering = ["name"]
        constraints = [models.CheckConstraint(name="secret_has_value", condition=~Q(value=""))]

    def __str__(self) -> str:
        return self.name


class WebhookCredential(SentSecret):
    """How webhooks authenticate themselves. Its secrets are not shown again.

    RFC 7617 (basic), RFC 6750 (bearer), RFC 6749 section 4.4 (client credentials), Standard Webhooks (HMAC), RFC 8446
    section 4.4.2 (client certificates).
    """

    class Kind(models.TextChoices):
        BASIC = "basic", _("User name and password")
        BEARER = "bearer", _("Bearer token")
        HEADER = "header", _("Key in a header")
        OAUTH2 = "oauth2", _("OAuth 2 client credentials")
        HMAC = "hmac", _("Signature (Standard Webhooks)")
        CERTIFICATE = "certificate", _("Client certificate only")

    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, default=Kind.BEARER)
    username = models.CharField(_("user name or client id"), max_length=255, blank=True)
    header_name = models.CharField(_("name of the header"), max_length=100, blank=True)
    secret = EncryptedTextField(_("password, token, key or signing secret"), blank=True)
    previous_secret = EncryptedTextField(
        _("previous signing secret"),
        blank=True,
        help_text=_("Requests are signed with both while receivers change over."),
    )
    token_url = models.CharField(_("token URL"), max_length=2048, blank=True)
    scope = models.CharField(_("scope"), max_length=500, blank=True)
    audience = models.CharField(_("audience"), max_length=500, blank=True)
    client_certificate = models.TextField(
        _("client certificate (PEM)"), blank=True, help_text=_("With its chain, for targets that ask for one (mTLS).")
    )
    client_key = EncryptedTextField(_("key of the client certificate (PEM)"), blank=True)
    ca_certificates = models.TextField(
        _("CA certificates (PEM)"), blank=True, help_text=_("Accepted beside the public ones, for an internal CA.")
    )

    objects: ClassVar[models.Manager[WebhookCredential]] = WithoutSecrets()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("webhook credential")
        verbose_name_plural = _("webhook credentials")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="webhook_credential_is_whole",
                condition=Q(kind="certificate", secret="") & ~Q(client_certificate="")
                | Q(kind__in=["bearer", "hmac"]) & ~Q(secret="")
                | Q(kind="basic") & ~Q(username="")
                | Q(kind="header") & ~Q(header_name="") & ~Q(secret="")
                | Q(kind="oauth2") & ~Q(username="") & ~Q(secret="") & ~Q(token_url=""),
            ),
            models.CheckConstraint(
                name="webhook_credential_key_with_certificate",
                condition=Q(client_certificate="", client_key="") | ~Q(client_certificate="") & ~Q(client_key=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Preferences(models.Model):
    """A user's notification preferences."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    email_on_job_success = models.BooleanField(_("e-mail when a job succeeds"), default=True)
    email_on_job_failure = models.BooleanField(_("e-mail when a job fails"), default=True)
    email_on_job_disabled = models.BooleanField(_("e-mail when somebody disables a job of mine"), default=False)
    browser_notifications = models.BooleanField(_("browser notifications"), default=False)
    daily_digest = models.BooleanField(_("daily digest by e-mail"), default=False)
    weekly_report = models.BooleanField(_("weekly report by e-mail"), default=False)
    language = models.CharField(
        _("language of the admin and of e-mails"),
        max_length=10,
        blank=True,
        db_default="",
        choices=settings.LANGUAGES,
        help_text=_("Empty: the installation's language of notifications."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("notification preferences")
        verbose_name_plural = _("notification preferences")

    def __str__(self) -> str:
        return f"preferences of {self.user}"


PREFERENCE_FLAGS = (
    "email_on_job_success",
    "email_on_job_failure",
    "email_on_job_disabled",
    "browser_notifications",
    "daily_digest",
    "weekly_report",
)


def _default_columns() -> dict[str, Any]:
    return dict(JOBS_TABLE_COLUMNS)


class UiPreferences(models.Model):
    """A user's frontend preferences."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="ui_preferences")
    jobs_table_columns = models.JSONField(_("jobs table columns"), default=_default_columns)
    dashboard_scope = models.CharField(
        _("dashboard scope"),
        max_length=40,
        blank=True,
        db_default="",
        help_text=_("Whose jobs the dashboard shows: all, mine, or the id of a team; empty for the role's default."),
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("UI preferences")
        verbose_name_plural = _("UI preferences")

    def __str__(self) -> str:
        return f"UI preferences of {self.user}"
