"""Whether bytes are UTF-8, held to what Python says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader.columns import texts
from loader.columns.texts import is_utf8

pieces = st.one_of(
    st.text(max_size=3).map(lambda text: text.encode(errors="surrogatepass")),
    st.sampled_from(["张三", "（号）", "é", "ࠀ", "\U00020000", "a", "\n"]).map(str.encode),
    st.binary(max_size=3),
)


def is_decoded(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.lists(pieces).map(b"".join))
@example("张三".encode()[:-1])
@example("张三".encode()[:-2])
@example("张".encode()[1:] + "三".encode())
@example(b"\x80" + "张".encode()[:-1])
@example(b"\xf0\x80\x80")
@example(b"\xed\xa0\x80")
@example(b"\xe0\x80\x80")
@example(b"\xe4\xe4\xb8\x80\x80\x80")
def test_bytes_are_utf8_where_python_says_so(data: bytes) -> None:
    assert is_utf8(data) == is_decoded(data)


@pytest.mark.parametrize("end", ["", "张".encode()[:2]])
@pytest.mark.parametrize("line", ["sx,张三,é\n", "张", "\U00020000\n"])
def test_long_bytes_are_judged_in_chunks(
    monkeypatch: pytest.MonkeyPatch, line: str, end: str | bytes
) -> None:
    monkeypatch.setattr(texts, "_CHUNK_BYTES", 16)
    last = end if isinstance(end, bytes) else end.encode()
    assert is_utf8(line.encode() * 20 + last) == (not end)
