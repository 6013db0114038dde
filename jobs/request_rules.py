"""The validation rules of a job's request: headers, query, text, rules of success, variables and secrets."""

from __future__ import annotations

import re
from typing import Any

from django.utils import timezone

from core.api import payload
from core.api.errors import Checks, invalid_field
from core.headers import is_ours, is_value
from jobs import content, success_rules
from jobs.models import Job
from jobs.request_fields import MOST_HEADERS, Body, Method
from jobs.targets.kinds import Target
from jobs.templating import language
from jobs.templating.language import Expression, TemplateError
from settings_app import sent_secrets
from settings_app.models import Secret, WebhookCredential

_LONGEST_VALUE = 4096
_MOST_PARAMETERS = 64
# RFC 9110 section 5.6.2: a token.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)


def headers(value: Any) -> dict[str, str] | None:
    """Validate headers: names and values by RFC 9110 section 5; None for none."""
    found = _texts(value, "headers")
    if len(found) > MOST_HEADERS:
        raise invalid_field("headers", f"At most {MOST_HEADERS} headers are allowed; these are {len(found)}.")
    seen: set[str] = set()
    for name, text in found.items():
        low = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            raise invalid_field("headers", f"'{name[:60]}' is no name of a header: use letters, digits and '-'.")
        if is_ours(name):
            raise invalid_field("headers", f"The header '{name}' is Cronsched's own: leave it out.")
        if low in seen:
            raise invalid_field("headers", f"The header '{name}' is there twice.")
        seen.add(low)
        if not is_value(text):
            raise invalid_field(
                "headers",
                f"The value of '{name}' holds characters that no header can: encode it, such as by %E3%81%82.",
            )
    return found or None


def query(value: Any) -> dict[str, str] | None:
    """Validate the parameters of a query; None for none."""
    found = _texts(value, "query")
    if len(found) > _MOST_PARAMETERS:
        raise invalid_field("query", f"At most {_MOST_PARAMETERS} parameters are allowed; these are {len(found)}.")
    return found or None


def body_text(value: Any) -> str:
    """Validate the text of a body; it keeps its white space."""
    if value is None:
        return ""
    if not isinstance(value, str) or "\x00" in value:
        raise invalid_field("body_text", "'body_text' must be text, without the NUL character.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise invalid_field("body_text", "'body_text' holds single surrogates, which cannot be sent.") from None
    if size > content.LARGEST:
        raise invalid_field("body_text", f"The text is too large: {size:,} bytes; 64 KiB are allowed.")
    return value


def success_status(value: Any) -> str:
    """Validate the list of statuses that are a success."""
    text = payload.text(value, "success_status", limit=100)
    try:
        success_rules.statuses_of(text)
    except ValueError as exc:
        raise invalid_field("success_status", str(exc)) from exc
    return text


def success_body(value: Any) -> str:
    """Validate the rule for the body of an answer."""
    text = payload.text(value, "success_body", limit=500)
    try:
        success_rules.body_rule(text)
    except ValueError as exc:
        raise invalid_field("success_body", str(exc)) from exc
    return text


def webhook_credential(value: Any) -> WebhookCredential | None:
    """Find a webhook credential by name; blank is none."""
    name = payload.text(value, "webhook_credential", limit=100)
    found = WebhookCredential.objects.filter(name=name).first() if name else None
    if name and found is None:
        raise invalid_field("webhook_credential", f"There is no webhook credential '{name[:60]}'.")
    return found


def _texts(value: Any, field: str) -> dict[str, str]:
    if value is None:
        return {}
    found = payload.mapping(value, field)
    for name, text in found.items():
        if not isinstance(text, str):
            raise invalid_field(field, f"The value of '{name[:60]}' must be text.")
        if not name or "\x00" in name + text or len(name) > _LONGEST_VALUE or len(text) > _LONGEST_VALUE:
            raise invalid_field(
                field,
                f"'{name[:60]}' must have a name and a value of at most {_LONGEST_VALUE} characters, without NUL.",
            )
        try:
            (name + text).encode()
        except UnicodeEncodeError:
            raise invalid_field(field, f"'{name[:60]}' holds single surrogates, which cannot be sent.") from None
    return found


def check(job: Job, target: Target, *, by: Any) -> None:
    """Check the parts of a request together: the method with the body, the variables, and that the secrets are for the
    URL's host and the job's team. `job` has the values to be saved, stored or not; `by`: None for an operator's
    command. Raises a `DomainError` naming the field.
    """
    if job.method in {Method.GET, Method.HEAD} and job.body == Body.TEXT and job.body_text:
        raise invalid_field("body", f"A {job.method} request has no body: choose POST, or no body.")
    if job.method == Method.HEAD and job.success_body:
        raise invalid_field("success_body", "The answer to a HEAD request has no body: choose GET.")
    if not job.templated:
        _refuse_unrendered(job, target)
    used = _variables(job, target) if job.templated else []
    host, port = target.receiver
    checks = Checks()
    for field, name in dict.fromkeys(
        (field, one.name.removeprefix(language.SECRETS)) for field, one in used if one.name.startswith(language.SECRETS)
    ):
        with checks.check():
            secret = Secret.objects.filter(name=name).first()
            if secret is None:
                raise invalid_field(field, f"There is no secret '{name}': an admin adds it.")
            sent_secrets.check(secret, host, port, job.pic_team_id, by, field=field)
    with checks.check():
        if job.webhook_credential is not None:
            sent_secrets.check(job.webhook_credential, host, port, job.pic_team_id, by, field="webhook_credential")
    checks.finish()
    if job.templated:
        _try_out(job, target)


def secret_names(job: Job) -> set[str]:
    """The names of the secrets that a job's request holds."""
    if not job.templated:
        return set()
    found: set[str] = set()
    for value in content.Content.of(job).parts().values():
        try:
            expressions = language.expressions(value)
        except TemplateError:
            continue
        found |= {
            one.name.removeprefix(language.SECRETS) for one in expressions if one.name.startswith(language.SECRETS)
        }
    return found


def _refuse_unrendered(job: Job, target: Target) -> None:
    """A new field with a placeholder that nothing would replace, and a URL that is none without being rendered."""
    for field, value in (("headers", job.headers), ("query", job.query)):
        if any("{{" in text for text in (value or {}).values()):
            raise invalid_field(field, f"'{field}' holds variables: switch 'templated' on, so that they are put in.")
    for field, text in target.rendered_texts().items():
        if "{{" in text and any(char.isspace() for char in text):
            raise invalid_field(
                field,
                "The URL holds variables: switch 'templated' on, so that they are put in.",
                error=f"Invalid {field}",
            )


def _variables(job: Job, target: Target) -> list[tuple[str, Expression]]:
    """The placeholders of a request with their fields. Raises `Invalid` for one that may not be there."""
    found: list[tuple[str, Expression]] = []
    checks = Checks()
    for field, value in {**content.Content.of(job).parts(), **target.rendered_texts()}.items():
        with checks.check():
            try:
                expressions = language.expressions(value)
            except TemplateError as exc:
                raise _invalid(field, f"'{field}': {exc}.") from exc
            for one in expressions:
                _refuse_misplaced(field, one, target)
            found += [(field, one) for one in expressions]
    checks.finish()
    return found


def _refuse_misplaced(field: str, one: Expression, target: Target) -> None:
    if one.name == language.ATTEMPT and field != "headers":
        raise _invalid(
            field, "The variable 'attempt' is for headers only: everything else is the same in each attempt."
        )
    is_secret = one.name.startswith(language.SECRETS)
    if is_secret and (field not in {"headers", "query", "metadata", "body_text"} or not target.accepts_secrets):
        raise _invalid(field, "Secrets are for headers, query and body of a webhook.")


def _try_out(job: Job, target: Target) -> None:
    """Render the request once, so that what cannot be made, sent or stored is refused now."""
    now = timezone.now()
    values = content.values_of(job, execution_id="0" * 36, trigger="scheduled", scheduled_for=now, succeeded_for=now)
    try:
        rendered = content.render(job, target, content.Content.of(job), values)
    except ValueError as exc:
        raise invalid_field("templated", f"The request cannot be made: {exc}.") from exc
    large = rendered.content.too_large()
    if large:
        raise _invalid(large, f"'{large}' becomes too large with its variables put in.")
    for name, text in (rendered.content.headers or {}).items():
        if not language.readable(text).isascii():
            raise _invalid("headers", f"'{name}' becomes a text that no header can hold: job.name is for bodies.")


def _invalid(field: str, message: str) -> Exception:
    error = f"Invalid {field}" if field in {"metadata", "target_url"} else "Invalid payload"
    return invalid_field(field, message, error=error)
