"""Write the bill of materials of `requirements.lock` and of the pages, as CycloneDX 1.6 in JSON.

It says of every package which version, of which files (their SHA-256), and for what: `required`
to run, `optional` for Parquet, `excluded` for what only builds and tests. The same lock and the
same pages give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCOPES = {"build": "excluded", "run": "required", "parquet": "optional", "develop": "excluded"}
VENDORED = {
    "service/page/swagger": ("swagger-ui", "5.35.0", "Apache-2.0"),
    "service/page/uplot": ("uplot", "1.6.32", "MIT"),
}
"""What lies among our own files as others have published it."""
PINNED = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; (?P<where>.+?))? \\$")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def component(found: re.Match[str], section: str, hashes: list[str]) -> dict[str, Any]:
    """A package; its files' hashes stand under where they are distributed, as there are several."""
    purl = f"pkg:pypi/{found['name']}@{found['version']}"
    properties = [("clearway:section", section), ("clearway:where", found["where"])]
    files = [{"alg": "SHA-256", "content": each} for each in hashes]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": found["name"],
        "version": found["version"],
        "scope": SCOPES[section],
        "purl": purl,
        "externalReferences": [{"type": "distribution", "url": purl, "hashes": files}],
        "properties": [{"name": name, "value": value} for name, value in properties if value],
    }


def components(lock: str) -> list[dict[str, Any]]:
    """The lock's packages, in its order; a line that is none of its forms is an error."""
    section, found = "", list[dict[str, Any]]()
    for block in re.split(r"\n(?=\S)", lock):
        if heading := re.fullmatch(r"# == (\w+)\s*", block):
            section = heading[1]
        elif not block.startswith("#"):
            head = PINNED.match(block.partition("\n")[0])
            if head is None:
                raise SystemExit(f"requirements.lock: not a pinned package: {block[:60]}")
            found.append(component(head, section, HASH.findall(block)))
    return found


def vendored(folder: str, name: str, version: str, licence: str) -> dict[str, Any]:
    """What lies in this folder, file by file."""
    purl = f"pkg:npm/{name}@{version}"
    files = [
        {
            "type": "file",
            "name": path.relative_to(ROOT).as_posix(),
            "hashes": [
                {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}
            ],
        }
        for path in sorted((ROOT / folder).iterdir())
    ]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": "required",
        "licenses": [{"license": {"id": licence}}],
        "purl": purl,
        "components": files,
    }


def document(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """The bill of materials of this lock of this project."""
    own = f"pkg:generic/{project['name']}@{project['version']}"
    parts = [*components(lock), *(vendored(folder, *told) for folder, told in VENDORED.items())]
    needed = [each["bom-ref"] for each in parts if each["scope"] == "required"]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, own + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own,
            }
        },
        "components": parts,
        "dependencies": [{"ref": own, "dependsOn": needed}],
    }


def main() -> None:
    """Write it to the file that is named, or to standard output."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = json.dumps(document(lock, project), indent=2) + "\n"
    if len(sys.argv) == 1:
        sys.stdout.write(text)
        return
    into = Path(sys.argv[1])
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
