"""Renders the chart into deploy/kubernetes. Usage: manifests.py [HELM]."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "clearway"
FILES = {
    "clearway": ("deployment", "service", "disruption", "network"),
    "functions": ("functions",),
    "load": ("loader",),
    "monitoring": ("monitoring",),
}
HEAD = "# Made of deploy/helm/clearway by `make chart`.\n"


def rendered(helm: str, templates: tuple[str, ...]) -> str:
    """What Helm makes of these templates."""
    command = [helm, "template", "clearway", str(CHART), "--values", str(FOLDER / "values.yaml")]
    command += [f"--show-only=templates/{name}.yaml" for name in templates]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- the Helm that was named
    return HEAD + done.stdout


def main(helm: str = "helm") -> None:
    """Write each file."""
    for name, templates in FILES.items():
        (FOLDER / f"{name}.yaml").write_text(rendered(helm, templates), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
