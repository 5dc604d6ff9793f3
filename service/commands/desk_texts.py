"""What the desk says to people of a number, of the entries of a person, and of a change to one.

Codes of the API stand in both languages as they are: the documents, logs and programs have them.
"""

from __future__ import annotations

from roster.speech.language import Phrase

# A number, and whether it can be one.
ASK_NUMBER = Phrase("Number", "证件号码")
NUMBER = Phrase("number", "证件号码")
NUMBER_ARGUMENT = Phrase(
    "a number is never an argument: write - to be asked for it",
    "号码不可写在命令行里：请写 -，再按提示输入",
)
NOT_TEXT = Phrase(
    "what was typed is not text in this terminal's encoding", "输入的内容不是本终端编码的文字"
)
TOO_MUCH = Phrase(
    "there is too much on standard input for one number", "标准输入中的内容过多：只能是一个号码"
)
OTHER_ENCODING = Phrase(
    "what is on standard input is not text in {encoding}, as this terminal's is",
    "标准输入的内容不是本终端编码（{encoding}）的文字",
)
NO_NUMBER = Phrase("there is no number on standard input", "标准输入中没有号码")
SEVERAL_LINES = Phrase(
    "there is more than one line on standard input: one number",
    "标准输入中不止一行：只能是一个号码",
)
CHECK_DIGIT = Phrase(
    "this number cannot be valid: the check digit would be {check_digit}",
    "该号码不可能有效：校验码应为 {check_digit}",
)
TOO_SHORT_OR_LONG = Phrase(
    "this number cannot be valid: {characters} characters; a resident ID has 18",
    "该号码不可能有效：共 {characters} 位，居民身份证号码应为 18 位",
)
NO_DIGIT = Phrase(
    "this number cannot be valid: a digit belongs in place {place}",
    "该号码不可能有效：第 {place} 位应为数字",
)
RESIDENT_NUMBER = Phrase(
    "this is the number of a resident ID: look under the type resident_id",
    "这是居民身份证号码：请按类型 resident_id 查询",
)
NO_SUCH_NUMBER = Phrase(
    "this number cannot be valid: look at it again", "该号码不可能有效：请再核对一遍"
)

# The entry that is meant.
NO_ENTRY = Phrase("no entry of this person", "名单中没有此人的条目")
NO_ENTRY_LOADED = Phrase(
    "no entry of this person; {count} lists are loaded",
    "名单中没有此人的条目；已载入 {count} 份名单",
)
NO_ENTRY_ONE = Phrase(
    "no entry of this person; 1 list is loaded", "名单中没有此人的条目；已载入 1 份名单"
)
NO_SUCH_ENTRY = Phrase(
    "this person has no such entry: nothing was changed", "此人没有这一条目：未作任何更改"
)
UNDECIDED = Phrase(
    "no single entry to {op}: say which with --list and --entry-id",
    "无法确定对哪一条目执行 {op}：请用 --list 和 --entry-id 指明",
)
ALREADY = {
    "active": Phrase(
        "binds already, since {at}: {list} {entry_id}", "自 {at} 起已生效：{list} {entry_id}"
    ),
    "removed": Phrase(
        "already removed on {at}: {list} {entry_id}", "已于 {at} 移出名单：{list} {entry_id}"
    ),
    "suspended": Phrase(
        "already suspended on {at}: {list} {entry_id}", "已于 {at} 暂停：{list} {entry_id}"
    ),
    "absent": Phrase(
        "not removed; nothing to reinstate: {list} {entry_id}, absent from files since {at}",
        "未被移出，无需重新列入：{list} {entry_id}，自 {at} 起文件中已无",
    ),
}
WAS = {
    "suspended": Phrase(
        "was suspended before it was removed: it will bind", "移出前已暂停：重新列入后将生效"
    ),
    "absent": Phrase(
        "was absent from the last file before it was removed: it will bind",
        "移出前最近一份文件中已无：重新列入后将生效",
    ),
}
ALSO = Phrase(
    "also {state}: {entries}: name it with --list and --entry-id",
    "另有条目为 {state}：{entries}：请用 --list 和 --entry-id 指明",
)
COMES_BACK = Phrase(
    "the last file lacks this entry, and the next could bring it back: remove it for good",
    "最近一份文件已无此条目，但下一份文件可能使其恢复：移出后即不再恢复",
)
BINDS = Phrase(
    "1 more entry still binds this person: {entries}", "另有 1 个条目仍限制此人：{entries}"
)
BIND = Phrase(
    "{count} more entries still bind this person: {entries}",
    "另有 {count} 个条目仍限制此人：{entries}",
)
NOW_BINDS = Phrase("1 entry binds this person now: {entries}", "现有 1 个条目限制此人：{entries}")
NOW_BIND = Phrase(
    "{count} entries bind this person now: {entries}", "现有 {count} 个条目限制此人：{entries}"
)
NOTHING_BINDS = Phrase("under this document nothing binds now", "此证件名下现已无生效的限制条目")
COULD_BIND = Phrase(
    "not now, but could again (suspended, or absent from the last file): {entries}",
    "现不限制、但可能恢复（已暂停，或最近一份文件中已无）：{entries}",
)
BOUND = Phrase(
    "other documents are bound to this one: look at those, too",
    "此证件已与其他证件绑定：请一并查询",
)
OTHER_NAME = Phrase(
    "the name is not the entry's: nothing was changed; type number and name again",
    "姓名与条目不符：未作任何更改；请重新输入号码和姓名",
)
NAME_CHECKS = {
    "match": Phrase("is the entry's", "match 相符"),
    "mismatch": Phrase("is another", "mismatch 不符"),
    "not_compared": Phrase("cannot be compared", "not_compared 无法比对"),
}
UNTIL_RESUME = Phrase(
    "suspended until `clearway resume`, which needs a key with list:add",
    "暂停持续至执行 `clearway resume`（密钥须有 list:add 权限）",
)
NOT_LOOKED = Phrase(
    "this key may not look first (list:read): the entry is taken as it was typed",
    "该密钥无权先行查询（list:read）：按输入的条目直接执行",
)
ASK_REASON = Phrase("Reason", "理由")
CONFIRM = {
    "remove": Phrase("Remove this entry?", "移出这一条目？"),
    "suspend": Phrase("Suspend this entry?", "暂停这一条目？"),
    "resume": Phrase("Let this entry bind again?", "恢复这一条目？"),
    "reinstate": Phrase("Put this entry back on its list?", "将这一条目重新列入？"),
}
REASONS = {
    "performed": Phrase("the obligation is performed", "已履行"),
    "settled": Phrase("the parties have settled", "已和解"),
    "creditor_request": Phrase("the creditor asks for it", "申请执行人申请"),
    "no_assets": Phrase("no assets are left to enforce on", "无财产可供执行"),
    "bankruptcy": Phrase("bankruptcy proceedings", "破产"),
    "not_enforceable": Phrase("the judgment is not enforceable", "不予执行"),
    "terminated": Phrase("the enforcement has ended", "终结执行"),
    "error": Phrase("listed by mistake", "列入错误"),
    "expired": Phrase("the term is over", "期限届满"),
    "revoked": Phrase("the decision was revoked", "决定被撤销"),
    "other": Phrase("another reason", "其他"),
    "dispute": Phrase("a dispute is open", "异议处理中"),
    "review": Phrase("under review", "复核中"),
    "mistaken_removal": Phrase("it was removed by mistake", "误移出"),
    "court_order": Phrase("by order of a court", "法院裁定"),
}
"""What the codes mean that `--reason` takes; in Chinese as on the page."""
