"""What `check`, `status`, tables and the demo say to people, in English and Chinese.

Codes of the API stand in both languages as they are: the documents, logs and programs have them.
"""

from __future__ import annotations

from roster.speech.language import Phrase, say

OUTCOMES = {
    "applied": Phrase("applied", "applied 已生效"),
    "duplicate": Phrase("duplicate", "duplicate 此前已生效"),
    "superseded": Phrase("superseded", "superseded 未生效：已有更新的信息"),
    "unseen": Phrase("unseen", "unseen 名单中从无此条目：已记下移出，以防迟到的旧条目"),
    "rejected": Phrase("rejected", "rejected 被拒绝"),
}

# A check.
DECISIONS = {
    "allow": Phrase("allow", "allow 可以售票"),
    "deny": Phrase("deny", "deny 不得售票"),
    "refer": Phrase("refer", "refer 无法判定：按人工程序处理"),
}
INSTEAD = Phrase("instead: {product}", "可改乘：{product}")
TRAINS = Phrase("{trains}, seats {seats}", "{trains} 字头列车，席别 {seats}")
TRAINS_BUT = Phrase(
    "any train but {trains}, seats {seats}", "除 {trains} 字头外的列车，席别 {seats}"
)
OTHER_TRAINS = Phrase("any other train, seats {seats}", "其他列车，席别 {seats}")
WARNING = Phrase("warning: {code}", "警告：{code}")
MODES = {
    "air": Phrase("air", "飞机"),
    "rail": Phrase("rail", "铁路"),
    "ship": Phrase("ship", "轮船"),
}

# The roster.
ROSTER = Phrase("Roster", "名册")
LISTS = Phrase("Lists", "名单")
PROCESSES = Phrase("Processes", "服务进程")
PEOPLE = Phrase("people", "人数")
ENTRIES = Phrase("entries {state}", "条目（{state}）")
EVER_LISTED = Phrase("ever listed", "历来列入条目")
DIGEST = Phrase("digest", "摘要")
DECIDED = Phrase("decisions {mode}", "判定（{mode}）")
REMOVALS = Phrase("removals in 24 h", "24 小时内移出")
REMOVALS_OWN = Phrase("removals in 24 h, but loads'", "24 小时内移出（载入除外）")
LAG = Phrase("removal lag, {leg}", "移出延迟（{leg}）")
LEGS = {"source": Phrase("source", "自来源决定"), "service": Phrase("service", "自服务收到")}
AGE = Phrase("{days:.1f} days", "{days:.1f} 天")
TOO_OLD = Phrase("{days:.1f} days: older than {rhythm}", "{days:.1f} 天：超过 {rhythm} 天")
YES, NO = Phrase("yes", "是"), Phrase("no", "否")
STATES = {
    "active": Phrase("active", "active 生效"),
    "suspended": Phrase("suspended", "suspended 暂停"),
    "removed": Phrase("removed", "removed 已移出"),
    "absent": Phrase("absent", "absent 全量文件中已无"),
}

# Loads, keys and the audit.
NOT_COMPLETED = Phrase("not completed", "未完成")
PARTIAL = Phrase("partial", "部分")
REFUSED = Phrase("refused: {why}", "被拒绝：{why}")
UNDOES = Phrase("undoes load {load}", "撤销第 {load} 次载入")
UNDONE_BY = Phrase("undone by load {load}", "已由第 {load} 次载入撤销")
KEY_STATES = {
    "valid": Phrase("valid", "valid 有效"),
    "expired": Phrase("expired", "expired 已过期"),
    "revoked": Phrase("revoked", "revoked 已吊销"),
}
WHOLE = Phrase(
    "whole: {chains} chains, {blocks:,} blocks", "完整：{chains} 条链，{blocks:,} 个区块"
)

COLUMNS = {
    "list": Phrase("list", "名单"),
    "entry_id": Phrase("entry id", "条目编号"),
    "state": Phrase("state", "状态"),
    "revision": Phrase("revision", "修订"),
    "case": Phrase("case", "案号"),
    "court": Phrase("court", "法院"),
    "from": Phrase("from", "起"),
    "until": Phrase("until", "止"),
    "applied_at": Phrase("since", "状态起始"),
    "name_check": Phrase("the name", "姓名"),
    "load": Phrase("load", "载入"),
    "kind": Phrase("kind", "种类"),
    "began_at": Phrase("began", "开始"),
    "seconds": Phrase("seconds", "秒"),
    "who": Phrase("who", "执行者"),
    "files": Phrase("files", "文件"),
    "sha256": Phrase("sha256", "sha256"),
    "lists": Phrase("lists", "名单"),
    "as_of": Phrase("as of", "截至"),
    "added": Phrase("added", "新增"),
    "changed": Phrase("changed", "变更"),
    "ended": Phrase("ended", "终止"),
    "unchanged": Phrase("unchanged", "未变"),
    "superseded": Phrase("superseded", "已过时"),
    "rejected": Phrase("rejected", "拒收"),
    "note": Phrase("note", "备注"),
    "id": Phrase("id", "编号"),
    "name": Phrase("name", "名称"),
    "scopes": Phrase("scopes", "权限"),
    "rate": Phrase("rate", "每秒次数"),
    "burst": Phrase("burst", "突发次数"),
    "last_used": Phrase("last used", "最近使用"),
    "old_text_until": Phrase("old text until", "旧密钥止"),
    "created": Phrase("created", "创建"),
    "expires": Phrase("expires", "失效"),
    "at": Phrase("at", "时间"),
    "by": Phrase("by", "何人"),
    "what": Phrase("what", "何事"),
    "about": Phrase("about", "关于"),
    "entries": Phrase("entries", "条目"),
    "process": Phrase("process", "进程"),
    "blocks": Phrase("blocks", "区块"),
    "since": Phrase("since", "起"),
    "end": Phrase("end", "末尾"),
    "people": PEOPLE,
    "active": Phrase("active", "生效"),
    "suspended": Phrase("suspended", "暂停"),
    "removed": Phrase("removed", "已移出"),
    "absent": Phrase("absent", "已无"),
    "covered": Phrase("loaded", "已载入"),
    "disabled": Phrase("disabled", "已停用"),
    "age": Phrase("age", "距今"),
    "figure": Phrase("figure", "指标"),
    "value": Phrase("value", "数值"),
    "host": Phrase("host", "主机"),
    "lag_ms": Phrase("lag in ms", "延迟（毫秒）"),
    "fresh_as_of": Phrase("fresh as of", "数据截至"),
    "false_hit_rate": Phrase("false hit rate", "误命中率"),
    "build": Phrase("build", "版本"),
}
"""What the columns of tables are called."""

# The demo.
DEMO_LIST = Phrase(
    "A list of {people:,} people who do not exist, {entries:,} entries",
    "一份名单：{people:,} 个虚构的人，{entries:,} 条",
)
DEMO_LOADED = Phrase(
    "loaded into Valkey and its filters in {seconds:.1f} s",
    "已载入 Valkey 及其过滤器，用时 {seconds:.1f} 秒",
)
DEMO_SERVICE = Phrase("The service", "启动服务")
DEMO_READY = Phrase("ready in {seconds:.1f} s at {url}", "{seconds:.1f} 秒后就绪，地址 {url}")
DEMO_WANTS = Phrase("A listed person wants to fly", "一名在册人员要买机票")
DEMO_PAYS = Phrase(
    "The person pays, and the court takes the entry off the list",
    "此人履行了义务，法院将其移出名单",
)
DEMO_SAFE = Phrase(
    "{outcome}; safe on disk after {ms:.1f} ms", "{outcome}；{ms:.1f} 毫秒后已安全落盘"
)
DEMO_AGAIN = Phrase("The same person asks again at once", "此人立即再次购票")
DEMO_LAG = Phrase(
    "[bold]{ms:.1f} ms[/] from the decision to the allowed ticket",
    "从作出决定到可以购票：[bold]{ms:.1f} 毫秒[/]",
)
DEMO_TRY = Phrase(
    """
The status page: {url}/
The API, to try: {url}/schema
Both ask for a key: {desk_key}

To try in another terminal (docs/start.md goes on from here; these people do not exist):
{lines}
Ctrl-C ends the demo.""",
    """
状态页：{url}/
试用接口：{url}/schema
两者都要密钥：{desk_key}

可在另一个终端里试用（docs/start.md 由此继续；这些人均系虚构）：
{lines}
按 Ctrl-C 结束演示。""",
)
DEMO_ENDED = Phrase("ended", "已结束")


def said(texts: dict[str, Phrase], code: str) -> str:
    """What a code of the API is called in a table of these; one that is not there, by itself."""
    return say(texts[code]) if code in texts else code
