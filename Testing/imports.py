"""Reads from the source files which modules import which, without importing any."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "TeethSeg"
OWN = "teethseg"


def file_of(name: str) -> Path | None:
    """File of an own module by its dotted name; None if there is no such module."""
    path = MODULE.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def name_of(file: Path) -> str:
    """Dotted name of an own module."""
    return ".".join(file.relative_to(MODULE).with_suffix("").parts).removesuffix(".__init__")


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imported(file: Path, at_load: bool) -> frozenset[str]:
    """Dotted names that a file imports: when it is loaded, or (not `at_load`) anywhere in it."""
    package = name_of(file).split(".")[: None if file.name == "__init__.py" else -1]
    names: set[str] = set()
    for node in _statements(_tree(file), at_load):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join(base + ([node.module] if node.module else []))
            names.add(target)
            # `from .package import module` loads the module, too.
            names.update(f"{target}.{alias.name}" for alias in node.names if file_of(f"{target}.{alias.name}"))
    return frozenset(names)


def _statements(tree: ast.AST, at_load: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _statements(node, at_load)


def reach(starts: Iterable[str], at_load: bool) -> dict[str, str]:
    """Packages of others that own modules need, each with the own module that imports it.

    Parameters
    ----------
    starts : iterable of str
        Dotted names of own modules; their imports are followed.
    at_load : bool
        Only imports that run when the modules are loaded.
    """
    todo, seen, foreign = [(name, "the test") for name in starts], set(), {}
    while todo:
        name, by = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        file = file_of(name)
        if file is None:
            raise LookupError(f"{by} imports {name}, which does not exist")
        parents = name.split(".")[:-1]
        todo += [(".".join(parents[: n + 1]), name) for n in range(len(parents))]
        for target in imported(file, at_load):
            if target.split(".")[0] == OWN:
                todo.append((target, name))
            elif target.split(".")[0] not in sys.stdlib_module_names:
                foreign.setdefault(target.split(".")[0], name)
    return foreign
