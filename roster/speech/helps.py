"""The help of commands for people, in the language that they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from roster.speech.language import language
from roster.speech.usage import usage

if TYPE_CHECKING:
    from collections.abc import Mapping

HELPS = {
    "Answer whether a person may be sold a journey.": "判定能否向某人出售某一行程的票。",
    "Show all entries of a document, those that have ended too.": "查询证件的全部条目，含已终止的",
    "Take an entry off its list: it ends at once, everywhere.": "将条目移出名单：各处立即生效。",
    "Put an entry back that was removed by mistake: it binds again as it did.": (
        "将误移出的条目重新列入：按原内容恢复限制。"
    ),
    "Let an entry rest while a dispute is open.": "异议处理期间暂停条目。",
    "Let a suspended entry bind again.": "恢复已暂停的条目。",
    "Ask whether one traveller may be sold one journey.": "查询一名旅客能否购买一个行程。",
    "Show what the roster holds, and how the service is doing.": "显示名册内容和服务状况。",
    "Show the lists; disable one, whose matches are then referred, or enable it again.": (
        "显示各名单；停用一份（其命中转人工），或重新启用。"
    ),
    "Show what was loaded, the last first: what it did, and whether it was undone.": (
        "显示载入记录，最近的在前：做了什么，是否已撤销。"
    ),
    "Show who asked, what was answered, and what was changed; the oldest first.": (
        "显示何人查询、如何答复、作何更改；最早的在前。"
    ),
    "Load a list of people who do not exist, serve it, and tell a story with figures.": (
        "载入一份虚构人员的名单，启动服务，用数字讲一个故事。"
    ),
    "Show all keys, ids first.": "显示全部密钥，编号在前。",
    "English or Chinese; default: as LC_ALL, LC_MESSAGES or LANG say.": (
        "英文或中文；默认依 LC_ALL、LC_MESSAGES 或 LANG。"
    ),
    "Always -: it is read, or asked.": "总写作 -：从标准输入读取，或提示输入。",
    "The issuing state's three letters, as a passport has them.": "签发国的三字母代码，同护照。",
    "For type `other`.": "用于类型 other。",
    "The answer as JSON.": "以 JSON 输出答复。",
    "A file with the API key; default: CLEARWAY_API_KEY.": "存放密钥的文件；默认 CLEARWAY_API_KEY",
    "The service; default: CLEARWAY_URL, or this machine.": "服务地址；默认 CLEARWAY_URL，或本机。",
    "On which list.": "在哪份名单上。",
    "Which entry; without it, the only one there is.": "哪一条目；不写则为唯一的那一条。",
    "Why.": "理由。",
    "Do not ask whether to go on.": "不再询问是否继续。",
    "The traveller's name.": "旅客姓名。",
    "The person's name: is it the entry's?": "当事人姓名：是否与条目相符？",
    "Rail: the train's number.": "铁路：车次。",
    "Rail: a seat code, or several with commas.": "铁路：席别代码，多个以逗号分隔。",
    "Ship.": "轮船。",
    "A time with an offset, or a date.": "带时区的时间，或日期。",
    "The whole answer.": "完整答复。",
    "As JSON.": "以 JSON 输出。",
    "Only this decision.": "仅此判定。",
    "Only what names this entry.": "仅涉及此条目的。",
    "Only what this API key did, or what was done to it.": "仅此密钥所做的，或对其所做的。",
    "Only denials that came after their entry's end was decided.": "仅条目终止决定之后作出的拒绝。",
    "Follow the chains: is anything missing or changed?": "核验各链：有无缺失或改动？",
    "With --verify: log lines of the service that have stated chains' heads.": (
        "与 --verify 同用：服务日志中载有链首的行。"
    ),
    "JSON Lines: a record each.": "JSON Lines：每行一条记录。",
    "End after the story.": "故事讲完即结束。",
    "End `rewound` after a restored backup: what is stored is the roster from now on.": (
        "恢复备份后结束 rewound 状态：以现存内容为名册。"
    ),
    "Load this version's functions into Redis; drop those that no live process calls.": (
        "将本版本的函数载入 Redis；删去已无进程调用的函数。"
    ),
    "Write a list of people who do not exist, always the same for a seed.": (
        "生成一份虚构人员的名单，种子相同则内容相同。"
    ),
    "Give out API keys, and take them back.": "发放和收回密钥。",
    "Bring whole files into the roster: each a full snapshot of its lists.": (
        "将整份文件载入名册：每份均为其名单的全量快照。"
    ),
    "Send changes, one JSON object a line; FILE may be - for standard input.": (
        "发送变更，每行一个 JSON 对象；FILE 可写 - 表示标准输入。"
    ),
    "Say that a backup was restored while nobody looked: the roster counts as rewound.": (
        "声明曾在无人值守时恢复备份：名册视为 rewound。"
    ),
    "Run the service until it is told to end.": "运行服务，直到被要求结束。",
    "Write the file's manifest and its signature.": "写出文件的清单及其签名。",
    "Undo a load (its number is in `clearway loads`), but what was changed since.": (
        "撤销一次载入（编号见 clearway loads），其后的更改除外。"
    ),
    "Say whether the roster equals the files; status 1 where it does not.": (
        "核对名册与文件是否一致；不一致则状态为 1。"
    ),
    "Load what appears in FOLDER with its manifest, in order, until SIGTERM or Ctrl-C.": (
        "依次载入 FOLDER 中出现的带清单的文件，直到 SIGTERM 或 Ctrl-C。"
    ),
    "The list; may be repeated.": "名单；可写多次。",
    "What time the files speak for.": "文件截至何时。",
    "What the files are.": "文件的格式。",
    "Or gb18030.": "或 gb18030。",
    "Worker processes.": "工作进程数。",
    "Print figures as JSON.": "以 JSON 输出数字。",
    "Some entries only: what is not there stays.": "仅部分条目：文件中没有的保持不变。",
    "Say what would change, and change nothing.": "只说明将有何更改，不作更改。",
    "A list without any row ends all its entries.": "没有任何行的名单，其条目全部终止。",
    "Load what was loaded last once more.": "再次载入上次载入的内容。",
    "Where to say which rows cannot be used; else in the data folder.": (
        "拒收明细写到何处；默认在数据文件夹中。"
    ),
    "Where to say, as CSV, which entries it adds, changes and ends.": (
        "将新增、变更和终止的条目以 CSV 写到何处。"
    ),
    "Merge again what differs.": "将不一致之处重新合并。",
    "A file with an Ed25519 private key in PEM.": "PEM 格式的 Ed25519 私钥文件。",
    "The lists; else those that the rows name.": "名单；默认为各行所写的名单。",
    "What time the file speaks for; else now.": "文件截至何时；默认为现在。",
    "Print the manifest.": "输出清单。",
    "A manifest beside it names its lists.": "旁边的清单写明其名单。",
    "The list: JSON Lines if .jsonl, else CSV; .gz packs it.": (
        "名单：.jsonl 为 JSON Lines，否则为 CSV；.gz 则压缩。"
    ),
    "How its rows are written.": "各行的写法。",
    "Changes to the list's entries, for `push`.": "名单条目的变更，供 push 使用。",
    "Where to write a line of each entry: never numbers or names.": (
        "每条目一行写到何处：绝不含号码和姓名。"
    ),
    "Each file goes to done/ or refused/ in it, with its report.": (
        "每个文件连同报告移入其中的 done/ 或 refused/。"
    ),
    "Print each report as a line of JSON.": "每份报告输出一行 JSON。",
    "Status 1 when a change was superseded, unseen or rejected: each is named by its line. "
    "What was acknowledged stays, also where a later batch fails; the same file may be pushed "
    "again.": (
        "有变更未生效、从无此条目或被拒绝时状态为 1：逐一指明行号。"
        "已确认的保持有效，即使后一批失败；同一文件可再次推送。"
    ),
    "Figures and doubtful lines as JSON.": "以 JSON 输出数字和存疑的行。",
    "Turn a list's matches into `refer`.": "停用一份名单：其命中转人工。",
    "Let a disabled list bind again.": "重新启用已停用的名单。",
    "Why; it is shown with the list.": "理由；随名单一并显示。",
    "Show the version and exit.": "显示版本后退出。",
    "Show this message and exit.": "显示本说明后退出。",
}
"""What each English help is in Chinese."""


def spoken(text: str | None) -> str | None:
    """A help in the language that the command speaks."""
    if not text or language() != "zh":
        return text
    return "\n\n".join(HELPS.get(each, each) for each in paragraphs(text))


def paragraphs(text: str) -> list[str]:
    """A help's paragraphs, each on one line."""
    return [" ".join(each.split()) for each in text.split("\n\n")]


class SpokenCommand(click.Command):
    """A command whose help is in the language that it speaks."""

    def format_help_text(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what it does."""
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(spoken(self.help) or "")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what its options do."""
        rows = []
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx)
            if record is not None:
                option, text = record
                own = getattr(each, "help", None) or ""
                rows.append((option, text.replace(own, spoken(own) or "", 1)))
        with formatter.section(usage("Options")):
            formatter.write_dl(rows)


class SpokenGroup(click.Group, SpokenCommand):
    """A group of commands whose help is in the language that it speaks."""

    def summaries(self, ctx: click.Context) -> Mapping[str, str | None]:
        """The help of each of its commands."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return {name: command.help for name, command in found.items() if command is not None}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each of its commands does."""
        helps = self.summaries(ctx).items()
        each = {name: click.Command(name, help=spoken(text)) for name, text in helps}
        click.Group(commands=each).format_commands(ctx, formatter)
