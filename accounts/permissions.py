"""Who may call what: the roles of the contract, as Django REST framework permissions."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User
from contract.errors import Forbidden, Unauthorized


def require_login(request: Request | HttpRequest) -> User:
    """The caller's account. Raises `Unauthorized` without one."""
    if not isinstance(request.user, User):
        raise Unauthorized("Authentication required", "Log in and send the access token as 'Authorization: Bearer'.")
    return request.user


def insufficient(message: str) -> Forbidden:
    return Forbidden("Insufficient permissions", message)


class IsAdmin(BasePermission):
    """Role admin, for every method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not require_login(request).is_admin:
            raise insufficient("This needs the role admin.")
        return True


class ReadOrAdmin(IsAdmin):
    """Everybody reads, admins write."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return bool(require_login(request))
        return super().has_permission(request, view)


class ReadOrMayCreateJobs(BasePermission):
    """Everybody reads; admins and users write. Whose job it is, the services decide."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = require_login(request)
        if request.method not in {"GET", "HEAD", "OPTIONS"} and not user.may_create_jobs:
            raise insufficient("This needs the role admin or user.")
        return True
