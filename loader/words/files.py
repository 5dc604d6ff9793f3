"""What is said of a file that is no list, in Chinese, by the form of the English text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAVE = "请打开后另存为“CSV UTF-8（逗号分隔）”，再载入该文件"
_ASK = "名单应为 CSV、JSON Lines 或 Parquet"
_UNPACK = "请先解压：.gz、.zst 和 .zip 可直接读取"
_WHAT: Mapping[str, str] = {
    "open it and save it as 'CSV UTF-8 (comma delimited)', then load that file": _SAVE,
    "a list comes as CSV, JSON Lines or Parquet": _ASK,
    "unpack it first: .gz, .zst and .zip are read as they are": _UNPACK,
    "the file is {what}": "文件是{what}",
    "a manifest: name the file that it describes": "清单：请指明它所说明的文件",
    "a manifest's signature: name the file that it describes": ("清单的签名：请指明它所说明的文件"),
    "an Excel or WPS workbook (.xls): {do}": "Excel 或 WPS 工作簿（.xls）：{do}",
    "an Excel workbook (XML): {do}": "Excel 工作簿（XML）：{do}",
    "an Excel workbook (.xlsx): {do}": "Excel 工作簿（.xlsx）：{do}",
    "an OpenDocument file (.ods): {do}": "OpenDocument 文件（.ods）：{do}",
    "a Numbers document: {do}": "Numbers 文档：{do}",
    "an HTML page: an error or a login page of a site, or a table called .xls; {do}": (
        "网页：可能是网站的错误页或登录页，或名为 .xls 的表格；{do}"
    ),
    "an HTML page: an error or a login page of a site, or a table called .xls": (
        "网页：可能是网站的错误页或登录页，或名为 .xls 的表格"
    ),
    "XML or a web page: {do}": "XML 或网页：{do}",
    "a PDF: {do}": "PDF：{do}",
    "a text document (RTF): {do}": "文字文档（RTF）：{do}",
    "a picture: {do}": "图片：{do}",
    "compressed by bzip2: {do}": "bzip2 压缩文件：{do}",
    "compressed by xz or lzma: {do}": "xz 或 lzma 压缩文件：{do}",
    "a 7-Zip archive: {do}": "7-Zip 压缩包：{do}",
    "a RAR archive: {do}": "RAR 压缩包：{do}",
    "compressed in a rare way: {do}": "少见方式的压缩文件：{do}",
    "a tar archive: {do}": "tar 包：{do}",
    "an SQLite database: {do}": "SQLite 数据库：{do}",
    "Avro, Arrow or ORC: {do}": "Avro、Arrow 或 ORC 文件：{do}",
    "encrypted or signed: decrypt it first": "加密或签名的文件：请先解密",
    "a pointer of Git LFS: fetch the file itself": "Git LFS 指针：请取回文件本身",
}
_HOW: Mapping[str, str] = {
    "the file is called {suffix} as a workbook is, and holds text: if that is CSV, call it .csv": (
        "文件名为 {suffix}（工作簿），内容却是文本：如为 CSV，请改名为 .csv"
    ),
    "the file is a workbook by its name ({suffix}): {do}": "文件按名称是工作簿（{suffix}）：{do}",
    "the file is called {suffix}, but is not {what}: if it is CSV as it lies there, call it "
    "{name}.csv": "文件名为 {suffix}，但并非 {what}：如其本身就是 CSV，请改名为 {name}.csv",
    "the file is UTF-16, not UTF-8 or GB18030: {do}": "文件是 UTF-16，不是 UTF-8 或 GB18030：{do}",
    "the file holds {what} in which something is packed: unpack it": (
        "文件内是{what}，其中还有压缩内容：请解压"
    ),
    "a zip": "zip",
    "a gzip": "gzip",
    "a zstd file": "zstd 文件",
    "a Parquet file": "Parquet 文件",
    "the file is UTF-8, not GB18030: load it without --encoding": (
        "文件是 UTF-8，不是 GB18030：请去掉 --encoding"
    ),
    "the file is neither UTF-8 nor GB18030: {do}": "文件既不是 UTF-8 也不是 GB18030：{do}",
    "some lines are UTF-8, others GB18030: was the file put together from two?": (
        "部分行是 UTF-8，部分是 GB18030：文件是否由两份拼成？"
    ),
    "the file is GB18030, not UTF-8: load it with --encoding gb18030": (
        "文件是 GB18030，不是 UTF-8：请加 --encoding gb18030"
    ),
    "the encoding must be utf-8 or gb18030": "编码须为 utf-8 或 gb18030",
    "the file is truncated or damaged: it does not decompress": "文件被截断或损坏：无法解压",
    "the file cannot be read: {why}": "无法读取文件：{why}",
    "the file cannot be opened: {why}": "无法打开文件：{why}",
    "the file grows more than {times} times: not a list": "解压后超过 {times} 倍：不是名单",
    "the zip holds {count} files: one is wanted": "zip 中有 {count} 个文件：应只有一个",
    "the zip is encrypted, or compressed in a rare way": "zip 已加密，或压缩方式少见",
    "Parquet needs pyarrow: pip install 'clearway[parquet]'": (
        "读取 Parquet 需要 pyarrow：pip install 'clearway[parquet]'"
    ),
    "the file is not Parquet, truncated or damaged": "文件不是 Parquet，或被截断、损坏",
    "the Parquet file is truncated or damaged": "Parquet 文件被截断或损坏",
    "the temporary folder cannot be written: {why}": "无法写入临时文件夹：{why}",
    "the data folder cannot be written: {why}": "无法写入数据文件夹：{why}",
    "the diff cannot be written: {why}": "无法写入差异文件：{why}",
    "{what} cannot be written: {why}": "无法写入 {what}：{why}",
}
_HEADS: Mapping[str, str] = {
    "the header {faults}: {advice}": "表头{faults}：{advice}",
    "the header {faults}": "表头{faults}",
    "lacks {names}": "缺少 {names}",
    "has unknown {names}": "有未知列 {names}",
    "repeats {names}": "重复 {names}",
    "the header cannot be read as {encoding}: {why}": "表头无法按 {encoding} 读取：{why}",
    "its quotes are not closed": "引号未闭合",
    "the first line has to name the columns, such as {columns}": "首行须写列名，如 {columns}",
    "the file holds changes ('op'), not the rows of a list: `clearway push FILE` sends them": (
        "文件是变更（'op'），不是名单的行：请用 `clearway push FILE` 发送"
    ),
    "the file holds the rows of a list, not changes: `clearway load FILE` brings them in": (
        "文件是名单的行，不是变更：请用 `clearway load FILE` 载入"
    ),
    "the file is a JSON array: changes come one JSON object a line": (
        "文件是 JSON 数组：变更应每行一个 JSON 对象"
    ),
    "{why}; changes come as JSON Lines, not packed": "{why}；变更应为未压缩的 JSON Lines",
    "these are fields of the courts' own tables: --format {dialect} reads them": (
        "这些是法院表格的字段：请用 --format {dialect} 读取"
    ),
    "the first line looks like data, not like a header: {advice}": (
        "首行像是数据，不像表头：{advice}"
    ),
    "each line is quoted as a whole: take the outer quotes away": "每行整体带引号：请去掉外层引号",
    "take the first line ({line}) out; {advice}": "请删去首行（{line}）；{advice}",
    "the file looks like JSON: --format jsonl": "文件像是 JSON：请用 --format jsonl",
    "the columns are separated by {mark}: save the file as CSV with commas": (
        "各列以 {mark} 分隔：请另存为逗号分隔的 CSV"
    ),
    "the columns are separated by {mark}: save the file as CSV with commas, and load it with "
    "--format {dialect}": (
        "各列以 {mark} 分隔：请另存为逗号分隔的 CSV，并用 --format {dialect} 载入"
    ),
    "the header stands in line {line}: take out what is before it": (
        "表头在第 {line} 行：请删去其前的内容"
    ),
    "{name} is perhaps {column}": "{name} 或为 {column}",
    "rows have keys that no column has: {keys} ({advice})": (
        "有的行带有未知的键：{keys}（{advice}）"
    ),
    "keys are in lower case here": "键名须用小写",
    "a row needs the keys {names}": "每行须有这些键：{names}",
    "the rows have none of a list's keys, but {keys}: {advice}": (
        "各行没有名单的键，而是 {keys}：{advice}"
    ),
    "the file has none of the fields of {dialect}, but {names}: {advice}": (
        "文件没有 {dialect} 的字段，而是 {names}：{advice}"
    ),
    "the file has none of the fields of {dialect}: {advice}": (
        "文件没有 {dialect} 的字段：{advice}"
    ),
    "leave --format out where the columns are ours": "列名是本系统的，请去掉 --format",
    "rows have keys that no column has: {keys}": "有的行带有未知的键：{keys}",
    "a JSON array of this size has to come as JSON Lines (`jq -c '.[]' FILE`)": (
        "这么大的 JSON 数组须改为 JSON Lines（`jq -c '.[]' FILE`）"
    ),
    "the file is neither a whole JSON array nor JSON Lines": (
        "文件既不是完整的 JSON 数组，也不是 JSON Lines"
    ),
    "the lines end with CR alone, as on an old Mac: save it with line feeds": (
        "各行只以 CR 结尾（旧 Mac 格式）：请另存为以 LF 换行"
    ),
    "the file is one JSON object over several lines: in JSON Lines each line is a row "
    "(`jq -c . FILE` writes it so)": (
        "文件是跨多行的一个 JSON 对象：JSON Lines 每行一条（可用 `jq -c . FILE` 改写）"
    ),
    "the file looks like CSV, not like JSON Lines: --format csv": (
        "文件像是 CSV，不像 JSON Lines：请用 --format csv"
    ),
    "the rows have our own keys, not those of {dialect}: no --format": (
        "各行用的是本系统的键，不是 {dialect} 的：请去掉 --format"
    ),
    "the file is one JSON object whose key {key} holds the rows: in JSON Lines each line is a row "
    "(`jq -c '.{same}[]' FILE` writes them so)": (
        "文件是一个 JSON 对象，其键 {key} 中是各行：JSON Lines 每行一条"
        "（可用 `jq -c '.{same}[]' FILE` 改写）"
    ),
}
NO_LIST: tuple[Mapping[str, str], ...] = (_WHAT, _HOW, _HEADS)
