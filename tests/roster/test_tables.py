from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from roster.documents.check_digits import check_digit
from roster.documents.identity import Document, normalise
from roster.documents.tables import characters_of, valid_cards

TODAY = "20260228"
CARD = st.builds(
    lambda area, day, sequence: (digits := f"{area:06}{day:08}{sequence:03}") + check_digit(digits),
    st.integers(100_000, 999_999),
    st.integers(17_991_231, 20_270_101),
    st.integers(0, 999),
)
SPELLED = st.text("0123456789Xx９*?:/٣ ", min_size=18, max_size=18)


@given(st.lists(CARD | SPELLED, max_size=20))
@example(["110105190002291116", "11010518800229002X", "440524188001010014", "11010519491231002X"])
def test_a_card_is_swept_only_as_normalise_takes_it(numbers: list[str]) -> None:
    swept = valid_cards(characters_of(numbers), TODAY).tolist() if numbers else []
    for number, valid in zip(numbers, swept, strict=True):
        one = normalise(Document("resident_id", number), TODAY)
        if valid:
            assert one == (("P:" if number[0] == "9" else "R:") + number, True)
        else:
            assert not one.valid or one.number[2:] != number
