"""Why a number can be none of its type: what is told, and that it never holds the number."""

from __future__ import annotations

import pytest

from roster.documents.doubts import Doubt, doubt_of
from roster.documents.identity import Document

TODAY = "20261130"


@pytest.mark.parametrize(
    ("document", "doubt"),
    [
        (Document("resident_id", "110105180001010010"), None),
        (Document("resident_id", "1101 0518 0001 0100 10"), None),
        (Document("resident_id", "130503670401001"), None),
        (Document("resident_id", "11010518000101001"), Doubt("length", 17)),
        (Document("resident_id", "1101 0518 0001 0100 101"), Doubt("length", 19)),
        (Document("resident_id", "5"), Doubt("length", 1)),
        (Document("resident_id", "11O105180001010010"), Doubt("letter", 18, place=3)),
        (Document("resident_id", "X10105180001010010"), Doubt("letter", 18, place=1)),
        (Document("resident_id", "11010518000101001O"), Doubt("letter", 18, place=18)),
        (Document("resident_id", "13050367040100X"), Doubt("letter", 15, place=15)),
        (
            Document("resident_id", "１１０１０５18000101001x"),
            Doubt("check_digit", 18, check_digit="0"),
        ),
        (Document("resident_id", "110105180013010017"), Doubt("shape", 18)),
        (Document("resident_id", "130503671301001"), Doubt("shape", 15)),
        (Document("permanent_resident_id", "911344180101014327"),
         Doubt("check_digit", 18, check_digit="1")),
        (Document("taiwan_permit", "110105180001010010"), Doubt("resident_number", 18)),
        (Document("passport", "110105180001010010", issuer="CHN"), Doubt("resident_number", 18)),
        (Document("passport", "1101 0518 0001 0100 10", issuer="GBR"),
         Doubt("resident_number", 18)),
        (Document("other", "110105180001010010", issuer="CHN", kind="military"),
         Doubt("resident_number", 18)),
        (Document("other", "110105180001010011", issuer="CHN", kind="military"), None),
        (Document("hk_macao_permit", "H1"), Doubt("shape", 2)),
        (Document("passport", "E1", issuer="CHN"), Doubt("shape", 2)),
        (Document("passport", "E1", issuer="GBR"), None),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_number_is_told_without_it(
    document: Document, doubt: Doubt | None
) -> None:
    assert doubt_of(document, TODAY) == doubt
