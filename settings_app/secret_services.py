"""Operations on secrets and webhook credentials, with the validation of the admin's forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import ProtectedError
from django.forms.models import model_to_dict
from django.utils import translation

from core.api import payload
from core.api.errors import Checks, Conflict, NotFound, invalid_field
from settings_app.forms import SecretForm, SentSecretForm, WebhookCredentialForm
from settings_app.models import Secret, SentSecret, WebhookCredential

M = TypeVar("M", bound=SentSecret)
_FORMS: dict[type[SentSecret], type[SentSecretForm]] = {Secret: SecretForm, WebhookCredential: WebhookCredentialForm}
# The fields of the API that the form calls otherwise, because it shows no stored secret.
_NEW = {"value": "new_value", "secret": "new_secret", "client_key": "new_client_key"}
_MOST_JOBS = 5


def get(model: type[M], name: str) -> M:
    """The secret or credential with this name or id. Raises `Secret not found` or `Webhook credential not found`."""
    label = str(model._meta.verbose_name)
    rows: Any = model._default_manager.prefetch_related("teams")
    found: M | None = rows.filter(name=name).first() or rows.filter(pk=payload.uuid_or_nil(name)).first()
    if found is None:
        with translation.override("en"):
            raise NotFound(f"{label.capitalize()} not found", f"There is no {label} '{name[:60]}'.")
    return found


@transaction.atomic
def save(model: type[M], data: Mapping[str, Any], row: Any = None) -> M:
    """Create a secret or credential, or change the given fields of one. Raises `Invalid payload` naming the field."""
    with translation.override("en"):
        kind = _FORMS[model]
        if row is not None and model is Secret and data.get("name", row.name) != row.name:
            raise invalid_field("name", "Requests know a secret by its name: add another one instead.")
        form = kind(_form_data(kind, data, row), instance=row)
        if not form.is_valid():
            checks = Checks()
            for name, messages in form.errors.items():
                field = next((api for api, own in _NEW.items() if own == name), "" if name == "__all__" else name)
                with checks.check():
                    raise invalid_field(field, str(messages[0]))
            checks.finish()
        saved: M = form.save()
        return saved


def _form_data(kind: type[SentSecretForm], data: Mapping[str, Any], row: Any) -> dict[str, Any]:
    model: Any = kind._meta.model
    blank = model()
    values = model_to_dict(row if row is not None else blank, fields=kind._meta.fields)
    if row is not None and "signs_with_previous" in kind.base_fields:
        values["signs_with_previous"] = model.objects.filter(pk=row.pk).exclude(previous_secret="").exists()
    checks = Checks()
    for name in (*kind.base_fields, *_NEW):
        if data.get(name) is None:
            continue
        with checks.check():
            if name == "teams":
                values[name] = _teams(model, data[name])
            elif name == "allowed_hosts":
                values[name] = "\n".join(_texts(data[name], name))
            elif name == "signs_with_previous":
                values[name] = payload.boolean(data[name], name)
            elif name not in _NEW.values():
                values[_NEW.get(name, name)] = payload.text(data[name], name, limit=64 * 1024)
    checks.finish()
    return values


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise invalid_field(name, f"Send '{name}' as a list of texts.")
    return value


def _teams(model: Any, value: Any) -> list[Any]:
    slugs = _texts(value, "teams")
    found = dict(model._meta.get_field("teams").related_model.objects.filter(slug__in=slugs).values_list("slug", "pk"))
    missing = [slug for slug in slugs if slug not in found]
    if missing:
        raise invalid_field("teams", f"There is no team '{missing[0][:60]}': create it first.")
    return list(found.values())


@transaction.atomic
def delete(row: SentSecret) -> None:
    """Delete a secret or credential. Raises `Secret in use` or `Webhook credential in use` with the jobs."""
    try:
        row.delete()
    except ProtectedError as exc:
        names = sorted(str(one) for one in exc.protected_objects)
        more = f" and {len(names) - _MOST_JOBS} more" if len(names) > _MOST_JOBS else ""
        with translation.override("en"):
            label = str(row._meta.verbose_name)
        raise Conflict(
            f"{label.capitalize()} in use", f"It is used by {', '.join(names[:_MOST_JOBS])}{more}: change them first."
        ) from exc
