"""Users, roles, API logins, failed logins and API tokens."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession
from django.core.validators import MinLengthValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key

from accounts.roles import grants, grants_any
from core.db.encryption import EncryptedTextField


class Role(models.TextChoices):
    """What a user may do: admins everything, users their own jobs, viewers read."""

    ADMIN = "admin", _("Admin")
    USER = "user", _("User")
    VIEWER = "viewer", _("Viewer")


_RANKS = {Role.VIEWER.value: 1, Role.USER.value: 2, Role.ADMIN.value: 3}


class UserManager(BaseUserManager["User"]):
    """Looks up users case-insensitively."""

    def by_identity(self, identity: str) -> User | None:
        """The user with this username or e-mail address, or None. Usernames contain no '@', so at most one user
        matches.
        """
        identity = identity.strip().lower()
        return self.filter(Q(username=identity) | Q(email=identity)).first()

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username=(username or "").lower())

    def create_user(self, username: str, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a user with username and e-mail in lower case, without validation (see `accounts.services`)."""
        user = self.model(username=username.lower(), email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(username, email, password, role=Role.ADMIN, **fields)

    def active_admins(self) -> models.QuerySet[User]:
        return self.filter(role=Role.ADMIN, is_active=True)

    def lock_admins(self) -> None:
        """Lock the active admins until the transaction ends, so that two admins cannot remove each other."""
        list(self.active_admins().select_for_update().order_by("pk").values_list("pk"))


class User(AbstractBaseUser, PermissionsMixin):
    """A person or program with an account. The role decides all permissions; there is no separate staff flag."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(
        _("username"),
        max_length=80,
        unique=True,
        validators=[
            MinLengthValidator(3),
            RegexValidator(r"^[A-Za-z0-9_-]+\Z", "Use letters, digits, '_' and '-' only."),
        ],
        help_text=_("3 to 80 letters, digits, '_' or '-'; stored in lower case."),
    )
    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.VIEWER)
    is_active = models.BooleanField(
        _("enabled"), default=True, help_text=_("An inactive account cannot sign in; its tokens end at once.")
    )
    admin_access = models.BooleanField(
        _("admin access"),
        default=False,
        help_text=_("Admins always may. Users work on their own jobs there, viewers read."),
    )
    email_confirmed = models.BooleanField(
        _("e-mail address confirmed"),
        default=True,
        db_default=True,
        help_text=_(
            "Single sign-on finds an account by its address. An address that users have changed themselves counts once "
            "an admin has confirmed it."
        ),
    )
    single_sign_on_id = models.CharField(
        _("single sign-on identity"),
        max_length=600,
        unique=True,
        null=True,
        editable=False,
        help_text=_("Issuer and subject, bound at the first single sign-on."),
    )
    access_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects: ClassVar[UserManager] = UserManager()
    # Role, status and version as they are in the database.
    _stored: tuple[str | None, bool | None, int | None] | None = None

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["username"]
        constraints = [
            models.CheckConstraint(condition=Q(username=Lower("username")), name="user_username_lower_case"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower_case"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="user_role_known"),
        ]

    @classmethod
    def from_db(  # type: ignore[override]  # the stubs describe a later Django
        cls, db: str | None, field_names: Collection[str], values: Collection[Any]
    ) -> User:
        user = super().from_db(db, field_names, values)
        loaded = dict(zip(field_names, values, strict=False))
        user._stored = (loaded.get("role"), loaded.get("is_active"), loaded.get("access_version"))
        return user

    @transaction.atomic
    def save(self, *args: Any, keep: LoginSession | None = None, **kwargs: Any) -> None:
        """Save; a new password and a disabled account end all sessions, logins and API tokens of the account but the
        login `keep`, and they do not come back when the account is enabled again. A lower role ends the API tokens;
        sessions and logins go on with it.
        """
        ends, is_demoted = self._ends_access(), self._is_demoted()
        if ends:
            self.access_version = ((self._stored and self._stored[2]) or 0) + 1
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "access_version"}
        super().save(*args, **kwargs)
        if ends or is_demoted:
            self.api_tokens.all().delete()
        if ends:
            self.web_sessions.all().delete()
            others = self.login_sessions.exclude(pk=keep.pk) if keep else self.login_sessions.all()
            others.delete()
            self.login_sessions.update(auth_hash=self.get_session_auth_hash())
        self._stored = (self.role, self.is_active, self.access_version)

    def _ends_access(self) -> bool:
        if self._stored is None:
            return False
        _role, was_active, version = self._stored
        is_disabled = was_active and not self.is_active
        return bool(getattr(self, "_password", None) is not None or is_disabled or self.access_version != version)

    def _is_demoted(self) -> bool:
        was = self._stored[0] if self._stored else None
        return _RANKS.get(self.role, 0) < _RANKS.get(was or "", 0)

    def get_session_auth_hash(self) -> str:
        """Ties sessions and logins to the password and to `access_version`."""
        return self._tied(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same under each former `SECRET_KEY`."""
        hashes = super().get_session_auth_fallback_hash()
        for found, key in zip(hashes, settings.SECRET_KEY_FALLBACKS, strict=True):
            yield self._tied(found, key)

    def _tied(self, found: str, key: str | None = None) -> str:
        # Version 0 is that of accounts from before the column: their sessions go on.
        return (
            salted_hmac(f"access {self.access_version}", found, secret=key).hexdigest()
            if self.access_version
            else found
        )

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_staff(self) -> bool:
        """Whether the user may enter the Django admin."""
        return self.is_admin or self.admin_access

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Whether the role holds a permission (`accounts.roles`)."""
        return self.is_active and (self.is_admin or grants(self.role, perm))

    def has_module_perms(self, app_label: str) -> bool:
        """Whether the role holds a permission of an app."""
        return self.is_active and (self.is_admin or grants_any(self.role, app_label))

    @property
    def is_superuser(self) -> bool:  # type: ignore[override]
        """Admins hold every Django permission."""
        return self.is_admin

    @property
    def may_create_jobs(self) -> bool:
        return self.has_perm("jobs.add_job")

    def clean(self) -> None:
        super().clean()
        self.username = self.username.lower()
        self.email = self.email.lower()


class LoginSession(models.Model):
    """One login through the API. Its access and refresh tokens name it (`sid`) and are revoked when the row is
    deleted.
    """

    way: ClassVar[str] = "API"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_sessions", verbose_name=_("user"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"), help_text=_("When its refresh token ends."))
    address = models.GenericIPAddressField(_("address"), null=True)
    second_factor = models.BooleanField(_("second factor"), default=False, db_default=False)
    auth_hash = models.CharField(
        _("auth hash"), max_length=128, help_text=_("Ties the login to the password it was made with.")
    )

    class Meta:
        verbose_name = _("API login")
        verbose_name_plural = _("API logins")
        indexes = [models.Index(fields=["expires_at"], name="login_session_expiry")]

    def __str__(self) -> str:
        return f"login of {self.user}"


class AppDevice(TOTPDevice):  # type: ignore[misc]  # the library has no types
    """The authenticator app of a user, with its secret encrypted. The library's own column for it holds a random value
    that opens nothing.
    """

    secret = EncryptedTextField(_("secret"), default=default_key, editable=False, help_text=_("Hexadecimal."))

    class Meta:
        verbose_name = _("authenticator app")
        verbose_name_plural = _("authenticator apps")

    @property
    def bin_key(self) -> bytes:
        """The secret in bytes."""
        return bytes.fromhex(self.secret)


class WebSession(AbstractBaseSession):
    """A session of the admin, under the digest of its key (`accounts.auth.web_sessions`)."""

    way: ClassVar[str] = "admin"

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, related_name="web_sessions", verbose_name=_("user")
    )
    address = models.GenericIPAddressField(_("address"), null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    seen_at = models.DateTimeField(_("last used at"), default=timezone.now, help_text=_("By the minute."))
    second_factor = models.BooleanField(_("second factor"), default=False, db_default=False)

    class Meta:
        verbose_name = _("web session")
        verbose_name_plural = _("web sessions")

    def __str__(self) -> str:
        return f"session of {self.user}"

    @classmethod
    def get_session_store_class(cls) -> Any:
        return import_module(settings.SESSION_ENGINE).SessionStore


class LoginFailures(models.Model):
    """The number of failed logins with a name from an address since `since`; '' stands for every name or address.

    `not_before`: the time before which no further attempt is checked.
    """

    identity = models.CharField(_("identity"), max_length=254)
    address = models.CharField(_("address"), max_length=45)
    count = models.PositiveIntegerField(_("count"), default=0, db_default=0)
    since = models.DateTimeField(_("since"), default=timezone.now, db_default=Now())
    not_before = models.DateTimeField(_("not before"), null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["identity", "address"], name="login_failures_unique")]

    def __str__(self) -> str:
        return f"{self.count} failures of {self.identity}"


class ApiToken(models.Model):
    """A personal token for scripts and CI. It is shown once; stored are its digest and its first characters."""

    class Scope(models.TextChoices):
        READ = "read", _("Read")
        WRITE = "write", _("Read and write")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100)
    scope = models.CharField(_("scope"), max_length=5, choices=Scope.choices, default=Scope.READ)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    beginning = models.CharField(_("beginning"), max_length=12, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"))
    last_used_at = models.DateTimeField(_("last used at"), null=True, editable=False, help_text=_("By the minute."))

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="api_token_name_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"
