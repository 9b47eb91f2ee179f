"""Imports only go to lower layers; the test reads them from the sources."""

from __future__ import annotations

import pytest

from imports import MODULE, OWN, imported, name_of

# From the ground up. A module may import from its own layer and from those below it.
LAYERS = (
    {
        "anatomy",
        "boxes",
        "errors",
        "eruption",
        "padding",
        "parent_process",
        "resources",
        "structures",
        "tooth_sizes",
        "volume",
        "window_level",
    },
    {"io", "resampling"},
    {"cascade", "surfaces", "correction", "annotation", "arch_views"},
    {"worker", "pictures", "simulation", "evaluation", "report", "training"},
    {"api", "batch", "mrml"},
    {"application"},
    {"panel", "browser", "cli"},
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
FILES = sorted((MODULE / OWN).rglob("*.py"))


def part_of(name: str) -> str:
    """The part of the library that a dotted name belongs to; the package itself has none."""
    return name.split(".")[1] if "." in name else ""


def test_every_part_of_the_library_has_a_layer():
    assert {part_of(name_of(file)) for file in FILES} - {""} == {
        part for part in LEVEL if (MODULE / OWN / part).exists() or (MODULE / OWN / f"{part}.py").exists()
    }


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_run_downwards(file):
    own = part_of(name_of(file))
    for target in imported(file, at_load=False):
        if target.split(".")[0] == OWN and own and part_of(target):
            assert LEVEL[part_of(target)] <= LEVEL[own], f"{name_of(file)} imports {target} from a layer above"


@pytest.mark.parametrize("part", ["panel", "browser"])
def test_the_two_windows_know_nothing_of_each_other(part):
    other = {"panel": "browser", "browser": "panel"}[part]
    for file in (MODULE / OWN / part).rglob("*.py"):
        assert not [target for target in imported(file, at_load=False) if target.startswith(f"{OWN}.{other}")], file


NO_CYCLES = [part for part in sorted(LEVEL) if (MODULE / OWN / part).is_dir()]


def test_no_circle_between_parts():
    needs = {}
    for file in FILES:
        own = part_of(name_of(file))
        targets = {part_of(target) for target in imported(file, at_load=True) if target.split(".")[0] == OWN}
        needs.setdefault(own, set()).update(targets - {own, ""})

    def reach(part: str, seen: tuple[str, ...]) -> None:
        for other in needs.get(part, ()):
            assert other not in seen, " imports ".join((*seen, other))
            reach(other, (*seen, other))

    for part in NO_CYCLES:
        reach(part, (part,))
