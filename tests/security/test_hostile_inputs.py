"""What a target, a user, a file or a setting sends: bounded in time, size and reach."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from accounts.models import User
from core.api.errors import Invalid
from cronsched import openapi_views
from cronsched.environment import Environment, SettingError
from executions.http import body
from executions.http.client import Request
from executions.http.connect import Connector
from executions.http.connection import DeliveryError, Reply
from executions.targets.github import workflow_inputs
from executions.targets.github.api import page_of_run
from executions.targets.github.workflow_inputs import Unreadable
from executions.targets.webhook.target import WebhookTarget
from jobs import serializers, validation
from jobs.models import Job
from jobs.targets.address_policy import TargetPolicy
from jobs.transfer import csv_reader
from jobs.transfer.importing import quoted
from tests.executions.http.test_connection import scripted


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


class TestAnswersOfTargets:
    @pytest.mark.parametrize(
        "content_type",
        [
            'text/plain; x="' + ";" * 60_000,
            "text/plain;" + "a=b;" * 15_000,
            "text/plain; charset=" + "x" * 60_000,
            '"' * 60_000,
            "\\" * 60_000,
            "; charset" * 7_000,
        ],
    )
    def test_a_content_type_is_read_in_no_time(self, content_type: str) -> None:
        # 1.9 s before, in the event loop of all deliveries.
        assert seconds(lambda: body._charset(content_type)) < 0.05

    @pytest.mark.parametrize(
        ("content_type", "charset"),
        [
            ("text/plain; charset=utf-8", "utf-8"),
            ('text/html; a="b;c"; CharSet="EUC-JP"', "euc-jp"),
            ("text/html;charset=Shift_JIS; x", "cp932"),
            ("text/html; charset='utf-8'", "utf-8"),
            ("text/html; notcharset=utf-16", None),
            ("text/html", None),
            ("", None),
        ],
    )
    def test_its_charset_is_read(self, content_type: str, charset: str | None) -> None:
        assert body._charset(content_type) == charset


class TestWorkflowFiles:
    HEAD = "on:\n  workflow_dispatch:\n    inputs:\n      a:\n        type: choice\n        options: "

    def test_aliases_are_refused(self) -> None:
        bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n"
        for number in range(1, 8):
            bomb += f"x{number}: &x{number} [" + ", ".join([f"*x{number - 1}"] * 10) + "]\n"
        with pytest.raises(Unreadable, match="alias"):
            workflow_inputs.declared(bomb + self.HEAD + "[*x7]\n")

    @pytest.mark.parametrize("text", ["[" * 5_000, "a: " * 5_000, "- " * 20_000, "{" * 20_000 + "}" * 20_000])
    def test_depth_is_bounded(self, text: str) -> None:
        with pytest.raises(Unreadable):
            workflow_inputs.declared(text)

    def test_options_are_scalars(self) -> None:
        specs = workflow_inputs.declared(self.HEAD + "[a, [b, [c]], {d: e}]\n")
        (told,) = workflow_inputs.differences(specs, {"a": "z"})
        assert told == "The input 'a' is one of a."

    def test_a_large_file_is_refused(self) -> None:
        with pytest.raises(Unreadable, match="KiB"):
            workflow_inputs.declared(self.HEAD + "[a]\n" + "# x\n" * 40_000)


@pytest.mark.django_db
class TestMetadata:
    def test_it_has_a_limit(self, client_of: Callable[[User], APIClient], user: User, job_body: dict[str, Any]) -> None:
        client = client_of(user)
        answer = client.post("/api/v2/jobs", {**job_body, "metadata": {"a": "x" * 66_000}})
        assert (answer.status_code, answer.json()["error"]) == (400, "Invalid metadata")
        assert "64 KiB" in answer.json()["message"]
        assert client.post("/api/v2/jobs", {**job_body, "metadata": {"a": "x" * 60_000}}).status_code == 201
        sent = {"metadata": {"a": "x" * 66_000}}
        job = Job.objects.get()
        assert client.put(f"/api/v2/jobs/{job.pk}", sent).status_code == 400
        assert client.post(f"/api/v2/jobs/{job.pk}/execute", sent).status_code == 400
        assert client.post("/api/v2/jobs/test-run", {**sent, "target_url": "https://a.example/"}).status_code == 400

    def test_large_values_are_not_cached(self) -> None:
        serializers._parsed_small.cache_clear()
        for number in range(50):
            serializers._parsed('{"a": "' + "x" * 5_000 + f'{number}"}}')
        assert serializers._parsed_small.cache_info().currsize == 0
        assert serializers._parsed('{"a": 1}') == {"a": 1}
        assert serializers._parsed("no json") == "no json"


@pytest.mark.django_db
class TestSheets:
    HEAD = b"Job Name,Cron Schedule (JST)\n"

    def upload(self, client: APIClient, raw: bytes) -> Any:
        form = {"file": SimpleUploadedFile("jobs.csv", raw), "dry_run": "true"}
        return client.post("/api/v2/jobs/bulk-upload", form, format="multipart")

    def test_rows_have_a_limit(self, api: APIClient) -> None:
        with pytest.raises(Invalid):
            csv_reader.read(self.HEAD + b"x\n" * 500_000)
        answer = self.upload(api, self.HEAD + b"x\n" * 20_001)
        assert (answer.status_code, answer.json()["error"]) == (400, "Invalid CSV")
        assert "20,000" in answer.json()["message"]

    def test_empty_rows_count(self) -> None:
        with pytest.raises(Invalid, match="20,000"):
            csv_reader.read(self.HEAD + b",\n" * 500_000)

    def test_columns_and_cells_have_limits(self) -> None:
        with pytest.raises(Invalid, match="columns"):
            csv_reader.read(b"a," * 1_000 + b"\n")
        with pytest.raises(Invalid):
            csv_reader.read(self.HEAD + b"x" * 200_000 + b",x\n")

    def test_answers_have_a_limit(self, api: APIClient) -> None:
        answer = self.upload(api, self.HEAD + b"x,\n" * 5_000).json()
        assert answer["error_count"] == 5_000
        assert len(answer["errors"]) == 1_000

    @pytest.mark.parametrize(
        "text", ["＝1+1", "＋1", "－1", "＠x", "\t=1", "\r=1", "\x01=1", "=1", "-1", "+1", "@x", "'=1"]
    )
    def test_formulas_of_every_spelling_are_quoted(self, text: str) -> None:
        assert quoted(text).startswith("'")
        assert quoted(quoted(text)).startswith("''")

    def test_a_cell_stays_one_cell_where_semicolons_separate(
        self, api: APIClient, make_job: Callable[..., Job]
    ) -> None:
        from io import StringIO

        from jobs.transfer.exporting import write_csv

        make_job(name="x;=cmd|'/C calc'!A0")
        out = StringIO()
        write_csv(Job.objects.all(), out, reader=None)
        assert "\"x;=cmd|'/C calc'!A0\"" in out.getvalue()


# From the IANA special-purpose registries, and what clouds serve metadata at.
FORBIDDEN = """\
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.0.0.1 192.0.0.8 192.0.0.192 192.0.0.170
192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
168.63.129.16 :: ::1 ::ffff:8.8.8.8 ::7f00:1 64:ff9b::7f00:1 64:ff9b:1::1 64:ff9b::a9fe:a9fe 100::1 100:0:0:1::1
2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: 3fff::1 5f00::1 fc00::1
fd00:ec2::254 fe80::1 fec0::1 ff02::1 4000::1
""".split()  # noqa: SIM905
PUBLIC = """\
8.8.8.8 93.184.216.34 1.1.1.1 2606:2800:220:1::1 2400:cb00::1 64:ff9b::808:808 2001:4860:4860::8888
""".split()  # noqa: SIM905


class TestTargetPolicy:
    @pytest.mark.parametrize("address", FORBIDDEN)
    def test_no_special_range_is_public(self, address: str) -> None:
        assert not TargetPolicy().allows_address(ipaddress.ip_address(address))

    @pytest.mark.parametrize("address", PUBLIC)
    def test_public_addresses_are(self, address: str) -> None:
        assert TargetPolicy().allows_address(ipaddress.ip_address(address))

    @pytest.mark.parametrize(
        "entry",
        ["localhost:8080", "http://intern", "10.0.0.1:80", "10", "10.0.0", "*.com", "*", "*.", "a..b", "a b",
         "10.0.0.0/33", "-a.example", "*.*.example.com", "a_b/c", "x" * 300],
    )  # fmt: skip
    def test_an_entry_that_matches_nothing_stops_the_start(
        self, entry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        monkeypatch.setenv("CRONSCHED_ALLOWED_TARGETS", f"10.0.0.0/8,{entry}")
        with pytest.raises(SettingError, match="CRONSCHED_ALLOWED_TARGETS"):
            Environment(tmp_path / ".env").targets("CRONSCHED_ALLOWED_TARGETS")

    @pytest.mark.parametrize(
        "entry",
        ["10.0.0.0/8", "10.1.2.3", "::1", "[::1]", "fd00::/8", "intern", "a.example.com", "*.corp.example", "a_b"],
    )
    def test_other_entries_are_taken(self, entry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.setenv("CRONSCHED_ALLOWED_TARGETS", entry)
        assert Environment(tmp_path / ".env").targets("CRONSCHED_ALLOWED_TARGETS") == [entry]

    def test_a_star_opens_private_networks_but_not_this_machine(self) -> None:
        connector = Connector(TargetPolicy.read(["*.corp.example"]), resolve=None)  # type: ignore[arg-type]
        found = connector.allowed("a.corp.example", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fe80::1"])
        assert found == ["10.0.0.1"]
        exact = Connector(TargetPolicy.read(["a.corp.example"]), resolve=None)  # type: ignore[arg-type]
        assert exact.allowed("a.corp.example", ["127.0.0.1"]) == ["127.0.0.1"]

    def test_a_refusal_does_not_tell_where_a_name_leads(self) -> None:
        connector = Connector(TargetPolicy(), resolve=None)  # type: ignore[arg-type]
        with pytest.raises(DeliveryError) as caught:
            connector.allowed("intern.example", ["10.11.12.13"])
        assert "10.11.12.13" not in str(caught.value)


def test_a_host_has_one_limit_in_every_spelling() -> None:
    spellings = [
        "http://h.example/",
        "http://H.example",
        "http://a:b@h.example/x",
        "http://h.example:80?q",
        "http://h.example./",
    ]
    assert {WebhookTarget(url).host for url in spellings} == {"h.example:80"}
    assert WebhookTarget("https://h.example").host == "h.example:443"
    assert WebhookTarget("http://[::1]:5/").host == "[::1]:5"


@pytest.mark.django_db
class TestNames:
    @pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\tb", "a\u2028b", "a\x0bb", "a\u202eb", "a\u0085b"])
    def test_they_hold_no_line_breaks_and_no_direction_marks(self, text: str) -> None:
        with pytest.raises(Invalid):
            validation.name_text(text)

    def test_addresses_have_a_limit(self, settings: Any) -> None:
        many = [f"a{number}@example.com" for number in range(21)]
        with pytest.raises(Invalid, match="20"):
            validation.emails(many)
        assert len(validation.emails(many[:20])) == 20
        settings.MAIL_ALLOWED_DOMAINS = ["corp.example"]
        with pytest.raises(Invalid, match=r"corp\.example"):
            validation.emails(["a@evil.example"])
        assert validation.emails(["a@corp.example", "b@sub.corp.example"])


def test_a_run_page_is_a_page_of_github(settings: Any) -> None:
    settings.GITHUB_API_URL = "https://api.github.com"
    assert page_of_run("https://github.com/o/r/actions/runs/1") == "https://github.com/o/r/actions/runs/1"
    for url in (
        "javascript:alert(1)",
        "https://evil.example/x",
        "http://github.com/x",
        "https://github.com@evil.example/",
        5,
        None,
    ):
        assert page_of_run(url) == ""
    settings.GITHUB_API_URL = "https://ghe.corp.example/api/v3"
    assert page_of_run("https://ghe.corp.example/o/r/actions/runs/1")


class TestOneEventLoopForAll:
    """What costs a call of ours for each few bytes is bounded in number, not only in bytes."""

    def reply(self, raw: bytes) -> Reply:
        async def one() -> Reply:
            async with scripted(([raw], True)) as (client, script):
                return await client.send(Request("GET", f"http://127.0.0.1:{script.port}/", {}), 5)

        return asyncio.run(one())

    def test_a_head_of_thousands_of_lines_is_refused(self) -> None:
        raw = b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9_000 + b"Content-Length: 2\r\n\r\nok"
        with pytest.raises(DeliveryError, match="too many lines"):
            self.reply(raw)
        assert self.reply(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 400 + b"Content-Length: 2\r\n\r\nok").text == "ok"

    def test_a_body_in_thousands_of_chunks_is_refused(self) -> None:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        with pytest.raises(DeliveryError, match="far more than its body"):
            self.reply(raw + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
        assert self.reply(raw + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n").status == 200


def test_the_document_is_made_once_for_many_at_a_time() -> None:
    openapi_views._generated.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: openapi_views.openapi_document(), range(8)))
    assert len({id(one) for one in found}) == 1
