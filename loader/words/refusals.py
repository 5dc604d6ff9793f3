"""What the loader refuses, notes and warns of, in Chinese, by the form of the English text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMAND: Mapping[str, str] = {
    "a full snapshot needs --as-of, or a manifest that states as_of": (
        "全量快照须有 --as-of，或写明 as_of 的清单"
    ),
    "say with --list, or in a manifest, which lists a full snapshot is of: {seen} "
    "(what a list of them lacks, ends; --partial ends nothing)": (
        "请用 --list 或清单说明全量快照属于哪些名单：{seen}"
        "（名单中有而文件中没有的条目将终止；--partial 不终止任何条目）"
    ),
    "this file has rows of {lists}": "文件中有这些名单的行：{lists}",
    "this file has no rows": "文件中没有行",
    "{path} too": "{path} 也是",
    "there must be people, and at least one entry for each": "须有人员，且每人至少一条",
    "there can be no more changes than entries": "变更不能多于条目",
    "changes need a file to go to": "变更须写明输出文件",
    "more people than there are synthetic numbers": "人数超过可虚构的号码数",
    "a limit is a percentage such as 1%, or a number": "限额应为百分比（如 1%）或数字",
    "{output} would be written, and is an input ({input}): nothing was done": (
        "{output} 将被写入，但它也是输入（{input}）：未做任何事"
    ),
    "interrupted: what was merged so far is consistent, and the same command again completes it": (
        "已中断：至此合并的内容前后一致，再次执行同一命令即可完成"
    ),
    "interrupted: what was undone so far is consistent, and the same command again completes it": (
        "已中断：至此撤销的内容前后一致，再次执行同一命令即可完成"
    ),
    "a worker process of the load has ended ({how}): what was merged so far is consistent, "
    "and the same command again completes it": (
        "载入的一个工作进程已结束（{how}）：至此合并的内容前后一致，再次执行同一命令即可完成"
    ),
    "another load is under way (process {pid} on {host}); if that one has died, this works {s} s "
    "after its death": (
        "另一载入正在进行（主机 {host} 上的进程 {pid}）；若其已退出，{s} 秒后即可再试"
    ),
    "another load has begun meanwhile; nothing of this one was merged": (
        "期间另一载入已经开始；本次未合并任何内容"
    ),
    "another load is under way": "另一载入正在进行",
    "the lease to load was lost: this process stood still, or had no server, for more than {s} s; "
    "the same command again completes it": (
        "载入的租约已失去：本进程停顿或与服务器失联超过 {s} 秒；再次执行同一命令即可完成"
    ),
    "another process watches {folder}": "另一进程正在监视 {folder}",
    "{name} was loaded before, and is moved now": "{name} 此前已载入，现予移走",
    "{name} waits for its manifest ({manifest})": "{name} 等待其清单（{manifest}）",
    "{name} is tried again: {why}": "{name} 稍后重试：{why}",
    "it has changed while it was read": "读取时文件有变",
}
_MANIFEST: Mapping[str, str] = {
    "{path}: no such file": "{path}：没有这个文件",
    "standard input": "标准输入",
    "standard input has no signature: only signed files are loaded here": (
        "标准输入没有签名：此处只载入已签名的文件"
    ),
    "{name} is missing: only signed files are loaded here": ("缺少 {name}：此处只载入已签名的文件"),
    "{name} is no manifest: {why}": "{name} 不是清单：{why}",
    "{name} states no sha256: its signature says nothing about the file": (
        "{name} 未写明 sha256：其签名不能证明该文件"
    ),
    "{name} cannot be read: {why}": "无法读取 {name}：{why}",
    "{name} is longer than 1 MiB": "{name} 超过 1 MiB",
    "{name} is not a signature by the key that is required": "{name} 不是所要求密钥的签名",
    "{name} is not an Ed25519 private key in PEM, without password": (
        "{name} 不是无密码的 PEM 格式 Ed25519 私钥"
    ),
    "{name} cannot be written: {why}": "无法写入 {name}：{why}",
    "the manifest's as_of: {why}": "清单的 as_of：{why}",
    "--as-of and the manifests disagree: {times}": "--as-of 与清单不一致：{times}",
    "the manifest is of other lists too: {lists}": "清单还包含其他名单：{lists}",
    "{path}: its SHA-256 is {found}, the manifest states {stated}": (
        "{path}：SHA-256 为 {found}，清单写的是 {stated}"
    ),
    "{path} has {rows} rows, the manifest states {stated}": (
        "{path} 有 {rows} 行，清单写的是 {stated}"
    ),
    "the lists' digest is {digest}, the manifest states {stated}": (
        "名单摘要为 {digest}，清单写的是 {stated}"
    ),
    "the file names no list: say which with --list": "文件未指明名单：请用 --list 说明",
}
_GUARDS: Mapping[str, str] = {
    "not in lists.toml: {lists}": "lists.toml 中没有：{lists}",
    "not loaded from files, only changed over HTTP: {lists}": (
        "不由文件载入，只经 HTTP 更改：{lists}"
    ),
    "rows of lists that are not in lists.toml: {lists}": "有 lists.toml 中没有的名单的行：{lists}",
    "rows of lists that this load is not for: {lists}": "有不属于此次载入的名单的行：{lists}",
    "{name} ({rows} rows)": "{name}（{rows} 行）",
    "no row of {lists} can be loaded ({rows} rows in all, {rejected} of them rejected); "
    "--allow-empty loads an empty list": (
        "{lists} 没有可载入的行（共 {rows} 行，其中拒收 {rejected} 行）；--allow-empty 可载入空名单"
    ),
    "{name}: {count} of {rows} rows are rejected, more than {option} {limit} ({most}): {why}": (
        "{name}：{rows} 行中拒收 {count} 行，超过 {option} {limit}（{most}）：{why}"
    ),
    "{name}: {count} of {rows} rows are warned of, more than {option} {limit} ({most}): {why}": (
        "{name}：{rows} 行中有警告 {count} 行，超过 {option} {limit}（{most}）：{why}"
    ),
    "no list": "未指明名单",
    "{name}: {most} of {total} ID numbers have the same last three digits, more than {limit}: "
    "did a spreadsheet round them?": (
        "{name}：{total} 个身份号码中有 {most} 个末三位相同，超过 {limit}：是否被电子表格取整？"
    ),
    "one number stands in {most} entries, more than {limit}: "
    "is it a placeholder, or a damaged column?": (
        "同一号码出现在 {most} 条中，超过 {limit} 条：是占位符，还是该列已损坏？"
    ),
    "as_of {at} lies in the future (now {now})": "as_of {at} 在将来（现在 {now}）",
    "as_of {at} is older than the last load begun: {lists}": (
        "as_of {at} 早于最近一次已开始的载入：{lists}"
    ),
    "{name}: {count} of {all} entries would end, more than --max-removals {limit} ({most})": (
        "{name}：{all} 条中将终止 {count} 条，超过 --max-removals {limit}（{most}）"
    ),
    "{name}: {count} entries would be added to {all}, more than --max-additions {limit} ({most})": (
        "{name}：现有 {all} 条，将新增 {count} 条，超过 --max-additions {limit}（{most}）"
    ),
    "a percentage is at least {least}, but never more than half of the list": (
        "百分比至少按 {least} 条计，但不超过名单的一半"
    ),
    "nothing was changed: see with --dry-run --diff OUT which entries they are": (
        "未作任何更改：可用 --dry-run --diff OUT 查看是哪些条目"
    ),
    "if that is right, load it with {allowing}": "如确认无误，请加 {allowing} 载入",
    "the last line of {name} has no end: was the file cut?": (
        "{name} 的最后一行没有换行符：文件是否被截断？"
    ),
    "more than {most} rows are rejected": "拒收超过 {most} 行",
    "more than {most} different courts: not a list": "法院名称超过 {most} 个：不是名单",
    "court names collide beyond repair": "法院名称冲突，无法处理",
    "{name}: two new courts' names look alike to us, so the rows have to be read a second time, "
    "and this can be read only once: save it as a file, and load that": (
        "{name}：两个新法院的名称在本系统中相同，需再读一遍，而此输入只能读一次：请存为文件后载入"
    ),
}
_UNDO: Mapping[str, str] = {
    "nothing was ever loaded here, and no manifest states an as_of": (
        "此处从未载入，也没有清单写明 as_of"
    ),
    "this is what load {load} was of, which was undone: load the right file, or state a later "
    "--as-of": "这就是已撤销的第 {load} 次载入的文件：请载入正确的文件，或写更晚的 --as-of",
    "there is no load {load}: `clearway loads` shows them": (
        "没有第 {load} 次载入：可用 `clearway loads` 查看"
    ),
    "load {load} was refused: nothing was changed": "第 {load} 次载入被拒绝：未作任何更改",
    "load {load} is an undo itself: load the right file instead": (
        "第 {load} 次本身就是撤销：请载入正确的文件"
    ),
    "how the entries were before load {load} is not known (any more): it was made by an older "
    "version, or more than CLEARWAY_AUDIT_DAYS ({days}) ago": (
        "第 {load} 次载入之前的条目状态已不可知：它由旧版本载入，"
        "或早于 CLEARWAY_AUDIT_DAYS（{days}）天"
    ),
    "load {load} was the first of {lists}, and load {later} has said since what is on it: undo "
    "that one first, or load the right file": (
        "第 {load} 次是 {lists} 的首次载入，其后第 {later} 次已重新写明其内容："
        "请先撤销后者，或载入正确的文件"
    ),
    "the server's memory is full: free some, and undo again": (
        "服务器内存已满：请腾出一些后再次撤销"
    ),
    "a partial file does not speak for the list": "部分文件不代表整份名单",
    "this load was not of that list": "此次载入不含该名单",
    "this file is older, as of {at}": "此文件较旧，截至 {at}",
    "this load began before the loss was found, or changed nothing yet": (
        "此次载入开始于发现丢失之前，或尚未作任何更改"
    ),
    "one process of the service had not taken it up after {s} s": (
        "{s} 秒后仍有 1 个服务进程未采用"
    ),
    "{count} processes of the service had not taken it up after {s} s": (
        "{s} 秒后仍有 {count} 个服务进程未采用"
    ),
}
_ROWS: Mapping[str, str] = {
    "{count} of {rows} rows rejected: {why}": "{rows} 行中拒收 {count} 行：{why}",
    "the rejects are in {path}": "拒收明细见 {path}",
    "the rejects file cannot be written: {why}": "无法写入拒收文件：{why}",
    "{count} others": "其他 {count} 处",
}
_FAULTY = {
    "row{} that cannot be read": "行无法读取",
    "masked number{}": "个号码被遮盖",
    "missing number{}": "个号码缺失",
    "unknown type{}": "个类型未知",
    "missing issuer{}": "个签发国缺失",
    "bad date{}": "个日期有误",
    "bad revision{}": "个修订有误",
    "ID number{}": "个身份号码",
    "overlong text{}": "处文字过长",
    "bad number{}": "个号码有误",
    "bad value{}": "个值有误",
}
"""What rows are rejected for, one and several."""
_COLUMN = {"": "", " in column {field}": "{field} 列 "}
_FIRST = {
    "": "",
    " (first in line {line})": "（首见于第 {line} 行）",
    " (first in {file} line {line})": "（首见于 {file} 第 {line} 行）",
}
_COUNTED = {
    f"{{count}} {one.format(several)}{column}{first}": f"{its}{{count}} {text}{seen}"
    for one, text in _FAULTY.items()
    for several in ("", "s")
    for column, its in _COLUMN.items()
    for first, seen in _FIRST.items()
}
REFUSED: tuple[Mapping[str, str], ...] = (*(_COMMAND, _MANIFEST, _GUARDS, _UNDO, _ROWS, _COUNTED),)
