"""Radicals and strokes of Han characters as the characters that they are.

Texts from PDFs hold them in the place of characters: U+2EE2 for 马. The table is that of
Unicode's EquivalentUnifiedIdeograph.txt (UAX #44) for the blocks CJK Radicals Supplement and
CJK Strokes; what it says of the Kangxi radicals NFKC does, too.
"""

from __future__ import annotations

_RADICALS = [*range(0x2E81, 0x2E9A), *range(0x2E9B, 0x2EF4)]
_OF_RADICALS = (
    "厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵旡日月歺母民氵氺灬爫爫丬牛犭王"
    "𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅長"
    "镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
_STROKES = [0x31C6, *range(0x31CF, 0x31E2)]
_OF_STROKES = "𠃌乀一丨丿丿丶𠃍乛𠃊𠃎𠄌亅𡿨𠃋乀𠃑乚乙𠄎"

UNIFIED = dict(zip(_RADICALS, _OF_RADICALS, strict=True)) | dict(
    zip(_STROKES, _OF_STROKES, strict=True)
)
"""For `str.translate`: each radical and stroke that is an ideograph, and the ideograph."""
