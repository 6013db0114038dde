"""What to change after GitHub has refused a dispatch: one sentence for each of its reasons (GitHub REST: "Create a
workflow dispatch event"; the texts are those of its answers).
"""

from __future__ import annotations

import re

# The status, what GitHub's message holds, and the remedy; groups of the expression are put in by number.
_HINTS = (
    (422, r"No ref found for: ([^\"\\]{1,200})", "The branch or tag '{0}' does not exist: correct it in the job."),
    (
        422,
        r"does not have '?workflow_dispatch'? trigger",
        "Add 'workflow_dispatch:' under 'on:' in the workflow file on that branch.",
    ),
    (
        422,
        r"Unexpected inputs provided: (\[.{1,400}?\])",
        "The workflow does not declare the inputs {0}: remove them from the job, or declare them in the workflow file.",
    ),
    (
        422,
        r"Required input '([^']{1,100})' not provided",
        "The workflow requires the input '{0}': add it to the job's inputs.",
    ),
    (
        422,
        r"not in the list of allowed values",
        "An input has a value that the workflow's list of choices does not name: correct it in the job.",
    ),
    (
        422,
        r"No more than (\d{1,4}) properties are allowed",
        "A dispatch takes at most {0} inputs: remove the others from the job, and from the workflow file.",
    ),
    (
        422,
        r"disabled workflow",
        "The workflow is disabled on GitHub: enable it there, or with the button Enable the workflow.",
    ),
    (
        404,
        r"Not Found",
        "The repository, the workflow file on its default branch, or the token's right to see them is missing.",
    ),
    (
        403,
        r"not accessible by|Must have (?:admin|write) (?:rights|access)",
        "The token may not start workflows of this repository: it needs 'Actions: write'.",
    ),
)
_COMPILED = tuple((status, re.compile(pattern, re.IGNORECASE), words) for status, pattern, words in _HINTS)


def hint(status: int, text: str) -> str:
    """The remedy for a refusal; '' for a reason that is not known here."""
    for wanted, pattern, words in _COMPILED:
        found = pattern.search(text) if status == wanted else None
        if found:
            return words.format(*(one.replace('\\"', '"') for one in found.groups()))
    return ""
