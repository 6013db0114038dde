"""Operations on accounts and logins. Each is one transaction and raises `DomainError`s."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.auth import login_throttle
from accounts.auth.open_sessions import open_sessions
from accounts.models import LoginSession, Role, User, WebSession
from accounts.second_factor import devices as second_factor
from audit import events
from audit.events import Event
from core.api import payload
from core.api.errors import Checks, Conflict, Forbidden, Invalid, NotFound, Unauthorized, invalid_field
from core.runtime import request_context


def check_credentials(
    identity: str, password: str, *, address: str, confirm: Callable[[User], None] | None = None
) -> User:
    """The account with this username or e-mail address and password.

    Unknown accounts and wrong passwords get the same answer in the same time; failed logins are throttled. `confirm`
    asks for more than the password; what it raises is a failed login.
    """
    identity = identity.strip().lower()
    login_throttle.attempt(identity, address)
    user = User.objects.by_identity(identity)
    if user is None:
        make_password(password)
    if user is None or not user.check_password(password):
        _failed(user)
        raise Unauthorized("Invalid email/username or password", "Check the name and the password, and try again.")
    if confirm and user.is_active:
        confirm(user)
    login_throttle.succeeded(identity, address)
    if not user.is_active:
        raise Unauthorized("Account is inactive. Contact administrator.", "Account is inactive. Contact administrator.")
    return user


def _failed(user: User | None) -> None:
    # What was typed is not stored: it may be a password.
    events.note(Event.LOGIN_FAILED, user.username if user else "(unknown account)", about=user.pk if user else None)


def log_in(identity: str, password: str, *, otp: Any = None, address: str) -> LoginSession:
    """Check the credentials and create a login session; see `check_credentials`.

    `otp`: the code of the second factor, for accounts that need one. Raises `Second factor required` without it, and
    `Invalid second factor` for a wrong one.
    """
    user = check_credentials(identity, password, address=address, confirm=partial(_confirm, otp, address))
    now = timezone.now()
    events.note(Event.LOGIN, user.username, by=user, about=user.pk, way="API")
    with transaction.atomic():
        LoginSession.objects.filter(expires_at__lte=now).delete()
        User.objects.filter(pk=user.pk).update(last_login=now)
        return LoginSession.objects.create(
            user=user,
            expires_at=now + dt.timedelta(seconds=settings.JWT_REFRESH_TOKEN_EXPIRES),
            address=address or None,
            # Then a code was asked for.
            second_factor=second_factor.is_needed_by(user),
            auth_hash=user.get_session_auth_hash(),
        )


def _confirm(otp: Any, address: str, user: User) -> None:
    if not second_factor.is_needed_by(user):
        return
    if not second_factor.has_one(user):
        raise _second_factor(
            "Second factor required", "Set one up at /second-factor/ of the admin, then log in with its code as 'otp'."
        )
    if otp is None or otp == "":
        raise _second_factor("Second factor required", "Send the code of your app, or a backup code, as 'otp'.")
    if not isinstance(otp, str) or second_factor.shown_by(user, otp, address) is None:
        raise _second_factor("Invalid second factor", "That is not the code, or it was used already: send the next.")


def _second_factor(error: str, message: str) -> Unauthorized:
    return Unauthorized(error, message, fields={"otp": [message]})


def log_out(session: LoginSession) -> None:
    """Revoke the access and refresh tokens of this login only."""
    events.note(Event.LOGOUT, session.user.username, about=session.user_id, way="API")
    LoginSession.objects.filter(pk=session.pk).delete()


def note_ended(session: LoginSession | WebSession) -> None:
    """Put the end of a session by somebody into the audit trail."""
    if session.user is not None:
        events.note(Event.LOGIN_ENDED, session.user.username, about=session.user_id, way=session.way)


def end_session(session_id: str, *, by: User) -> None:
    """End one of a user's own sessions. Raises `Session not found`."""
    for session in open_sessions(by):
        if str(session.pk) == session_id.lower():
            note_ended(session)
            session.delete()
            return
    raise NotFound("Session not found", f"You have no session with the id '{session_id[:60]}'.")


def register(data: dict[str, Any]) -> User:
    """Create an account from the contract's fields. Raises `Invalid`, and `Conflict` for a taken name or address."""
    user, checks = User(), Checks()
    with checks.check():
        user.username = _username(user, data.get("username"))
    with checks.check():
        user.email = _email(data.get("email"))
    with checks.check():
        user.role = _role(data.get("role") if data.get("role") is not None else Role.VIEWER, "Invalid payload")
    with checks.check():
        user.is_active = True if data.get("is_active") is None else payload.boolean(data["is_active"], "is_active")
    with checks.check():
        password = _password(data.get("password"), user)
    checks.finish()
    user.set_password(password)
    return _saved(user)


@transaction.atomic
def admit(username: str, email: str, role: str) -> User:
    """Create an account without a password for single sign-on; it may enter the admin with the permissions of its
    role.
    """
    try:
        with transaction.atomic():
            return User.objects.create_user(username, email, None, role=role, admin_access=True)
    except IntegrityError as exc:
        # Two first logins at once.
        raise _email_taken() from exc


# What the API changes of an account.
_CHANGED = ("email", "password", "role", "is_active")
# What takes the password of who changes it of his own account.
_OWN = ("username", "email", "password")


def update_user(
    user_id: str,
    changes: dict[str, Any],
    *,
    by: User,
    keep: LoginSession | None = None,
    fields: tuple[str, ...] = _CHANGED,
) -> tuple[User, list[str]]:
    """Change `fields` of an account; other keys are ignored.

    A new password ends the user's other logins and API tokens; `keep` stays valid. Changing one's own name, address or
    password takes `current_password`, unless `keep` has just begun. Raises `Current password required`.
    Returns the user and the names of the fields that were sent.
    """
    sent = [name for name in fields if changes.get(name) is not None]
    if not by.is_admin and user_id.lower() != str(by.pk):
        raise _forbidden("Forbidden. You can only update your own profile.")
    user = get_user(user_id)
    if "role" in sent and not by.is_admin:
        raise _forbidden("Only admins can change user roles")
    if "is_active" in sent and not by.is_admin:
        raise _forbidden("Only admins can change user active status")
    if not sent:
        raise Invalid("No valid fields to update", "Send at least one of email, password, role, is_active.")
    # Forms send the whole profile.
    wanted = {name: changes[name] for name in sent if not _is_same(user, name, changes[name])}
    if user.pk == by.pk and any(name in wanted for name in _OWN):
        _confirm_owner(user, changes.get("current_password"), keep)
    values = _clean_changes(user, wanted)
    with transaction.atomic():
        User.objects.lock_admins()
        user = get_user(user_id, lock=True)
        for name, value in values.items():
            setattr(user, name, value)
        if "password" in values:
            user.access_version += 1
        if "email" in values:
            user.email_confirmed = by.is_admin
        _keep_an_admin(user, by)
        user = _saved(user, keep)
    return user, sent


def _is_same(user: User, name: str, value: Any) -> bool:
    return name in {"username", "email"} and isinstance(value, str) and value.strip().lower() == getattr(user, name)


def reauthenticate(user: User, password: str) -> None:
    """Check the user's current password; wrong ones count as failed logins. Raises `Current password is wrong`."""
    address = request_context.address()
    login_throttle.attempt(user.username, address)
    if not user.check_password(password):
        _failed(user)
        raise _password_required("Current password is wrong", "Check it, and send it again as 'current_password'.")
    login_throttle.succeeded(user.username, address)


def _confirm_owner(user: User, password: Any, login: LoginSession | None) -> None:
    """Check that it is the owner of the account who asks, not somebody who found an access token."""
    if isinstance(password, str) and password:
        reauthenticate(user, password)
        return
    recently = timezone.now() - dt.timedelta(seconds=settings.REAUTHENTICATE_AFTER_SECONDS)
    if login is None or login.created_at < recently:
        raise _password_required(
            "Current password required", "Send it as 'current_password', or log in again and repeat the change."
        )


def _password_required(error: str, message: str) -> Forbidden:
    return Forbidden(error, message, fields={"current_password": [message]})


def _clean_changes(user: User, changes: dict[str, Any]) -> dict[str, Any]:
    """The new column values. The password is hashed here, before the transaction, since hashing is slow."""
    values: dict[str, Any] = {}
    checks = Checks()
    with checks.check():
        if "username" in changes:
            values["username"] = _username(user, changes["username"])
    with checks.check():
        if "email" in changes:
            values["email"] = user.email = _email(changes["email"])
    with checks.check():
        if "role" in changes:
            values["role"] = _role(changes["role"], "Invalid role")
    with checks.check():
        if "is_active" in changes:
            values["is_active"] = payload.boolean(changes["is_active"], "is_active")
    with checks.check():
        if "password" in changes:
            values["password"] = make_password(_password(changes["password"], user))
    checks.finish()
    return values


@transaction.atomic
def delete_user(user_id: str, *, by: User) -> User:
    """Delete an account; its jobs stay without an owner. Returns the deleted account."""
    User.objects.lock_admins()
    user = get_user(user_id, lock=True)
    if user.pk == by.pk:
        raise Invalid("Cannot delete your own account", "Ask another admin to delete your account.")
    if user.is_admin and user.is_active and not User.objects.active_admins().exclude(pk=user.pk).exists():
        raise _last_admin()
    deleted = User(id=user.pk, username=user.username)
    user.delete()
    return deleted


def get_user(user_id: str, *, lock: bool = False) -> User:
    """The account with this id. Raises `User not found`."""
    users = User.objects.select_for_update() if lock else User.objects.all()
    pk = payload.uuid_or_404(user_id, "User not found", f"There is no user '{user_id}'.")
    user = users.filter(pk=pk).first()
    if user is None:
        raise NotFound("User not found", f"There is no user '{user_id}'.")
    return user


def _keep_an_admin(user: User, by: User) -> None:
    stays = user.is_admin and user.is_active
    if not stays and user.pk == by.pk and by.is_admin:
        raise Invalid("Cannot demote or disable yourself", "Ask another admin to change your role or status.")
    was_admin = User.objects.active_admins().filter(pk=user.pk).exists()
    if was_admin and not stays and not User.objects.active_admins().exclude(pk=user.pk).exists():
        raise _last_admin()


def _last_admin() -> Invalid:
    return Invalid("Last active admin", "This is the last active admin: make another admin first.")


def _forbidden(error: str) -> Forbidden:
    return Forbidden(error, error)


def _username(user: User, value: Any) -> str:
    name = payload.text(value, "username", limit=80).lower()
    try:
        return str(User._meta.get_field("username").clean(name, user))
    except ValidationError as exc:
        raise invalid_field("username", " ".join(exc.messages)) from exc


def _email(value: Any) -> str:
    email = payload.text(value, "email", limit=254).lower()
    try:
        validate_email(email)
    except ValidationError:
        raise invalid_field("email", "Write a valid e-mail address, such as name@example.com.") from None
    return email


def _role(value: Any, error: str) -> str:
    if not isinstance(value, str) or value.strip() not in Role.values:
        raise invalid_field("role", f"The role must be one of {', '.join(Role.values)}.", error=error)
    return value.strip()


def _password(value: Any, user: User) -> str:
    if not isinstance(value, str) or not value:
        raise invalid_field("password", "Write a password.")
    try:
        validate_password(value, user)
    except ValidationError as exc:
        raise Invalid("Invalid password", " ".join(exc.messages), fields={"password": exc.messages}) from exc
    return value


def _saved(user: User, keep: LoginSession | None = None) -> User:
    """Save; a taken name or address raises the contract's error, also if another request took it at the same time."""
    others = User.objects.exclude(pk=user.pk)
    if others.filter(username=user.username).exists():
        raise Conflict("Username already exists", "Choose another username.", fields={"username": ["Is taken."]})
    if others.filter(email=user.email).exists():
        raise _email_taken()
    try:
        with transaction.atomic():
            user.save(keep=keep)
    except IntegrityError as exc:
        if others.filter(email=user.email).exists():
            raise _email_taken() from exc
        raise Conflict(
            "Username already exists", "Choose another username.", fields={"username": ["Is taken."]}
        ) from exc
    return user


def _email_taken() -> Conflict:
    return Conflict("Email already exists", "Use another e-mail address.", fields={"email": ["Is taken."]})


def ensure_first_admin(username: str, email: str, password: str) -> User | None:
    """Create the first admin unless there is an admin; returns it if it was created."""
    if User.objects.filter(role=Role.ADMIN).exists():
        return None
    return register({"username": username, "email": email, "password": password, "role": Role.ADMIN})
