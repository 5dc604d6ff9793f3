from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.documents.check_digits import holds_id_number


@pytest.mark.parametrize(
    "text",
    [
        "11010519491231002X",
        "11010519491231002x",
        "１１０１０５１９４９１２３１００２Ｘ",
        "11010519491231002Х",
        "(2018)京0105执1234号11010519491231002X",
        "440524188001010014/1",
        "00440524188001010014",
        "44052418800101001499",
        "110105 19491231 002X",
        "110105-19491231-002X",
        "110105\u200b19491231\u200b002X",
        "1 1 0 1 0 5 1 9 4 9 1 2 3 1 0 0 2 X",
        "张某某 11010519491231002X 北京",
    ],
)
def test_an_id_number_is_found_however_it_is_spelled(text: str) -> None:
    assert holds_id_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(2018)京0105执1234号/1",
        "北京市朝阳区人民法院",
        "110105194912310021",
        "11010519491331002X",
        "1101051949****002X",
        "110105491231002",
        "123456789012345678901234567890",
        "91110000600037341L",
    ],
)
def test_other_texts_may_be_stored(text: str) -> None:
    assert not holds_id_number(text)


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text: str) -> None:
    holds_id_number(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_around_a_number_hides_it(before: str, after: str) -> None:
    assert holds_id_number(before + "110105184912310020" + after)
