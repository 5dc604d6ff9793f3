"""What the roster's own faults are in Chinese, by the form of the English text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_REDIS: Mapping[str, str] = {
    "Redis cannot be reached": "无法连接 Redis",
    "Redis cannot be found": "找不到 Redis",
    "Redis did not answer in time": "Redis 未及时应答",
    "Redis lacks this version's functions": "Redis 缺少本版本的函数",
    "the primary cannot be reached": "无法连接主服务器",
    "a sentinel does not know the service": "sentinel 不认识该服务",
    "{where} did not answer in time": "{where} 未及时应答",
    "no answer in time": "未及时应答",
    "the connection was broken off": "连接中断",
    "nobody took the connection in time": "连接未及时建立",
    "what was written is not known to be safe": "写入的内容尚不确知已安全",
    "what was applied is not known to be safe": "已生效的内容尚不确知已安全",
    "what was loaded is not known to be safe yet": "载入的内容尚不确知已安全",
    "this is done, but not known to be safe yet: do it again": (
        "已完成，但尚不确知已安全：请再做一次"
    ),
    "the roster was loaded with another ID key or another scheme": (
        "名册是用另一 ID 密钥或另一方案载入的"
    ),
    "Connection refused": "连接被拒绝",
    "Connection timed out": "连接超时",
    "No such file or directory": "没有这个文件或目录",
    "Permission denied": "没有权限",
    "No space left on device": "磁盘已满",
    "Is a directory": "是一个目录",
    "Not a directory": "不是目录",
    "Read-only file system": "文件系统只读",
    "{path} cannot be written: {why}": "无法写入 {path}：{why}",
}
_SETTINGS: Mapping[str, str] = {
    "unknown setting {name}": "未知的设置 {name}",
    "{name} is empty; leave it out for the default": "{name} 为空；用默认值则不要写",
    "{name} has a bad value: {why}": "{name} 的值有误：{why}",
    "CLEARWAY_ID_KEY and CLEARWAY_ID_KEY_FILE are both set; one is enough": (
        "CLEARWAY_ID_KEY 与 CLEARWAY_ID_KEY_FILE 只需设其一"
    ),
    "CLEARWAY_ID_KEY or CLEARWAY_ID_KEY_FILE is required with CLEARWAY_REDIS_URL: {size} bytes in "
    "hexadecimal, such as `openssl rand -hex {same}` prints": (
        "设了 CLEARWAY_REDIS_URL 就须设 CLEARWAY_ID_KEY 或 CLEARWAY_ID_KEY_FILE："
        "十六进制 {size} 字节，如 `openssl rand -hex {same}` 的输出"
    ),
    "the ID key {path} cannot be read: {why}": "无法读取 ID 密钥 {path}：{why}",
    "CLEARWAY_{name}_FILE {path} cannot be read: {why}": (
        "无法读取 CLEARWAY_{name}_FILE {path}：{why}"
    ),
    "the ID key {path} cannot be written: {why}": "无法写入 ID 密钥 {path}：{why}",
    "{name} is not {size} bytes in hexadecimal": "{name} 不是十六进制 {size} 字节",
    "CLEARWAY_SIGNATURE_KEY_FILE is not an Ed25519 public key in PEM": (
        "CLEARWAY_SIGNATURE_KEY_FILE 不是 PEM 格式的 Ed25519 公钥"
    ),
    "the data folder {path} is not writable": "数据文件夹 {path} 不可写",
    "the data folder {path} cannot be made: {why}": "无法建立数据文件夹 {path}：{why}",
    "another command has held {name} for {s} s": "另一命令占用 {name} 已 {s} 秒",
    "not a date of the form YYYY-MM-DD": "不是 YYYY-MM-DD 形式的日期",
    "not a time of RFC 3339 with an offset": "不是带时区的 RFC 3339 时间",
    "not a time of day": "不是一天中的时刻",
}
_SERVICE: Mapping[str, str] = {
    "an API key is required: CLEARWAY_API_KEY, or --key-file": (
        "需要 API 密钥：CLEARWAY_API_KEY 或 --key-file"
    ),
    "the key file {path} cannot be read: {why}": "无法读取密钥文件 {path}：{why}",
    "the URL has no scheme: write http://HOST:PORT, or https:// for TLS": (
        "URL 缺少协议：请写 http://主机:端口，用 TLS 则写 https://"
    ),
    "the URL's scheme is not http:// or https://": "URL 的协议不是 http:// 或 https://",
    "the URL is not the service's root: end it behind the port": (
        "URL 不是服务的根地址：请写到端口为止"
    ),
    "the URL holds a user: the key goes into CLEARWAY_API_KEY or --key-file": (
        "URL 中带有用户：密钥应放在 CLEARWAY_API_KEY 或 --key-file"
    ),
    "what answers there is not Clearway: look at the URL": "那里应答的不是 Clearway：请核对 URL",
    "there is no host of that name: look at the URL": "没有这个主机：请核对 URL",
    "what answers there speaks TLS: write https://": "那里使用 TLS：请写 https://",
    "what answers there does not speak TLS as asked: is it http:// or https://?": (
        "那里不按要求使用 TLS：应为 http:// 还是 https://？"
    ),
    "the certificate there is not trusted here: {why}": "此处不信任那里的证书：{why}",
    "the service refused: {status} {why}": "服务拒绝：{status} {why}",
    "the service has not acknowledged a batch; push the same file again": (
        "服务未确认一批变更；请再次推送同一文件"
    ),
    "a line holds half of a character: no JSON can": "有一行只含半个字符：不是 JSON",
    "not a JSON object": "不是 JSON 对象",
}
FAULTS: tuple[Mapping[str, str], ...] = (_REDIS, _SETTINGS, _SERVICE)
