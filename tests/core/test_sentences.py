"""What is stored or raised in English is shown in the reader's language."""

from __future__ import annotations

import re
import string

import pytest
from django.utils import translation

from core.sentences import SENTENCES, said
from jobs.schedules.schedule import CronError, schedule_of
from jobs.targets.address_policy import check_url

_ENGLISH = re.compile(r"[A-Za-z']{2,} [A-Za-z']{2,} [A-Za-z']{2,}")


@pytest.mark.parametrize("template", SENTENCES)
def test_every_sentence_is_found_again_in_japanese(template: str) -> None:
    names = [name for _text, name, *_rest in string.Formatter().parse(template) if name]
    text = template.format(**{name: f"<{number}>" for number, name in enumerate(names)})
    with translation.override("ja"):
        japanese = said(text)
    assert not _ENGLISH.search(re.sub(r"<\d+>", "", japanese)), japanese
    assert [f"<{number}>" for number in range(len(names)) if f"<{number}>" not in japanese] == []
    assert said(text) == text


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "61 * * * *", "5-1 * * * *", "*/0 * * * *", "5/3 * * * *", "x * * * *", "1,,2 * * * *", "@often",
     "0 0 31 2 *", "? * * * *"],
)  # fmt: skip
def test_every_error_of_a_cron_expression_has_a_translation(expression: str) -> None:
    with pytest.raises(CronError) as caught:
        schedule_of(expression)
    with translation.override("ja"):
        assert re.search(r"[぀-ヿ]", said(str(caught.value))), str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://10.0.0.1/", "http://x y", "http://x:0/", "http://" + "x" * 3000]
)
def test_every_error_of_a_url_has_a_translation(url: str) -> None:
    with pytest.raises(Exception) as caught:
        check_url(url)
    with translation.override("ja"):
        assert re.search(r"[぀-ヿ]", said(str(caught.value))), str(caught.value)


def test_sentences_within_sentences() -> None:
    with translation.override("ja"):
        assert said('Job "日次" failed: Webhook returned status 503') == (
            "ジョブ「日次」が失敗しました: Webhook の応答ステータスは 503 でした"
        )
        assert said("The minute field has an empty list item: remove the extra comma.").startswith("分フィールド")


@pytest.mark.parametrize(
    "text", ["", "whatever a target has answered", "x" * 100_000, "no connection to " + ":" * 5000]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    with translation.override("ja"):
        assert said(text) == text or text.startswith("no connection")
