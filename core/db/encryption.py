"""Encryption of secrets in the database: Fernet (AES-128-CBC and HMAC-SHA256), with the keys of the settings."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from core.api.errors import DomainError


class UndecryptableError(DomainError):
    """No key of `CRONSCHED_ENCRYPTION_KEYS` decrypts a stored value: 503, because only an operator can repair it."""

    status = 503


def _box() -> MultiFernet:
    return _box_of(tuple(settings.CRONSCHED_ENCRYPTION_KEYS))


@lru_cache(maxsize=8)
def _box_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys])


def encrypt(text: str) -> str:
    """Encrypt a text with the first key."""
    return _box().encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """Decrypt a text with any of the keys. Raises `UndecryptableError`."""
    try:
        return _box().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise UndecryptableError(
            "Secret cannot be opened",
            "A secret in the database cannot be opened: add the key it was stored with to CRONSCHED_ENCRYPTION_KEYS.",
        ) from None


class EncryptedTextField(models.TextField[Any, Any]):
    """Text that is encrypted in the database and plain in Python; '' is stored unencrypted."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return encrypt(value) if value else value

    def from_db_value(self, value: Any, *_: Any) -> Any:
        return decrypt(value) if value else value


def encrypted_fields() -> list[tuple[type[models.Model], str]]:
    """Every column that holds secrets."""
    from django.apps import apps

    return [
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, EncryptedTextField)
    ]
