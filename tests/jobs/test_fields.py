"""A job's field is declared once: every list of a job's fields follows from its declaration."""

from __future__ import annotations

import ast
import gettext
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from console.admin.forms import JobForm
from cronsched.openapi_views import openapi_document
from jobs.change_log import snapshot
from jobs.field_traits import Traits, job_fields, names
from jobs.models import Job
from jobs.transfer.exporting import write_json
from scheduler import firing

ROOT = Path(__file__).resolve().parents[2]
APPS = ["accounts", "audit", "console", "core", "cronsched", "demo", "executions", "jobs", "notifications", "scheduler"]
# The declarations; migrations, which are history; and the contract's order of validation.
# Content names the parts of a request that hold variables.
EXEMPT = {
    "jobs/fields.py",
    "jobs/request_fields.py",
    "jobs/workflow_fields.py",
    "jobs/validation.py",
    "jobs/content.py",
}
NAMES = {field.name for field in job_fields()}
# A list of this many fields would have to be kept in step with the declarations by hand.
MOST_NAMED_TOGETHER = 5


def lists_of_names(tree: ast.AST) -> Iterator[tuple[int, set[str]]]:
    """The literal collections and class bodies of a module, each with the strings or names that it lists."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            texts = {one.value for one in node.elts if isinstance(one, ast.Constant) and isinstance(one.value, str)}
            yield node.lineno, texts
        elif isinstance(node, ast.Dict):
            keys = {one.value for one in node.keys if isinstance(one, ast.Constant) and isinstance(one.value, str)}
            yield node.lineno, keys
        elif isinstance(node, ast.ClassDef):
            targets = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
            targets += [one.targets[0] for one in node.body if isinstance(one, ast.Assign)]
            yield node.lineno, {one.id for one in targets if isinstance(one, ast.Name)}


def test_no_list_of_a_jobs_fields_is_written_by_hand() -> None:
    found = []
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if "/migrations/" in name or name in EXEMPT:
                continue
            for line, listed in lists_of_names(ast.parse(path.read_text())):
                if len(listed & NAMES) > MOST_NAMED_TOGETHER:
                    found.append(f"{name}:{line} lists {sorted(listed & NAMES)}")
    assert found == []


def test_the_check_for_lists_finds_one() -> None:
    listed = ", ".join(f'"{name}"' for name in sorted(NAMES))
    assert [names & NAMES for _, names in lists_of_names(ast.parse(f"x = ({listed})"))] == [NAMES]


def test_every_declared_field_is_everywhere_its_traits_say(job_body: dict[str, Any]) -> None:
    shown = openapi_document()["components"]["schemas"]["Job"]["properties"]
    in_api = {field.name for field in job_fields()} - {"target_kind", "target_options"}
    assert in_api <= shown.keys()
    assert set(names(having="section")) <= set(JobForm.base_fields)
    constrained = {one.name for one in Job._meta.constraints}
    for field in job_fields():
        if field.traits.bounds:
            least, most = field.traits.bounds
            assert (shown[field.name]["minimum"], shown[field.name]["maximum"]) == (least, most)
            assert f"job_{field.name}_in_range" in constrained


@pytest.mark.django_db
def test_audit_export_and_firing_read_what_is_declared(
    make_job: Callable[..., Job], django_assert_num_queries: Any
) -> None:
    job = make_job()
    assert set(snapshot(job)) == set(names(having="audited"))
    out = io.StringIO()
    write_json([job], out, reader=None)
    exported = set(json.loads(out.getvalue())[0])
    assert exported - {"target_url"} == set(names(having="exported"))
    read = Job.objects.only(*names(having="fired"), "next_run_at").get()
    with django_assert_num_queries(0):
        # Nothing that a delivery needs is fetched later, one query a job.
        assert read.target == job.target
        for name in names(having="fired"):
            getattr(read, Job._meta.get_field(name).attname)
    assert firing is not None


@pytest.mark.django_db
def test_duplicate_copies_what_is_declared(make_job: Callable[..., Job], admin: Any) -> None:
    job = make_job(jitter_seconds=7, alert_after_failures=3)
    browser = Client()
    browser.force_login(admin)
    page: Any = browser.get(f"{reverse('admin:jobs_job_add')}?duplicate={job.pk}")
    initial = page.context["adminform"].form.initial
    for name in set(names(having="copied")) - {"target_kind", "target_options"}:
        assert initial[name] == getattr(job, name), name


def test_every_label_and_help_has_a_japanese_text() -> None:
    with open(ROOT / "cronsched/locale/ja/LC_MESSAGES/django.mo", "rb") as file:
        known = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    with translation.override(None):
        texts = {str(field.column.verbose_name) for field in job_fields()}
        texts |= {str(field.column.help_text) for field in job_fields() if getattr(field.column, "help_text", "")}
    assert sorted(text for text in texts if text not in known) == []


def test_each_trait_is_explained() -> None:
    assert Traits.__doc__
    for name in Traits.__dataclass_fields__:
        assert f"`{name}`" in Traits.__doc__
