"""Promises about the code itself: its layers, its sizes, and that the docs tell all of it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from tests.source import (
    ROOT,
    ROUTE_DECORATORS,
    Function,
    Module,
    body_lines,
    commands,
    decorators,
    docs,
    functions,
    imports,
    is_command,
    lua,
    modules,
    packages,
    parameters,
    product,
    python,
    routes,
    settings,
    strings,
    texts,
    tracked,
)

PURE = ("identity", "entry", "record", "rules", "filter", "keys")
IMPURE_IMPORTS = {"asyncio", "os", "redis", "socket", "subprocess", "threading", "time"}
FORBIDDEN_IMPORTS = {
    "roster": {"service", "loader", "clearway", "benchmarks", "tests"},
    "service": {"loader", "clearway", "benchmarks", "tests"},
    "loader": {"service", "clearway", "benchmarks", "tests"},
    "clients": {"roster", "service", "loader", "clearway", "benchmarks", "tests"},
}


def test_imports_point_one_way() -> None:
    wrong = {
        module.path: crossed
        for module in product()
        if (crossed := imports(module) & FORBIDDEN_IMPORTS.get(module.package, set()))
    }
    assert not wrong


def test_what_decides_does_no_io() -> None:
    pure = [module for module in modules("roster/**/*.py") if module.stem in PURE]
    assert {
        module.path: found for module in pure if (found := imports(module) & IMPURE_IMPORTS)
    } == {}


def types(module: Module) -> Iterator[tuple[str, str]]:
    """Name and meaning of each class and alias; a type variable is none."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, module.path
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            meaning = ast.unparse(node.value)
            if isinstance(target, ast.Name) and not meaning.startswith("TypeVar("):
                yield target.id, meaning


def test_no_two_types_have_one_name() -> None:
    """The client is another program, which has the service's words for what it sends and gets."""
    meanings: dict[str, set[str]] = {}
    for module in packages():
        for name, meaning in types(module):
            if re.fullmatch("_?[A-Z][a-z][A-Za-z]*", name):
                meanings.setdefault(name.lstrip("_"), set()).add(meaning)
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_only_the_keys_module_spells_a_redis_key() -> None:
    key = re.compile(r"(?<![\w:])clearway:(?!\s)")
    spelled = [
        f"{module.path}:{line}"
        for module in product()
        if module.path != "roster/keys.py"
        for line, text in texts(module)
        if key.search(text)
    ]
    spelled += [path for path, text in lua().items() if key.search(text)]
    assert spelled == []


def has_routes(module: Module) -> bool:
    found = (decorators(function) for function, _ in functions(module.tree))
    return any(name in ROUTE_DECORATORS for each in found for _, name, _ in each)


def test_litestar_can_read_every_handlers_annotations() -> None:
    handlers = [module for module in modules("service/**/*.py") if has_routes(module)]
    assert [module.path for module in handlers if "if TYPE_CHECKING" in module.text] == []


def test_modules_are_short() -> None:
    lengths = {module.path: len(module.text.splitlines()) for module in product()}
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def test_functions_are_short() -> None:
    long = [
        f"{module.path}:{function.lineno} {function.name}: {body_lines(function)}"
        for module in product()
        for function, _ in functions(module.tree)
        if body_lines(function) > 40
    ]
    assert long == []


def test_most_functions_are_very_short() -> None:
    sizes = [body_lines(function) for module in product() for function, _ in functions(module.tree)]
    assert sum(size > 5 for size in sizes) <= len(sizes) / 2
    assert sum(size > 20 for size in sizes) <= len(sizes) / 10


def test_functions_have_few_parameters() -> None:
    wide = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in product()
        for function, method in functions(module.tree)
        if parameters(function, method=method) > 5 and not is_command(function)
    ]
    assert wide == []


def public(tree: ast.Module) -> list[Function | ast.ClassDef]:
    """Its public classes and functions, and their public methods."""
    found: list[Function | ast.ClassDef] = []
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            members = node.body if isinstance(node, ast.ClassDef) else []
            methods = [item for item in members if isinstance(item, Function)]
            found += [node, *(item for item in methods if not item.name.startswith("_"))]
    return found


def test_everything_public_has_a_docstring() -> None:
    bare = [
        module.path for module in product() if module.text and not ast.get_docstring(module.tree)
    ]
    bare += [
        f"{module.path}:{node.lineno} {node.name}"
        for module in product()
        for node in public(module.tree)
        if not ast.get_docstring(node)
    ]
    assert bare == []


def sleeps(node: ast.AST) -> bool:
    """Whether this is a call of some `sleep` for a stated time above 50 ms."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] != "sleep":
        return False
    times = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    return any(isinstance(time, int | float) and time > 0.05 for time in times)


def test_tests_wait_for_conditions_and_do_not_sleep() -> None:
    asleep = [
        f"{module.path}:{node.lineno}"
        for module in modules("tests/**/*.py")
        for node in ast.walk(module.tree)
        if sleeps(node) and isinstance(node, ast.Call)
    ]
    assert asleep == []


def comments(module: Module) -> list[tuple[int, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def test_every_exception_to_a_linters_rule_says_why() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    codes = re.findall(r'^    "[A-Z]+[0-9]*",.*$', project, re.MULTILINE)
    assert codes
    assert [line for line in codes if not re.search(r"# \S+ \S", line)] == []
    excused = re.compile(r"noqa: [A-Z0-9, ]+ -- \w")
    silent = [
        f"{module.path}:{line}"
        for module in python()
        for line, comment in comments(module)
        if re.match(r"#\s*noqa", comment) and not excused.search(comment)
    ]
    assert silent == []


def called(tree: ast.Module) -> Iterator[str]:
    """The names of the Lua functions that a module's `Call(partition, name, ...)` make."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Call":
            yield from strings(ast.Call(node.func, node.args[1:2], []), "function")


def test_lua_and_python_name_the_same_functions() -> None:
    code = "\n".join(lua().values())
    libraries = set(re.findall(r"^#!lua name=(\S+)", code, re.MULTILINE))
    registered = set(re.findall(r"^register\('([^']+)'", code, re.MULTILINE))
    spoken = {name for module in modules("roster/**/*.py") for name in called(module.tree)} - {""}
    assert bool(libraries) == bool(registered)
    assert registered == spoken


def test_the_tree_of_errors_is_drawn_whole() -> None:
    for errors in modules("roster/errors.py"):
        tree = ast.get_docstring(errors.tree) or ""
        drawn = set(re.findall(r"^(?:[├└]── )?([A-Z]\w+)", tree, re.MULTILINE))
        defined = {node.name for node in errors.tree.body if isinstance(node, ast.ClassDef)}
        assert defined - drawn == set()


def undocumented(found: set[str], text: str, pattern: str) -> list[str]:
    """Which of these the text does not name; none while the text is not written."""
    if not text:
        return []
    return sorted(name for name in found if not re.search(pattern.format(re.escape(name)), text))


def test_every_setting_is_documented() -> None:
    assert undocumented(settings(), docs("README.md", "docs/**/*.md"), r"\b{}\b") == []


def test_every_route_is_documented() -> None:
    assert undocumented(routes(), docs("README.md", "docs/api.md"), r"{}(?![\w/])") == []


def metrics() -> set[str]:
    """The names that the service gives to metrics."""
    made = {"count", "counter", "gauge", "histogram", "labelled"}
    calls = (node for module in modules("service/**/*.py") for node in ast.walk(module.tree))
    return {
        f"clearway_{name}"
        for call in calls
        if isinstance(call, ast.Call) and ast.unparse(call.func) in made
        for name in strings(ast.Call(call.func, call.args[:1], []), "name")
    }


def test_every_metric_is_documented() -> None:
    assert len(metrics()) > 40
    assert undocumented(metrics(), docs("docs/operations.md"), r"\b{}\b") == []


def test_every_command_is_documented() -> None:
    spelling = r"clearway [^`\n]*\b{0}\b|`{0}\b"
    assert undocumented(commands(), docs("README.md", "docs/api.md"), spelling) == []


def test_what_the_documents_tell_to_make_can_be_made() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    told = set(re.findall(r"(?:^|`|\$ )make ([a-z]+)", docs("*.md", "docs/**/*.md"), re.MULTILINE))
    assert {"demo", "test"} <= targets
    assert told - targets == set()


def test_no_tracked_file_names_a_registry_or_a_machines_path() -> None:
    # Put together here, so that this file does not name them either.
    registries = [("pypi", "org"), ("pythonhosted", "org"), ("registry.npmjs", "org")]
    registries += [("registry.yarnpkg", "com"), ("deb.debian", "org"), ("proxy.golang", "org")]
    paths = rb"(?<![\w.}\-])/(?:work|root)" + rb"/"
    names = b"|".join(re.escape(".".join(parts)).encode() for parts in registries)
    told = re.compile(names + b"|" + paths)
    assert [path.name for path in tracked() if told.search(path.read_bytes())] == []
