"""Schedules of other schedulers: what is read, what is changed, and what cannot be expressed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from jobs.models import schedule_from
from moving import celery_beat, cloud_scheduler, crontab_file, eventbridge, kubernetes, quartz
from moving.day_numbers import NotOurs, weekday
from moving.entries import Entry, Unreadable, call_of


def one(entries: Any) -> Entry:
    (found,) = list(entries)
    return found


class TestCrontab:
    def test_lines_comments_variables_and_zones(self) -> None:
        text = """
            # Nightly report
            0 2 * * 1-5  curl -fsS https://hooks.example.com/report > /dev/null 2>&1
            MAILTO=ops@example.com
            CRON_TZ="Europe/Berlin"
            @daily wget -q -O /dev/null 'https://hooks.example.com/clean?x=1'
            */5 * * * * /usr/local/bin/sync.sh --all
        """
        first, second, third = crontab_file.read(text)
        assert (first.name, first.cron, first.zone, first.changes, first.problems) == (
            "Nightly report", "0 2 * * 1-5", "", (), (),
        )  # fmt: skip
        assert first.target == {"target_url": "https://hooks.example.com/report", "method": "GET"}
        assert (second.cron, second.zone) == ("@daily", "Europe/Berlin")
        assert second.target == {
            "target_url": "https://hooks.example.com/clean?x=1", "method": "GET", "redirects": "follow",
        }  # fmt: skip
        assert second.changes == ()
        assert (third.target, "sync.sh --all' is not run" in third.changes[0]) == ({}, True)

    def test_tz_is_for_commands_only_and_percent_is_unescaped(self) -> None:
        found = one(crontab_file.read("TZ=America/New_York\n0 3 * * * curl 'https://a.example.com/?q=a\\%20b'\n"))
        assert (found.zone, found.target["target_url"]) == ("", "https://a.example.com/?q=a%20b")

    def test_system_crontabs_have_users(self) -> None:
        found = one(crontab_file.read("17 * * * * root curl https://x.example.com/\n", has_users=True))
        assert (found.cron, found.target["target_url"]) == ("17 * * * *", "https://x.example.com/")

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("@reboot curl https://x.example.com/", "when a machine starts"),
            ("0 0 * * * cat%hello", "an input after %"),
            ("0 0 * *", "no entry"),
            ("nonsense", "no entry"),
        ],
    )
    def test_what_cannot_be_says_why(self, line: str, reason: str) -> None:
        assert reason in one(crontab_file.read(line)).problems[0]

    @pytest.mark.parametrize(
        "command",
        [
            "curl https://a.example.com/ https://b.example.com/",
            "curl -d x=1 https://a.example.com/",
            "curl https://a.example.com/ | sh",
            "curl https://a.example.com/ && rm -r x",
            "curl https://a.example.com/?a=1&b=2",
            'curl "https://a.example.com/$TOKEN"',
            "curl https://a.example.com/`date`",
            "curl https://a.example.com/; echo",
            "curl https://a.example.com/[1-5]",
            "curl https://a.example.com/{a,b}",
            "curl" + " " * 200_000 + "x",
            "curl https://a.example.com/ " + ">" * 200_000,
            "echo 'unclosed",
            "",
        ],
    )
    def test_only_a_plain_call_is_taken_as_one(self, command: str) -> None:
        assert call_of(command).target == {}

    def test_the_method_is_read(self) -> None:
        assert call_of("curl -X POST https://a.example.com/").target["method"] == "POST"

    def test_what_differs_is_told(self) -> None:
        assert call_of("curl -fsS 'https://a.example.com/?a=1&b=2'") == (
            {"target_url": "https://a.example.com/?a=1&b=2", "method": "GET"}, (),
        )  # fmt: skip
        assert call_of("curl -L https://a.example.com/").target["redirects"] == "follow"
        assert "not kept" in call_of("wget https://a.example.com/x.csv").changes[0]
        assert "not kept" in call_of("curl -O https://a.example.com/x.csv").changes[0]
        assert "certificate is checked" in call_of("curl -k https://a.example.com/").changes[0]


class TestSundayIsOne:
    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("1", "0"), ("7", "6"), ("2-6", "1-5"), ("1,7", "0,6"), ("MON-FRI", "MON-FRI"), ("?", "*"), ("*", "*"),
            ("6L", "5L"), ("6#3", "5#3"), ("L", "6"), ("2/2", "1-6/2"), ("*/2", "*/2"),
        ],
    )  # fmt: skip
    def test_days_are_converted(self, theirs: str, ours: str) -> None:
        assert weekday(theirs) == ours

    @pytest.mark.parametrize("theirs", ["0", "8", "0-3"])
    def test_days_that_do_not_exist_are_refused(self, theirs: str) -> None:
        with pytest.raises(NotOurs, match="1 is Sunday"):
            weekday(theirs)

    def test_every_day_of_the_week_stays_that_day(self) -> None:
        """Quartz's numbers against the names."""
        for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1):
            ours = one(quartz.read(f"0 0 9 ? * {number}")).cron
            named = one(quartz.read(f"0 0 9 ? * {name}")).cron
            assert schedule_from(ours).describe() == schedule_from(named).describe()


class TestEventBridge:
    def test_a_rule_and_a_schedule(self) -> None:
        rules = {"Rules": [
            {"Name": "nightly", "ScheduleExpression": "cron(0 18 ? * 2-6 *)", "State": "DISABLED"},
            {"Name": "events", "EventPattern": "{}"},
        ]}  # fmt: skip
        found = one(eventbridge.read(json.dumps(rules)))
        assert (found.cron, found.zone) == ("0 18 * * 1-5", "UTC")
        assert "it is disabled" in found.changes
        schedule = {"Name": "s", "ScheduleExpression": "cron(0 9 L * ? *)", "ScheduleExpressionTimezone": "Asia/Tokyo",
                    "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}}  # fmt: skip
        found = one(eventbridge.read(json.dumps(schedule)))
        assert (found.cron, found.zone, found.fields) == ("0 9 L * *", "Asia/Tokyo", {"jitter_seconds": 300})

    @pytest.mark.parametrize(
        ("expression", "cron"),
        [
            ("rate(5 minutes)", "*/5 * * * *"), ("rate(1 minute)", "* * * * *"), ("rate(1 hour)", "0 * * * *"),
            ("rate(6 hours)", "0 */6 * * *"), ("rate(1 day)", "0 0 * * *"), ("cron(0/15 * * * ? *)", "0-59/15 * * * *"),
        ],
    )  # fmt: skip
    def test_rates_become_fixed_times(self, expression: str, cron: str) -> None:
        found = one(eventbridge.read(json.dumps([{"ScheduleExpression": expression}])))
        assert (found.cron, found.problems) == (cron, ())
        schedule_from(cron)

    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("rate(7 minutes)", "no fixed times"), ("at(2026-12-01T00:00:00)", "runs once"),
            ("cron(0 9 1 1 ? 2027)", "the year 2027"), ("cron(0 9 * * *)", "six fields"),
            ("cron(0 9 1 * 2 *)", "both a day of the month"), ("cron(0 9 ? * 0 *)", "1 is Sunday"), ("x", "none of"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_says_why(self, expression: str, reason: str) -> None:
        assert reason in one(eventbridge.read(json.dumps([{"ScheduleExpression": expression}]))).problems[0]


MANIFEST = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: qa}
spec:
  schedule: "0 2 * * *"
  timeZone: Asia/Tokyo
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 200
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: call
              image: curlimages/curl
              args: [curl, -fsS, "https://hooks.example.com/report"]
"""


class TestKubernetes:
    def test_a_manifest(self) -> None:
        found = one(kubernetes.read(MANIFEST))
        assert (found.source, found.name, found.cron, found.zone) == ("qa/report", "report", "0 2 * * *", "Asia/Tokyo")
        assert found.target == {"target_url": "https://hooks.example.com/report", "method": "GET"}
        assert found.fields == {"overlap_policy": "skip", "misfire_policy": "skip", "misfire_grace_seconds": 200}
        assert (found.changes, found.problems) == ((), ())

    def test_what_is_changed_says_so(self) -> None:
        text = MANIFEST.replace("timeZone: Asia/Tokyo", "suspend: true").replace("Forbid", "Replace")
        found = one(kubernetes.read(text.replace("args: [curl", "args: [run")))
        assert found.zone == "UTC"
        words = " ".join(found.changes)
        for part in ("no timeZone", "Replace", "suspended", "container is not run"):
            assert part in words

    def test_lists_several_documents_and_others(self) -> None:
        items = {
            "kind": "List",
            "items": [{"kind": "CronJob", "metadata": {"name": "a"}, "spec": {"schedule": "@daily"}}],
        }
        assert one(kubernetes.read(json.dumps(items))).name == "a"
        assert len(list(kubernetes.read(f"{MANIFEST}\n---\n{MANIFEST}\n---\nkind: Service\n"))) == 2

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [("0 0 */2 * 1", "0 0 1-31/2 * 1"), ("0 0 1 * */2", "0 0 1 * 0-6/2"), ("0 0 */2 * *", "0 0 */2 * *"),
         ("0 0 ? * 1", "0 0 * * 1")],
    )  # fmt: skip
    def test_day_fields_with_steps_combine_as_there(self, theirs: str, ours: str) -> None:
        assert one(kubernetes.read(MANIFEST.replace("0 2 * * *", theirs))).cron == ours

    def test_init_containers_are_told(self) -> None:
        text = MANIFEST.replace("          containers:", "          initContainers: [{name: x}]\n          containers:")
        assert "init containers are not run" in " ".join(one(kubernetes.read(text)).changes)

    def test_odd_manifests_stop_no_other(self) -> None:
        odd = "kind: CronJob\nspec: nonsense\n---\nkind: CronJob\nmetadata: []\n---\n- 1\n---\n"
        assert [entry.cron for entry in kubernetes.read(odd + MANIFEST)] == ["", "", "0 2 * * *"]

    @pytest.mark.parametrize("text", ["a: &a [x]\nb: *a", "{", "a: b: c"])
    def test_what_is_no_yaml_is_refused(self, text: str) -> None:
        with pytest.raises(Unreadable):
            list(kubernetes.read(text))


def test_cloud_scheduler_brings_its_request() -> None:
    job = {
        "name": "projects/p/locations/l/jobs/nightly", "schedule": "0 3 * * *", "timeZone": "Asia/Tokyo",
        "state": "PAUSED", "attemptDeadline": "180s", "retryConfig": {"retryCount": 3},
        "httpTarget": {
            "uri": "https://hooks.example.com/x", "httpMethod": "PUT", "headers": {"X-Team": "qa", "User-Agent": "g"},
            "body": base64.b64encode(b'{"a": 1}').decode(), "oidcToken": {},
        },
    }  # fmt: skip
    found = one(cloud_scheduler.read(json.dumps([job])))
    assert (found.name, found.cron, found.zone) == ("nightly", "0 3 * * *", "Asia/Tokyo")
    assert found.target == {"target_url": "https://hooks.example.com/x"}
    assert found.fields == {
        "method": "PUT", "headers": {"X-Team": "qa"}, "body": "text", "body_text": '{"a": 1}', "timeout_seconds": 180,
        "max_attempts": 4,
    }  # fmt: skip
    assert [word in " ".join(found.changes) for word in ("paused", "Google token")] == [True, True]
    pubsub = one(cloud_scheduler.read(json.dumps([{"name": "x", "schedule": "every 5 minutes", "pubsubTarget": {}}])))
    assert (pubsub.cron, pubsub.target) == ("*/5 * * * *", {})
    odd = one(cloud_scheduler.read(json.dumps([{"name": "x", "schedule": "every 7 minutes"}])))
    assert "no fixed times" in odd.problems[0]


def test_celery_beat_reads_tasks_with_their_times() -> None:
    rows: list[dict[str, Any]] = [
        {"model": "django_celery_beat.crontabschedule", "pk": 1, "fields": {
            "minute": "0", "hour": "2", "day_of_week": "1-5", "day_of_month": "*", "month_of_year": "*",
            "timezone": "Asia/Tokyo"}},
        {"model": "django_celery_beat.crontabschedule", "pk": 2, "fields": {
            "minute": "0", "hour": "2", "day_of_week": "1", "day_of_month": "13", "month_of_year": "*"}},
        {"model": "django_celery_beat.intervalschedule", "pk": 1, "fields": {"every": 10, "period": "minutes"}},
        *(
            {"model": "django_celery_beat.periodictask", "pk": number,
             "fields": {"name": name, "task": "app.x", **more}}
            for number, (name, more) in enumerate(
                [("a", {"crontab": 1, "enabled": False}), ("b", {"crontab": 2}), ("c", {"interval": 1}),
                 ("d", {"solar": 1}), ("e", {"crontab": 1, "one_off": True})]
            )
        ),
    ]  # fmt: skip
    found = {entry.name: entry for entry in celery_beat.read(json.dumps(rows))}
    assert (found["a"].cron, found["a"].zone, "it is disabled" in found["a"].changes) == (
        "0 2 * * 1-5", "Asia/Tokyo", True,
    )  # fmt: skip
    assert "asks for both" in found["b"].problems[0]
    assert found["c"].cron == "*/10 * * * *"
    assert "sun" in found["d"].problems[0]
    assert "once" in found["e"].problems[0]


@pytest.mark.parametrize("read", [eventbridge.read, cloud_scheduler.read, celery_beat.read])
@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_what_is_no_json_is_refused(read: Any, text: str) -> None:
    with pytest.raises(Unreadable):
        list(read(text))


@pytest.mark.parametrize("text", ["null", "[]", "[1]", '{"Rules": 5}', '{"jobs": null}', '[{"model": 1}]'])
@pytest.mark.parametrize("read", [eventbridge.read, cloud_scheduler.read, celery_beat.read])
def test_json_without_schedules_has_none(read: Any, text: str) -> None:
    assert list(read(text)) == []


class TestQuartz:
    def test_lines(self) -> None:
        text = '# ours\n"0 30 9 ? * 2-6" https://x.example.com/\n0 0 12 1 * ?\tnoon\n0 0 0 ? * 6#3 2027\n5 0 0 * * ?\n'
        first, second, third, fourth = quartz.read(text)
        assert (first.cron, first.target) == ("30 9 * * 1-5", {"target_url": "https://x.example.com/"})
        assert (second.cron, second.name) == ("0 12 1 * *", "noon")
        assert "year 2027" in third.problems[0]
        assert "seconds (5)" in fourth.problems[0]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (eventbridge.read, '[{"ScheduleExpression": "rate(%s minutes)"}]' % ("9" * 5000)),
        (cloud_scheduler.read, '[{"name": "x", "schedule": "every %s minutes"}]' % ("9" * 5000)),
        (cloud_scheduler.read, '[{"name": "x", "schedule": "* * * * *", "attemptDeadline": "%ss"}]' % ("9" * 5000)),
        (cloud_scheduler.read, '[{"name": "x", "schedule": "* * * * *", "httpTarget": {"uri": "u", "body": "あ"}}]'),
        (quartz.read, "0 0 9 ? * " + "9" * 5000),
        (kubernetes.read, "kind: CronJob\nmetadata: {name: 1}\nspec: {schedule: [1], jobTemplate: 5}\n"),
    ],
)  # fmt: skip
def test_one_odd_entry_takes_no_file_down(read: Any, text: str) -> None:
    assert len(list(read(text))) == 1


def test_odd_documents_have_no_entries() -> None:
    assert list(kubernetes.read("kind: CronJobList\nitems: 5\n")) == []
    with pytest.raises(Unreadable):
        list(
            kubernetes.read(
                "kind: CronJob\nmetadata: {name: 0x" + "f" * 10_000 + "}\nspec: {a: 190:20:30}\n? [a]\n: b\n- c"
            )
        )


def test_steps_without_a_range_are_written_with_one() -> None:
    assert one(kubernetes.read(MANIFEST.replace("0 2 * * *", "20/15 * * * *"))).cron == "20-59/15 * * * *"


def test_what_is_not_taken_over_is_told() -> None:
    rule = {"Name": "x", "ScheduleExpression": "cron(0 9 * * ? *)", "EndDate": 1}
    assert "start and end date" in " ".join(one(eventbridge.read(json.dumps([rule]))).changes)
    http = {"uri": "https://a.example.com/", "body": base64.b64encode(b"\xff\xfe").decode(), "httpMethod": "OPTIONS"}
    found = one(cloud_scheduler.read(json.dumps([{"name": "x", "schedule": "* * * * *", "httpTarget": http}])))
    assert ("no text" in " ".join(found.changes), "its method" in found.problems[0]) == (True, True)
