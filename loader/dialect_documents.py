"""What the courts' feeds say of documents, by column."""

from __future__ import annotations

import numpy as np

from loader import dialects
from loader.fields import Cells, Fields
from loader.firms import is_firm_number
from loader.pieces import Bools

Document = tuple[str, str, str]
"""Type, issuer and kind."""

_LONG, _OLD = 18, 15
_PERMANENT, _NINE = ord("9"), 9
_RESIDENT: Document = ("resident_id", "", "")
FIRM: Document = ("organisation", "", "")
_CHINESE: Document = ("passport", "CHN", "")


class Documents:
    """What documents the numbers in a column are of."""

    def __init__(self, fields: Fields, number: Cells) -> None:
        """As far as their shapes say it."""
        self._fields = fields
        self._number = number
        self._known = {_RESIDENT: 0}
        self._which = np.zeros(len(fields), np.int64)
        rows = np.flatnonzero(~_are_digits(fields, number))
        shapes = [(*dialects.shape(text), "") for text in fields.texts(number, rows)]
        self._which[rows] = [self._code(shape) for shape in shapes]

    def put(self, document: Document, rows: Bools) -> None:
        """Nothing; these rows' documents are of that type, issuer and kind."""
        self._which[rows] = self._code(document)

    def put_type(self, type_: str, rows: Bools) -> None:
        """Nothing; these rows' documents are of that type."""
        for document, code in list(self._known.items()):
            self.put((type_, *document[1:]), rows & (self._which == code))

    def are(self, type_: str) -> Bools:
        """Which are of that type."""
        codes = [code for document, code in self._known.items() if document[0] == type_]
        return np.isin(self._which, codes)

    def written(self) -> list[Cells]:
        """Types, issuers and kinds."""
        columns = zip(*self._known, strict=True)
        return [self._fields.write(column)[:, self._which] for column in columns]

    def _code(self, document: Document) -> int:
        return self._known.setdefault(document, len(self._known))


def _are_digits(fields: Fields, number: Cells) -> Bools:
    """Which numbers are 15 digits, or 17 and a check character, and so an ID card's."""
    found = np.zeros(len(fields), np.bool_)
    for size in (_OLD, _LONG):
        rows = np.flatnonzero(number[1] == size)
        digits = fields.column(number[:, rows]).windows(0, size) - ord("0")
        is_digit = np.ascontiguousarray(digits.T) <= _NINE
        last = is_digit[-1] | (digits[:, -1] == ord("X") - ord("0")) & (size == _LONG)
        found[rows] = is_digit[:-1].all(0) & last
    return found


def zxgk_documents(fields: Fields, number: Cells, listed: Bools) -> Documents:
    """Those of the site's numbers, of which no field says what they are."""
    documents = Documents(fields, number)
    documents.put(FIRM, _are_firms(fields, number, listed))
    return documents


def xycj_documents(fields: Fields, number: Cells) -> Documents:
    """Those of the exchange table, which has words for most."""
    documents = Documents(fields, number)
    words = fields.text("ZJLXMC")
    codes = fields.sorted_out(words, dialects.word_code)
    for code in np.unique(codes[codes > 0]).tolist():
        documents.put(dialects.DOCUMENT_WORDS[code - 1][1:], codes == code)
    passports = np.flatnonzero(documents.are("passport") & (codes > 0))
    told = zip(fields.texts(words, passports), fields.texts(number, passports), strict=True)
    chinese = np.zeros(len(fields), np.bool_)
    chinese[passports] = [dialects.is_chinese(word, text) for word, text in told]
    documents.put(_CHINESE, chinese)
    firms = fields.sorted_out(fields.text("BZXRLXMC"), dialects.is_firm_party) > 0
    documents.put(FIRM, firms | (number[1] == 0) & (fields.text("ZZJGDM")[1] > 0))
    return documents


def _are_firms(fields: Fields, number: Cells, listed: Bools) -> Bools:
    """581 says so; mirrors write "0" or nothing, then the number or the representative does."""
    party = fields.sorted_out(fields.text("partyTypeName"), dialects.party)
    firms = (party == dialects.IS_FIRM) | (party == dialects.UNSAID) & (
        fields.text("businessEntity")[1] > 0
    )
    # A person's number of digits begins with 9 only if it is a foreigner's.
    clear = _are_digits(fields, number) & (fields.column(number).windows(0, 1)[:, 0] != _PERMANENT)
    rows = np.flatnonzero((party == dialects.UNSAID) & ~firms & ~clear)
    firms[rows] = [is_firm_number(text) for text in fields.texts(number, rows)]
    found: Bools = firms & listed
    return found
