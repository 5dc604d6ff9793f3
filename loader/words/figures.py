"""What the results of the loader's commands are called, in English and Chinese.

Codes, ids and times stand in both languages as they are: files, logs and programs have them.
"""

from __future__ import annotations

from roster.speech.language import Phrase

FIGURES = {
    "rows": Phrase("rows", "行数"),
    "people": Phrase("people", "人数"),
    "added": Phrase("added", "新增"),
    "changed": Phrase("changed", "变更"),
    "ended": Phrase("ended", "终止"),
    "unchanged": Phrase("unchanged", "未变"),
    "superseded": Phrase("superseded", "已过时"),
    "rejected": Phrase("rejected", "拒收"),
    "warnings": Phrase("warnings", "警告"),
    "skipped": Phrase("skipped", "略过"),
    "seconds": Phrase("seconds", "秒"),
    "entries/s": Phrase("entries/s", "条目/秒"),
    "peak memory": Phrase("peak memory", "内存峰值"),
    "put back": Phrase("put back", "恢复"),
    "removed": Phrase("removed", "移出"),
    "changed back": Phrase("changed back", "改回"),
    "stays": Phrase("stays", "保持现状"),
}
"""What is counted."""
DOING = {
    "reading": Phrase("reading", "读取"),
    "comparing": Phrase("comparing", "比对"),
    "diffing": Phrase("diffing", "列出差异"),
    "merging": Phrase("merging", "合并"),
    "undoing": Phrase("undoing", "撤销"),
    "writing": Phrase("writing", "写出"),
    "pushing": Phrase("changes", "变更"),
    "preparing": Phrase("preparing", "准备"),
}
"""What progress is told of."""
PROGRESS = Phrase("{what}: {amount}{unit}", "{what}：{amount}{unit}")
PROGRESS_OF = Phrase(
    "{what}: {amount} of {whole}{unit} ({percent} %)",
    "{what}：{amount} / {whole}{unit}（{percent} %）",
)

# A load.
LOADED = Phrase("loaded as of {at}", "已载入，截至 {at}")
WOULD_LOAD = Phrase("would load as of {at}", "试运行，未载入；截至 {at}")
SAME = Phrase(
    "nothing to do: load {load} brought the same, as of {at}, and was the last of these lists; "
    "--again loads it once more",
    "无需载入：第 {load} 次载入的内容相同，截至 {at}，且是这些名单最近的一次；--again 可再次载入",
)
REASONS = Phrase("  ({counted})", "  （{counted}）")
REJECTS_IN = Phrase("rejects in {path}", "拒收明细见 {path}")
OF_LIST = Phrase("{name}: {counted}", "{name}：{counted}")
COUNTED = Phrase("{count:,} {what}", "{what} {count:,}")
REWOUND = Phrase(
    "still rewound: {count} partitions, where nobody is denied until then",
    "仍为 rewound：{count} 个分区，在此之前不拒绝任何人",
)
REWOUND_LIST = Phrase(
    "  {name}: {why}; a full file as of after {at} is to be loaded",
    "  {name}：{why}；需载入截至时间晚于 {at} 的全量文件",
)
REWOUND_END = Phrase(
    "  or look at what is stored and `clearway accept`",
    "  或核对现存内容后执行 `clearway accept`",
)

# An undo.
UNDONE = Phrase("undone: load {load} ({name})", "已撤销：第 {load} 次载入（{name}）")
WOULD_UNDO = Phrase("would undo load {load} ({name})", "试运行，未撤销：第 {load} 次载入（{name}）")
UNDO_OF = Phrase("load {load} ({name}) did:", "第 {load} 次载入（{name}）的结果：")
UNDO_ASK = Phrase(
    "Put back what it ended, and remove what it added?", "恢复其终止的条目，并移出其新增的条目？"
)
NEVER_LOADED = Phrase(
    "{name}: counts as never loaded, as it was before", "{name}：视为从未载入，与此前相同"
)
STAYS = Phrase(
    "stays, since it was changed by somebody else: {entry}: {now}, not {what}",
    "保持现状，因其后另有更改：{entry}：现为 {now}，未执行 {what}",
)

# A verification.
EQUAL, DIFFERENT = Phrase("equal", "一致"), Phrase("DIFFERENT", "不一致")
VERIFIED = Phrase(
    "{name}: {verdict} (file {file}, roster {roster}); {missing:,} missing, {extra:,} extra, "
    "{different:,} different, {newer:,} newer in the roster",
    "{name}：{verdict}（文件 {file}，名册 {roster}）；缺少 {missing:,}，多出 {extra:,}，"
    "不同 {different:,}，名册中较新 {newer:,}",
)
KINDS = {
    "missing": Phrase("missing", "缺少"),
    "extra": Phrase("extra", "多出"),
    "different": Phrase("different", "不同"),
    "newer": Phrase("newer", "较新"),
}
DIFFERENCE = Phrase("  {kind}: {entry} (bucket {place})", "  {kind}：{entry}（桶 {place}）")
REPAIRED = Phrase("repaired: {count:,} records written", "已修复：写入 {count:,} 条记录")
EQUALS = Phrase("the roster equals the file ({rows:,} rows)", "名册与文件一致（{rows:,} 行）")
EQUALS_NOT = Phrase(
    "the roster does not equal the file ({rows:,} rows)", "名册与文件不一致（{rows:,} 行）"
)

# A watch.
WATCHED = Phrase(
    "{file} is loaded as of {at}: {added:,} added, {changed:,} changed, {ended:,} ended, "
    "{rejected:,} rejected, in {seconds:.1f} s",
    "{file} 已载入，截至 {at}：新增 {added:,}，变更 {changed:,}，终止 {ended:,}，"
    "拒收 {rejected:,}，用时 {seconds:.1f} 秒",
)
WATCH_REFUSED = Phrase("{file} is refused: {why}", "{file} 被拒绝：{why}")

# The others.
SIGNED = Phrase(
    "signed: {rows:,} rows of {lists}, as of {at}", "已签名：{lists} 共 {rows:,} 行，截至 {at}"
)
GENERATED = Phrase(
    "{entries:,} entries of {people:,} people; load them with --as-of {at}",
    "已生成 {people:,} 人的 {entries:,} 条；载入时请加 --as-of {at}",
)
PUSHED_LINE = Phrase("line {line}: {outcome} {errors}", "第 {line} 行：{outcome} {errors}")
PUSHED_NONE = Phrase("empty", "空文件")
NOT_AUDITED = Phrase("this is not in the audit: {why}", "此次未记入审计：{why}")
NOT_RECORDED = Phrase("the refusal is not on record: {why}", "此次拒绝未能记录：{why}")
LATE_NOT_FOUND = Phrase(
    "its late denials were not all looked for: {why}", "未能全部查找其延迟拒绝：{why}"
)
