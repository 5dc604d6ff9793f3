"""The repository itself, as the promises read it: modules, functions, commands, routes."""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
ROUTE_DECORATORS = {"get", "post", "put", "patch", "delete", "head", "route", "asgi"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def stem(self) -> str:
        return Path(self.path).stem


def read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    return tuple(read(path) for folder in folders for path in sorted(ROOT.glob(folder)))


def packages() -> tuple[Module, ...]:
    return modules("roster/**/*.py", "service/**/*.py", "loader/**/*.py", "clearway.py")


def product() -> tuple[Module, ...]:
    """What others run: the packages, and the client for carriers."""
    return packages() + modules("clients/python/src/**/*.py")


def python() -> tuple[Module, ...]:
    return product() + modules("tests/**/*.py", "benchmarks/**/*.py", "docs/**/*.py")


def lua() -> dict[str, str]:
    """The Lua files without their comments."""
    return {
        path.relative_to(ROOT).as_posix(): re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.glob("roster/**/*.lua"))
    }


def docs(*names: str) -> str:
    """These documents in one text; empty while none of them is written."""
    paths = [path for name in names for path in sorted(ROOT.glob(name))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def imports(module: Module) -> set[str]:
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = module.package if node.level else (node.module or "")
            found.add(name.split(".")[0])
    return found


def docstrings(tree: ast.Module) -> set[int]:
    """Which nodes are a docstring, or another text that stands alone."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def texts(module: Module) -> Iterator[tuple[int, str]]:
    """Every string or bytes literal that is no docstring, with its line."""
    skipped = docstrings(module.tree)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and id(node) not in skipped:
            if isinstance(node.value, str):
                yield node.lineno, node.value
            elif isinstance(node.value, bytes):
                yield node.lineno, node.value.decode("latin-1")


def functions(tree: ast.Module) -> Iterator[tuple[Function, bool]]:
    """Every function, and whether a class holds it."""
    methods = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for child in node.body
        if isinstance(child, Function)
    }
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node, id(node) in methods


def body_lines(function: Function) -> int:
    """The lines between signature and end, docstring left out."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters(function: Function, *, method: bool) -> int:
    names = function.args
    plain = [*names.posonlyargs, *names.args, *names.kwonlyargs]
    count = len(plain) + (names.vararg is not None) + (names.kwarg is not None)
    return count - (method and bool(plain) and plain[0].arg in {"self", "cls"})


def decorators(function: Function) -> Iterator[tuple[str, str, ast.Call | None]]:
    """Of each decorator: what it is an attribute of, its own name, and the call."""
    for node in function.decorator_list:
        call = node if isinstance(node, ast.Call) else None
        target = call.func if call else node
        if isinstance(target, ast.Attribute):
            yield ast.unparse(target.value), target.attr, call
        elif isinstance(target, ast.Name):
            yield "", target.id, call


def is_command(function: Function) -> bool:
    return any(name in {"command", "group"} for _, name, _ in decorators(function))


def strings(call: ast.Call | None, keyword: str) -> list[str]:
    """The texts that a call has in its first argument or in the one named so."""
    if call is None:
        return []
    found = call.args[:1] + [item.value for item in call.keywords if item.arg == keyword]
    nodes = [node for item in found for node in ast.walk(item)]
    return [
        node.value for node in nodes if isinstance(node, ast.Constant) and type(node.value) is str
    ]


def commands() -> set[str]:
    """The names of click's commands and groups."""
    found = set()
    for function, _ in (pair for module in product() for pair in functions(module.tree)):
        for _, name, call in decorators(function):
            if name in {"command", "group"}:
                spoken = re.sub(r"_(command|cmd|group|grp)$", "", function.name)
                found.add((strings(call, "name") or [spoken.replace("_", "-")])[0])
    return found


def routes() -> set[str]:
    """The paths of Litestar's handlers and controllers, parameters without their types."""
    found: list[str] = []
    for module in modules("service/**/*.py"):
        for function, _ in functions(module.tree):
            for _, name, call in decorators(function):
                if name in ROUTE_DECORATORS:
                    found += strings(call, "path")
        for name, value in class_values(module.tree, "Controller"):
            found += [value] if name == "path" else []
    return {re.sub(r":[a-z]+\}", "}", path) for path in found if path.startswith("/")}


def class_values(tree: ast.Module, base: str) -> Iterator[tuple[str, str]]:
    """The fields of the classes that inherit from such a base, with their texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(base in ast.unparse(name) for name in node.bases):
            for item in node.body:
                if isinstance(item, ast.Assign | ast.AnnAssign):
                    target = item.targets[0] if isinstance(item, ast.Assign) else item.target
                    value = item.value.value if isinstance(item.value, ast.Constant) else ""
                    yield ast.unparse(target), str(value)


def settings() -> set[str]:
    """The environment's names that the product reads: spelled, or a settings Struct's field."""
    name = re.compile(r"\bCLEARWAY_[A-Z][A-Z_]*[A-Z]\b")
    found = set()
    for module in product():
        for _, text in texts(module):
            found |= set(name.findall(text))
        if module.stem == "settings":
            fields = class_values(module.tree, "Struct")
            found |= {f"CLEARWAY_{field.upper()}" for field, _ in fields}
    return found


def tracked() -> list[Path]:
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    paths = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]
