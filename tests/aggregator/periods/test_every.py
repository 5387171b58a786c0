"""Every: what users may write, and what they are told otherwise."""

from __future__ import annotations

import pytest

from stats_aggregator.errors import SettingError
from stats_aggregator.periods.every import AUTO_WINDOW_NS, Every, Mode, parse_span_ns

MS_NS = 1_000_000


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("auto", Every(Mode.AUTO)),
        (" Manual ", Every(Mode.MANUAL)),
        ("10s", Every(Mode.TIME, 10_000 * MS_NS)),
        ("10 ms", Every(Mode.TIME, 10 * MS_NS)),
        ("1.5 M", Every(Mode.TIME, 90_000 * MS_NS)),
        ("2h", Every(Mode.TIME, 7_200_000 * MS_NS)),
        ("1d", Every(Mode.TIME, 86_400_000 * MS_NS)),
        ("50000 steps", Every(Mode.STEPS, steps=50_000)),
        ("1 step", Every(Mode.STEPS, steps=1)),
    ],
)
def test_what_is_right_is_read(text, every):
    assert Every.parse(text) == every


@pytest.mark.parametrize(
    "text",
    ["", "10", "s", "-5s", "9ms", "0s", "0 steps", "-1 steps", "10 x", "1e3s", "100 steps s", "ten seconds",
     "99999999999999999999 steps", "9" * 30 + " steps", "10\ns s", "nan s"],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_would_be_right(text):
    with pytest.raises(SettingError) as caught:
        Every.parse(text, "--every")
    assert str(caught.value).startswith(f'--every is {text!r}; right would be "auto"')


@pytest.mark.parametrize(("text", "span_ns"), [("0s", 0), ("0.29s", 290 * MS_NS), ("1.1ms", 1_100_000)])
def test_spans_are_exact_nanoseconds(text, span_ns):
    assert parse_span_ns("grace", text) == span_ns


@pytest.mark.parametrize("text", ["10001d", "9" * 400 + "s", "9" * 30 + "ms"])
def test_a_span_that_no_time_could_be_added_to_is_refused(text):
    with pytest.raises(SettingError, match="at most 10000d"):
        parse_span_ns("grace", text)
    with pytest.raises(SettingError):
        Every.parse(text)


def test_the_time_of_auto_is_ten_seconds():
    assert Every.parse("auto").window_ns == AUTO_WINDOW_NS == 10_000 * MS_NS
