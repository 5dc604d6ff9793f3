from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.times import format_ms, in_beijing, parse_time, parse_until


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2018-01-01T00:00:00Z", 1_514_764_800_000),
        ("2018-01-01T08:00:00+08:00", 1_514_764_800_000),
        ("2017-12-31T19:30:00-04:30", 1_514_764_800_000),
        ("2018-01-01t00:00:00z", 1_514_764_800_000),
        ("2018-01-01 00:00:00Z", 1_514_764_800_000),
        ("2018-01-01T00:00:00.5Z", 1_514_764_800_500),
        ("2018-01-01T00:00:00.123999Z", 1_514_764_800_123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("1969-12-31T23:59:59Z", -1_000),
    ],
)
def test_a_time_is_rfc_3339(text: str, ms: int) -> None:
    assert parse_time(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2018",
        "20180101",
        "2018-02-30",
        "2018-13-01",
        "2018-1-1",
        "２０１８-01-01",
        "2018-01-01T00:00:00",
        "2018-01-01T00:00Z",
        "2018-01-01T24:00:00Z",
        "2018-01-01T00:60:00Z",
        "2018-01-01T00:00:61Z",
        "2018-01-01T00:00:00+0800",
        "2018-01-01T00:00:00+24:00",
        "2018-01-01T00:00:00Z ",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01",
        "0001-01-01",
        "1514764800000",
    ],
)
def test_what_is_no_time_is_refused_without_being_repeated(text: str) -> None:
    for parse in (parse_time, parse_until):
        with pytest.raises(ValueError, match=r"^[a-zA-Z0-9 -]+") as refused:
            parse(text)
        assert not text.strip() or text.strip() not in str(refused.value)


def test_a_bare_date_is_that_day_in_beijing() -> None:
    assert parse_time("2018-03-01") == parse_time("2018-03-01T00:00:00+08:00")
    assert parse_until("2018-03-01") == parse_time("2018-03-02T00:00:00+08:00")
    assert parse_until("2018-03-01T12:00:00+08:00") == parse_time("2018-03-01T12:00:00+08:00")
    assert format_ms(parse_until("9999-12-31")) == "9999-12-31T16:00:00Z"


def test_milliseconds_show_only_where_there_are_any() -> None:
    assert format_ms(1_514_764_800_000) == "2018-01-01T00:00:00Z"
    assert format_ms(1_514_764_800_050) == "2018-01-01T00:00:00.050Z"
    assert format_ms(-1) == "1969-12-31T23:59:59.999Z"


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 -- made aware below
    st.integers(-23 * 60, 23 * 60),
)
def test_every_spelling_of_an_instant_is_that_instant(naive: datetime, offset_min: int) -> None:
    moment = naive.replace(tzinfo=UTC)
    ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    spelled = moment.astimezone(timezone(timedelta(minutes=offset_min))).isoformat()
    assert parse_time(spelled) == ms
    assert parse_time(format_ms(ms)) == ms


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2018-03-01", "2018-03-01T00:00:00+08:00"),
        ("2018-02-28T16:00:00Z", "2018-03-01T00:00:00+08:00"),
        ("2018-02-28T23:30:00.125Z", "2018-03-01T07:30:00.125+08:00"),
        ("2018-03-01T00:00:00-05:00", "2018-03-01T13:00:00+08:00"),
        ("9999-12-31T15:59:59Z", "9999-12-31T23:59:59+08:00"),
        ("9999-12-31T16:00:00Z", "9999-12-31T16:00:00Z"),
    ],
)
def test_people_are_shown_the_clock_of_beijing(text: str, shown: str) -> None:
    assert in_beijing(text) == shown
    assert parse_time(shown) == parse_time(text)
