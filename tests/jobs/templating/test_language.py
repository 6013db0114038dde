"""The language of variables."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendars.business_days import BusinessDays
from jobs.templating import language
from jobs.templating.language import TemplateError, Values
from jobs.templating.times import Setting

TOKYO = ZoneInfo("Asia/Tokyo")
# A Monday, 09:00 in Tokyo.
MONDAY = dt.datetime(2026, 11, 30, 9, tzinfo=TOKYO)


def values(**changes: Any) -> Values:
    texts = {
        "scheduled_for": MONDAY,
        "nominal_for": MONDAY,
        "previous_success_for": None,
        "execution_id": "0192",
        "job.name": "日次",
        "trigger": "scheduled",
    }
    days = BusinessDays("test", "office", closed={dt.date(2026, 11, 27): "holiday"})
    return Values({**texts, **changes}, Setting(TOKYO, days))


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain", "plain"),
        ("{{ scheduled_for }}", "2026-11-30T00:00:00Z"),
        ("{{scheduled_for}}", "2026-11-30T00:00:00Z"),
        ("at {{ scheduled_for }}!", "at 2026-11-30T00:00:00Z!"),
        ("{{ scheduled_for | epoch }}", 1795996800),
        ("t={{ scheduled_for | epoch }}", "t=1795996800"),
        ("{{ previous_success_for }}", None),
        ("since {{ previous_success_for }}.", "since ."),
        ('{{ previous_success_for | date("YYYY") }}', None),
        ('{{ scheduled_for | date("YYYY-MM-DD") }}', "2026-11-30"),
        ("{{ scheduled_for|date('YYYYMMDD_HHmmss') }}", "20261130_090000"),
        ('{{ scheduled_for | date("YYYY-MM-DD HH:mm Z", "America/New_York") }}', "2026-11-29 19:00 -05:00"),
        ('{{ scheduled_for | date("YY/M/D H [o\'clock] ddd SSS ZZ") }}', "26/11/30 9 o'clock Mon 000 +0900"),
        ('{{ scheduled_for | add("-1d") | date("YYYY-MM-DD") }}', "2026-11-29"),
        ('{{ scheduled_for | add("-1bd") | date("YYYY-MM-DD") }}', "2026-11-26"),
        ('{{ scheduled_for | add("3mo") | date("YYYY-MM-DD") }}', "2027-02-28"),
        ('{{ scheduled_for | add("-1y") | date("YYYY") }}', "2025"),
        ('{{ scheduled_for | add("90m") }}', "2026-11-30T01:30:00Z"),
        ('{{ scheduled_for | add("-1w") | add("+2h") | date("DD HH") }}', "23 11"),
        ("{{ job.name }}/{{ trigger }}/{{ execution_id }}", "日次/scheduled/0192"),
        (r"\{{ scheduled_for }}", "{{ scheduled_for }}"),
        (r"\{{a}} {{ trigger }}", "{{a}} scheduled"),
        ("}} and { {", "}} and { {"),
    ],
)
def test_rendered(text: str, rendered: Any) -> None:
    assert language.render(text, values()) == rendered


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ scheduled }}", "there is no variable 'scheduled'"),
        ("{{ }}", "is no variable"),
        ("{{ job.id }}", "there is no variable 'job.id'"),
        ("{{ scheduled_for", "has no '}}' after it"),
        ("{{ scheduled_for | upper }}", "there is no filter 'upper'"),
        ("{{ scheduled_for | date }}", "write such as date"),
        ('{{ scheduled_for | date("YYYY", "Mars/Base") }}', "time zone 'Mars/Base' is unknown"),
        ('{{ scheduled_for | add("soon") }}', "is no amount of time"),
        ('{{ scheduled_for | date("YYYY") | add("1d") }}', "'date' must be the last filter"),
        ("{{ job.name | epoch }}", "filters are for"),
        ('{{ scheduled_for | epoch("x") }}', "takes no argument"),
        ("{{ scheduled_for; }}", "cannot be read"),
        ("{{ __class__ }}", "there is no variable"),
        ("{{ scheduled_for.__class__ }}", "there is no variable"),
        ("{{ " + "x" * 500 + " }}", "is no variable"),
    ],
)
def test_what_is_no_template(text: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        language.parse(text)


@pytest.mark.parametrize("text", ['{{ scheduled_for | add("-9999y") }}', '{{ scheduled_for | add("999999d") }}'])
def test_a_time_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        language.render(text, values(scheduled_for=dt.datetime(9990, 1, 1, tzinfo=dt.UTC)))


def test_open_days_need_a_calendar() -> None:
    setting = Values({"scheduled_for": MONDAY}, Setting(TOKYO))
    with pytest.raises(ValueError, match="need a calendar"):
        language.render('{{ scheduled_for | add("1bd") }}', setting)


def test_secrets_and_attempts_are_put_in_at_the_call() -> None:
    rendered = language.render_all({"a": "Bearer {{ secret.KEY }}", "b": ["{{ attempt }}"], "c": 1}, values())
    assert language.late_names(rendered) == {"secret.KEY", "attempt"}
    assert language.readable(rendered) == {"a": "Bearer {{ secret.KEY }}", "b": ["{{ attempt }}"], "c": 1}
    assert language.finish(rendered, {"secret.KEY": "k", "attempt": "2"}.__getitem__) == {
        "a": "Bearer k",
        "b": ["2"],
        "c": 1,
    }


def test_a_value_cannot_smuggle_in_a_placeholder() -> None:
    for name in ("{{ secret.KEY }}", "\ufdd0secret.KEY\ufdd1", "\\"):
        rendered = language.render("{{ job.name }} {{ trigger }}", values(**{"job.name": name}))
        assert language.late_names(rendered) == set()
    assert language.late_names(language.render("\ufdd0secret.KEY\ufdd1", values())) == set()
    assert language.render(r"\{{ x }}{{ job.name }}", values(**{"job.name": "{{ secret.KEY }}"})) == (
        "{{ x }}{{ secret.KEY }}"
    )


def test_values_in_a_url_are_encoded() -> None:
    from urllib.parse import quote

    assert language.render("/r/{{ job.name }}", values(**{"job.name": "a/b?c"}), lambda one: quote(one, safe="")) == (
        "/r/a%2Fb%3Fc"
    )


@given(st.text(alphabet="{}\\ ab|.\"'()", max_size=60))
def test_text_is_rendered_or_refused(text: str) -> None:
    try:
        rendered = language.render(text, values())
    except TemplateError:
        return
    assert rendered == text.replace("\\{{", "{{")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_what_holds_no_placeholder_stays_as_it_is(value: Any) -> None:
    text = json.dumps(value)
    if "{{" not in text and not {"\ufdd0", "\ufdd1"} & set(str(value)):
        assert language.render_all(value, values()) == value


def test_the_time_is_linear_in_the_text() -> None:
    def took(size: int) -> float:
        text = "{{ " * size
        began = time.perf_counter()
        with pytest.raises(TemplateError):
            language.parse(text)
        return time.perf_counter() - began

    assert took(200_000) < 1


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_days_are_counted_on_the_calendar(zone: str) -> None:
    """A day that has 23 or 25 hours is a day."""
    berlin = ZoneInfo(zone)
    for moment in (dt.datetime(2026, 3, 30, 9, tzinfo=berlin), dt.datetime(2026, 10, 26, 9, tzinfo=berlin)):
        text = '{{ scheduled_for | add("-7d") | date("HH:mm") }}'
        assert language.render(text, Values({"scheduled_for": moment}, Setting(berlin))) == "09:00"
