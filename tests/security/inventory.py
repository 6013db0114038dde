"""Every address of the product: the operations of the API's document, and the pages of the admin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.urls import URLPattern, URLResolver, get_resolver

NOBODY = str(UUID(int=0))


def admin_paths(pk: str = NOBODY) -> list[str]:
    """The path of every page of the admin; pages of one object get `pk`."""
    return sorted({filled(f"admin/{pattern}", pk) for pattern in admin_patterns()})


def admin_patterns() -> list[str]:
    """What follows `/admin/` in the URL pattern of each page."""
    return sorted(pattern.removeprefix("admin/") for pattern in patterns() if pattern.startswith("admin/"))


def patterns() -> set[str]:
    """Every URL pattern of the site."""
    return set(_patterns(get_resolver(), ""))


def _patterns(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for entry in resolver.url_patterns:
        here = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield here
        else:
            yield from _patterns(entry, here)


def filled(pattern: str, pk: str) -> str:
    """The path of a URL pattern, with `pk` for each of its parameters."""
    text = re.sub(r"<(?:\w+:)?\w+>", pk, pattern)
    # The catch-all of the admin site, and patterns that are regular expressions.
    text = re.sub(r"\(\?P<\w+>[^)]*\)", pk, text)
    return "/" + text.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\", "")


def operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and path of every operation of an OpenAPI document, sorted."""
    return sorted(
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in {"get", "post", "put", "patch", "delete"}
    )
