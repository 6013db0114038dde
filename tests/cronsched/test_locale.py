"""Every string of ours that can be shown in Japanese is."""

from __future__ import annotations

import gettext
import re
import subprocess
from pathlib import Path

LOCALE = Path("cronsched/locale/ja/LC_MESSAGES")
_MARKED = re.compile(r"""\b(?:_|gettext|gettext_lazy)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)""")
_TRANSLATE = re.compile(r"""{%\s*translate\s+(?:"([^"]+)"|'([^']+)')""")


def marked() -> set[str]:
    """The strings that the sources mark."""
    listed = subprocess.run(["git", "ls-files", "*.py", "*.html"], stdout=subprocess.PIPE, text=True, check=True)
    found: set[str] = set()
    for name in listed.stdout.split():
        if name.startswith(("tests/", "benchmarks/")):
            continue
        text = Path(name).read_text()
        if name.endswith(".html"):
            found.update(double or single for double, single in _TRANSLATE.findall(text))
        else:
            for match in _MARKED.findall(text):
                found.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match)).replace('\\"', '"'))
    return found


def test_nothing_is_left_in_english_alone() -> None:
    with open(LOCALE / "django.mo", "rb") as file:
        known = set(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    known_names = {key[0] if isinstance(key, tuple) else key for key in known}
    assert sorted(marked() - known_names) == []
