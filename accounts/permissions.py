"""The contract's roles as permissions of Django REST framework."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import ApiToken, User
from core.api.errors import Forbidden, Unauthorized

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def require_login(request: Request | HttpRequest) -> User:
    """The caller's account. Raises `Unauthorized` without one."""
    if not isinstance(request.user, User):
        raise Unauthorized("Authentication required", "Log in and send the access token as 'Authorization: Bearer'.")
    return request.user


def insufficient(message: str) -> Forbidden:
    return Forbidden("Insufficient permissions", message)


class NotByApiToken(BasePermission):
    """API tokens may read but not write: for views of accounts, sessions and tokens.

    Otherwise a stolen token could be turned into permanent access.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method not in _SAFE and isinstance(request.auth, ApiToken):
            raise insufficient("API tokens cannot change accounts, sessions or tokens. Log in.")
        return True


class IsAdmin(BasePermission):
    """Role admin, for every method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not require_login(request).is_admin:
            raise insufficient("This needs the role admin.")
        return True


class ReadOrAdmin(IsAdmin):
    """Every role may read, admins may write."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method in _SAFE:
            return bool(require_login(request))
        return super().has_permission(request, view)


class ReadOrMayCreateJobs(BasePermission):
    """Every role may read; admins and users may write. The services check who owns a job."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = require_login(request)
        if request.method not in _SAFE and not user.may_create_jobs:
            raise insufficient("This needs the role admin or user.")
        return True
