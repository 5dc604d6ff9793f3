"""Whom to believe where sentinels differ."""

from __future__ import annotations

from roster.redis.sentinels import SentinelView, choose

OLD, NEW = ("old", 1), ("new", 2)


def word(epoch: int, primary: tuple[str, int]) -> SentinelView:
    return SentinelView(epoch, primary, frozenset(), troubled=False)


def test_one_answer_serves() -> None:
    assert choose([word(0, OLD)], None, 3) == word(0, OLD)


def test_nobody_is_believed_where_nobody_speaks() -> None:
    assert choose([], word(1, OLD), 3) is None


def test_the_newest_epoch_is_right_even_if_only_one_knows_it() -> None:
    assert choose([word(1, OLD), word(1, OLD), word(2, NEW)], word(1, OLD), 3) == word(2, NEW)


def test_a_sentinel_that_slept_is_not_believed() -> None:
    assert choose([word(1, OLD)], word(2, NEW), 3) is None


def test_where_equal_epochs_differ_the_majority_is_right() -> None:
    assert choose([word(1, OLD), word(1, NEW), word(1, NEW)], word(1, OLD), 3) == word(1, NEW)
    assert choose([word(1, OLD), word(1, NEW)], word(1, OLD), 3) is None


def test_sentinels_that_were_set_up_anew_are_believed_by_majority() -> None:
    assert choose([word(0, NEW), word(0, NEW)], word(9, OLD), 3) == word(0, NEW)
