"""What failed in a workflow run, against the stand-in for GitHub over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.github_stand_in import GitHub, Run
from executions.targets.github import failures

TOKEN = "t"


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with GitHub() as server:
        settings.GITHUB_API_URL = server.url
        server.runs[7] = Run(7, "acme/shop", "e2e.yml", "failure", 0, server.url)
        yield server


def note(message: str, path: str = "src/a.py", line: int = 3, **changes: Any) -> dict[str, Any]:
    return {"path": path, "start_line": line, "annotation_level": "failure", "message": message, **changes}


def test_the_failed_jobs_with_step_link_and_annotations(github: GitHub) -> None:
    (job,) = failures.of_run("acme", "shop", 7, TOKEN)
    assert (job.name, job.step) == ("e2e (chrome)", "Run Playwright")
    assert job.url == "https://github.com/acme/shop/actions/runs/7/job/711"
    # "Process completed with exit code 1." says nothing.
    assert job.annotations == ("login.spec.ts:41: Timed out 5000ms waiting for expect(locator).toBeVisible()",)
    assert failures.summary([job]) == f"e2e (chrome) > Run Playwright: {job.annotations[0]}"


def test_it_is_bounded(github: GitHub) -> None:
    github.failing_jobs = [f"job {number}" for number in range(60)]
    github.annotations = [note(f"{number} {'x' * 1000}") for number in range(3)]
    found = failures.of_run("acme", "shop", 7, TOKEN)
    assert [len(job.annotations) for job in found] == [3, 2, *[0] * 8]
    assert max(len(one) for job in found for one in job.annotations) == 300
    assert len(github.calls) == 3
    assert failures.summary(found).endswith("…; and 9 more jobs")
    assert len(failures.summary(found)) <= 300


def test_the_line_names_as_many_jobs_as_it_has_room_for() -> None:
    jobs = [failures.FailedJob(f"e2e {'x' * 40} {number}", "Run", "") for number in range(10)]
    line = failures.summary(jobs)
    named = line.split("; ")
    assert named[:5] == [job.words for job in jobs[:5]]
    assert named[5:] == ["and 5 more jobs"]
    assert len(line) <= 300
    assert failures.summary(jobs[:2]) == f"{jobs[0].words}; {jobs[1].words}"


@pytest.mark.parametrize(
    "annotations",
    [None, 7, {"message": "x"}, [7, None], [note("x", annotation_level="warning")], [note("", title="")], "not json"],
)
def test_odd_annotations_are_none(github: GitHub, annotations: Any) -> None:
    github.annotations = annotations
    (job,) = failures.of_run("acme", "shop", 7, TOKEN)
    assert job.annotations == ()
    assert failures.summary([job]) == "e2e (chrome) > Run Playwright"


def test_control_characters_and_further_lines_are_left_out(github: GitHub) -> None:
    github.annotations = [note("first\x1b[31m\u202e\nsecond", title="")]
    (job,) = failures.of_run("acme", "shop", 7, TOKEN)
    assert job.annotations == ("a.py:3: first [31m ",)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_without_an_answer_nothing_is_told(github: GitHub, status: int) -> None:
    github.fail_next = [(status, {})]
    assert failures.of_run("acme", "shop", 7, TOKEN) == []
    assert failures.summary([]) == ""


@pytest.mark.parametrize(
    ("status", "headers", "seconds"), [(403, {"Retry-After": "40"}, 40.0), (429, {}, None), (500, {}, None)]
)
@pytest.mark.parametrize("path", ["/jobs", "/annotations"])
def test_a_limit_and_an_outage_are_told(
    github: GitHub, path: str, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    github.fail_for = {path: [(status, headers)]}
    with pytest.raises(failures.NotNow) as caught:
        failures.of_run("acme", "shop", 7, TOKEN)
    pause = caught.value.pause
    assert (pause.seconds if pause else None) == seconds
    assert (pause is None) is (status == 500)
    assert len(failures.of_run("acme", "shop", 7, TOKEN)) == 1


@given(
    told=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["jobs", "name", "conclusion", "steps", "id", "html_url"]), inner)
        ),
    )
)
def test_no_answer_breaks_it(told: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failures, "_told", lambda path, token: told)
        failures.summary(failures.of_run("acme", "shop", 7, TOKEN))
