"""Writes the lists of files in TeethSeg/CMakeLists.txt from the tree, so that nothing is left out of the Slicer package.

python scripts/cmake_lists.py
"""

from __future__ import annotations

import re
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "TeethSeg"


def packaged_files(module: Path = MODULE) -> dict[str, list[str]]:
    """Files of the Slicer module by name of their CMake list, relative to the module, sorted."""
    library = [path for path in (module / "teethseg").rglob("*.py") if path.parent.name != "__pycache__"]
    # Slicer's build finds translations (.ts) by itself.
    resources = [path for path in (module / "Resources").rglob("*") if path.is_file() and path.suffix != ".ts"]
    files = {"MODULE_PYTHON_SCRIPTS": [module / "TeethSeg.py", *library], "MODULE_PYTHON_RESOURCES": resources}
    return {
        name: sorted(path.relative_to(module).as_posix() for path in paths if not path.name.startswith("."))
        for name, paths in files.items()
    }


def with_lists(text: str, files: dict[str, list[str]]) -> str:
    """The text of a CMakeLists.txt in which each `set(NAME ...)` names these files."""
    for name, paths in files.items():
        lines = "".join(f"  {path}\n" for path in paths)
        text, found = re.subn(rf"set\({name}\n[^)]*\)", lambda _, n=name, b=lines: f"set({n}\n{b}  )", text)
        assert found == 1, f"{name} is not set once"
    return text


def main() -> None:
    cmake = MODULE / "CMakeLists.txt"
    cmake.write_text(with_lists(cmake.read_text(encoding="utf-8"), packaged_files()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
