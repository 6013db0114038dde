"""The structure that import-linter cannot state: no import cycles, and no floor that names pages of a higher one."""

from __future__ import annotations

import re

import grimp
import pytest

from tests.support.installation import ROOT

APPS = (
    "accounts",
    "audit",
    "console",
    "core",
    "cronsched",
    "demo",
    "executions",
    "jobs",
    "moving",
    "notifications",
    "scheduler",
    "settings_app",
    "calendars",
    "taxonomy",
    "windows",
)
PAGES = re.compile(r"""["'](admin:(?!index|login|logout)\w|console/|admin/(?!base|index)\w+/)""")


def test_no_module_imports_itself_through_others() -> None:
    graph = grimp.build_graph(*APPS, cache_dir=None)
    left = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while free := {module for module, imported in left.items() if not imported & left.keys()}:
        for module in free:
            del left[module]
    assert not left, f"import cycle among {sorted(left)}"


@pytest.mark.parametrize("app", sorted({*APPS} - {"console", "cronsched", "demo"}))
def test_a_lower_floor_names_no_page_of_the_console(app: str) -> None:
    for file in (ROOT / app).rglob("*.py"):
        if "migrations" not in file.parts and file.name != "admin.py":
            assert not PAGES.search(file.read_text()), f"{file} names a page: ask core.page_links"
