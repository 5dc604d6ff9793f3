"""A number that was damaged on its way is taken out of its wrapper, or rejected."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.columns import cells
from loader.columns.cells import Unusable
from roster.documents.identity import Document, DocumentType, normalise

ID = "110105186712150017"
OLD = "110105790304997"
LATEST = "20261124"
MALFORMED, MASKED, MISSING = "malformed", "masked_number", "missing_number"

WRAPPERS = (
    '="{}"', "='{}'", "={}", '=""{}""', '"{}"', "'{}", "`{}", "`{}`", "“{}”", "‘{}’", "「{}」",
    "＂{}＂", "´{}´", '"{}', '{}"', "{}.", "{}。", "{}．", "{},", "{}，", "{}；", "{}、", '"{}".',
    '"{}."', '="{}";', "({})", "（{}）", "[{}]", "【{}】", "<{}>",
    "\u200b{}\ufeff", "\u00a0{}\u3000",
    "\t{}\t", '\\"{}\\"', ":{}", "{}:", '["{}"]',
)  # fmt: skip
LABELS: dict[str, tuple[str, ...]] = {
    "resident_id": (
        "身份证", "身份证号", "身份证号码", "身份证号码：", "居民身份证:", "公民身份号码 ",
        "证件号码：",
        "证件号:", "ID:", "ID ", "ID", "id no. ", "ID Card: ", "ID Number ", "No.", "号码:", "SFZ:",
        "第二代居民身份证号码为：", "身份证：", "证件类型:身份证 号码:",
        "身份證號碼:",
    ),
    "passport": (
        "护照", "护照号", "护照号码：", "护照:", "Passport No. ", "PASSPORT", "passport: ", "ID:",
        "No: ", "证件号码:", "中国护照 ",
    ),
    "hk_macao_permit": ("回乡证", "港澳居民来往内地通行证:", "通行证号码：", "ID:", "Permit No. "),
    "taiwan_permit": ("台胞证", "台湾居民来往大陆通行证：", "通行证号 ", "ID", "No."),
    "permanent_resident_id": ("永久居留身份证:", "外国人永久居留证", "ID: ", "证件号码 "),
    "other": ("证件号码:", "海员证：", "ID: "),
}  # fmt: skip
NUMBERS: dict[str, tuple[str, ...]] = {
    "resident_id": (ID, "11010518690404004X", OLD),
    "passport": ("E12345678", "876543210", "SYN0000007"),
    "hk_macao_permit": ("H12345678", "M1234567801"),
    "taiwan_permit": ("12345678", "1234567801", "12345678(B)"),
    "permanent_resident_id": ("USA110067030110",),
    "other": ("A1234567", "军字第1234567号"),
}


def document(type_: str, number: str, issuer: str = "RUS") -> str:
    """The number that is loaded, or why none is."""
    try:
        return cells.document(type_, number, issuer, "seaman", LATEST).number
    except Unusable as bad:
        return bad.reason if bad.field == "document_number" else bad.field


def as_spelled(type_: DocumentType, number: str) -> str:
    issued = type_ in {"passport", "other"}
    kind = "seaman" if type_ == "other" else None
    return normalise(Document(type_, number, "RUS" if issued else None, kind), LATEST).number


@pytest.mark.parametrize("type_", NUMBERS)
def test_a_number_is_taken_out_of_every_wrapper(type_: DocumentType) -> None:
    for number in NUMBERS[type_]:
        for wrapper in WRAPPERS:
            assert document(type_, wrapper.format(number)) == as_spelled(type_, number), wrapper


@pytest.mark.parametrize("type_", NUMBERS)
def test_a_label_before_a_number_is_no_part_of_it(type_: DocumentType) -> None:
    for number in NUMBERS[type_]:
        for label in LABELS[type_]:
            for whole in (label + number, f'="{label}{number}"', f"{label}“{number}”。"):
                assert document(type_, whole) == as_spelled(type_, number), whole


@pytest.mark.parametrize(
    ("type_", "number", "exact"),
    [
        ("resident_id", OLD + ".0", OLD),
        ("resident_id", OLD + ".00", OLD),
        ("taiwan_permit", "11234321.0", "11234321"),
        ("passport", "876543210.0", "876543210"),
        ("other", "876543210.0", "876543210"),
        ("resident_id", f'"{OLD}.0"', OLD),
    ],
)
def test_a_float_is_the_whole_number_where_it_is_exact(
    type_: DocumentType, number: str, exact: str
) -> None:
    assert document(type_, number) == as_spelled(type_, exact)


@pytest.mark.parametrize(
    ("type_", "numbers"),
    [
        (
            "resident_id",
            [
                ID[:17], ID[:16], ID + "0", OLD[:14], OLD + "1", "1", f"{ID} {ID}", f"{ID}/{ID}",
                f"{ID}(本人)", f"{ID}（原）", f"{ID}张某某", f"张某某{ID}", f"父亲身份证{ID}",
                f"配偶{ID}", f"代理人：{ID}", f"护照{ID}", f"{ID}..", f"{ID}?", f"{ID}号",
                "110,105,186,712,150,017", "1.10105E+17", "1.10105186712150e+17", f"{ID}.0",
                "110105186712150016.0", f"{OLD}.5", f"1{ID[1:17]}K", f"{ID[:6]}O{ID[7:]}",
                "91110105MA01ABCD2X", "E12345678", "12345678",
                "一二三四五六七八九十一二三四五六七八",
                "0" * 18, "0" * 15, "True", "#DIV/0!", "2026-11-24",
            ],
        ),
        ("permanent_resident_id", [ID, "USA11006703011", "110067030110", OLD, "USAUSA670301101"]),
        ("hk_macao_permit", ["1234567", "H1234567", "H123456789", "A123456(7)", ID, "HM1234567"]),
        ("taiwan_permit", ["1234321", "1234321.0", "123456789", "123", ID[:7] + "B", "1234 321"]),
        (
            "passport",
            [
                "E12/45678", "E12345678(本人)", "身份证E12345678", "E12345678 张某某", "1.2E+08",
                f"{ID}{OLD}", "护照", "E12345678/E87654321", "No.E12345678 x/", "x:E12345678",
            ],
        ),
        ("other", ["1.2E+08", "12345678.5", "12345.", "A<123"][:2]),
    ],
)  # fmt: skip
def test_what_can_be_no_number_of_such_a_document_is_malformed(
    type_: str, numbers: list[str]
) -> None:
    for number in numbers:
        assert document(type_, number) == MALFORMED, number


def test_a_chinese_passport_is_as_long_as_one() -> None:
    assert document("passport", ID, "CHN") == MALFORMED
    assert document("passport", "1234567", "CHN") == "W:CHN:1234567"
    assert document("passport", "x:E12345678", "CHN") == MALFORMED


@pytest.mark.parametrize("type_", NUMBERS)
def test_a_placeholder_is_nobodys_number(type_: str) -> None:
    for word in (
        "NULL", "null", "\\N", "N/A", "#N/A", "n/a", "NA", "nan", "NaN", "None", "无", "-", "--",
        "—",
        "/", ".", "未知", "不详", "暂无", "待查", "#REF!", "#VALUE!", "#DIV/0!", "0", "00000000",
        "0.0",
        "?", "????????", "<NA>", "''", '=""', "'", "nil", "unknown", "护照", "身份证", "身份证：无",
    ):  # fmt: skip
        assert document(type_, word) == MALFORMED, word
    for nothing in ("", " ", "\u3000", "\u200b"):
        assert document(type_, nothing) == MISSING, nothing


@pytest.mark.parametrize("type_", NUMBERS)
@given(secret=st.binary(max_size=8), upper=st.booleans())
def test_a_hash_is_nobodys_number(type_: str, secret: bytes, *, upper: bool) -> None:
    for name in ("md5", "sha1", "sha256", "blake2s", "sha224"):
        made = hashlib.new(name, secret).hexdigest()
        for hashed in (made, f"{name}:{made}", f"0x{made}"):
            told = hashed.upper() if upper else hashed
            assert document(type_, told[:64]) in {MALFORMED, MASKED}, hashed
    one = hashlib.md5(secret).hexdigest()
    uuid = f"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}"
    assert document(type_, uuid) == MALFORMED


@pytest.mark.parametrize("type_", NUMBERS)
def test_what_was_blotted_out_is_masked(type_: str) -> None:
    for number in (
        "110105********0011", "1101051849xxxx0020", "110105XXXXXXXX0011", "110105????????0011",
        "110105########0011", "110105••••••••0011", "110105●●●●●●●●0011", "110105________0011",
        "110105□□□□□□□□0011", "110105＊＊＊＊0011", "E12****78", "E12XXXX78",
        "身份证110105****0011",
        '="110105********0011"', "1234****", "110105...0011",
    ):  # fmt: skip
        assert document(type_, number) == MASKED, number
    assert document(type_, "********") in {MASKED, MALFORMED}


def test_a_wrong_check_digit_or_birth_date_is_no_reject() -> None:
    for number in (ID[:17] + "8", "110105186001020000", "110105186713450017", "110105799904997"):
        assert document("resident_id", number).startswith("R:110105")


@given(st.sampled_from(sorted(NUMBERS)), st.text(max_size=70))
def test_what_is_read_is_read_the_same_again(type_: DocumentType, text: str) -> None:
    first = document(type_, text)
    if ":" in first:
        number = first.split(":", {"W": 2, "O": 3}.get(first[0], 1))[-1]
        assert document(type_, number) == first
