"""Write `requirements.lock`: exact versions and their files' hashes, for all that anybody installs.

Its sections build on each other, so whoever needs one installs all above the next one's heading.
Versions stay as they are unless `--upgrade` is given. Needs uv on the path.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
SECTIONS = {
    "build": ["--group", "build"],
    "run": ["pyproject.toml"],
    "parquet": ["--extra", "parquet"],
    "develop": ["--group", "test", "--group", "lint", "--group", "bench", "--group", "docs"],
}
HEAD = """\
# Exact versions of everything, for Python 3.11 to 3.13 on Linux, and the hashes of the files. Each
# section builds on those above it. Written by `make lock`.
"""
PYTHONS = ("3.11.0", "3.11.9", "3.12.9", "3.13.9")
TAGS = {("py3", "none"), *((f"cp3{minor}", "abi3") for minor in range(2, 14))}
TAGS |= {(f"cp3{minor}", abi) for minor in (11, 12, 13) for abi in ("none", f"cp3{minor}")}
PLATFORM = r"manylinux\w*_(x86_64|aarch64)"
LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}


def resolved(wanted: list[str], constraints: Path | None) -> list[dict[str, Any]]:
    """The packages that these need, each as PEP 751 writes it."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--format", "pylock.toml", *wanted]
    command += ["--constraint", str(constraints)] if constraints else []
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)  # noqa: S603 -- no text from outside
    packages: list[dict[str, Any]] = tomllib.loads(done.stdout.decode())["packages"]
    return packages


def is_ours(name: str) -> bool:
    """Whether one of our Pythons on one of our machines could install this wheel."""
    return any(
        (tag.interpreter, tag.abi) in TAGS
        and (tag.platform == "any" or re.fullmatch(PLATFORM, tag.platform))
        for tag in parse_wheel_filename(name)[3]
    )


def hashes(package: dict[str, Any]) -> list[str]:
    """The source's, which any machine can build, and those of our wheels."""
    wheels = [each for each in package.get("wheels", []) if is_ours(each["url"].rpartition("/")[2])]
    files = [package["sdist"], *wheels] if "sdist" in package else wheels
    return sorted({each["hashes"]["sha256"] for each in files})


def condition(package: dict[str, Any]) -> str | None:
    """What to write after the version; None if none of our Pythons needs this package."""
    text = package.get("marker", "")
    if not text:
        return ""
    met = [
        Marker(text).evaluate(
            {**LINUX, "python_full_version": full, "python_version": full.rpartition(".")[0]}
        )
        for full in PYTHONS
    ]
    if all(met):
        return ""
    return f" ; {text}" if any(met) else None


def written(package: dict[str, Any], where: str) -> str:
    """A package's lines: name and version, condition, hashes."""
    pinned = f"{package['name']}=={package['version']}{where}"
    return " \\\n".join([pinned, *(f"    --hash=sha256:{each}" for each in hashes(package))]) + "\n"


def lock(constraints: Path | None) -> str:
    """The whole file, of these versions or of the newest."""
    text = HEAD
    wanted: list[str] = []
    pinned: set[str] = set()
    for section, arguments in SECTIONS.items():
        wanted += arguments
        text += f"\n# == {section}\n"
        here = [each for each in resolved(wanted, constraints) if each["name"] not in pinned]
        conditions = [(each, condition(each)) for each in here]
        text += "".join(written(each, met) for each, met in conditions if met is not None)
        pinned |= {each["name"] for each, met in conditions if met is not None}
    return text


def main() -> None:
    """Write the lock anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    LOCK.write_text(lock(None if parser.parse_args().upgrade else LOCK), encoding="utf-8")


if __name__ == "__main__":
    main()
