"""Inside Slicer: is the package whole, and does the library load without anything that is not there yet?"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import sys
import unittest
from pathlib import Path

import teethseg

LIBRARY = Path(teethseg.__file__).resolve().parent
RESOURCES = LIBRARY.parent / "Resources"


def own_imports(file: Path):
    """Names of the modules of teethseg that a file imports, anywhere in it."""
    package = [LIBRARY.name, *file.relative_to(LIBRARY).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            yield ".".join(base + ([node.module] if node.module else []))


class TeethSegPackageTest(unittest.TestCase):
    def test_every_module_that_is_imported_was_packaged(self):
        for file in LIBRARY.rglob("*.py"):
            for name in own_imports(file):
                path = LIBRARY.parent.joinpath(*name.split("."))
                found = path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
                self.assertTrue(found, f"{file.relative_to(LIBRARY)} imports {name}, which is not in the package")

    def test_weights_are_packaged_and_intact(self):
        cards = list((RESOURCES / "Weights").glob("*.json"))
        self.assertTrue(cards)
        for card in cards:
            weights = card.with_suffix(".safetensors")
            wanted = json.loads(card.read_text(encoding="utf-8"))["sha256"]
            self.assertEqual(hashlib.sha256(weights.read_bytes()).hexdigest(), wanted)

    def test_requirements_are_packaged(self):
        self.assertTrue((RESOURCES / "requirements.txt").is_file())

    def test_library_loads_without_pytorch(self):
        before = "torch" in sys.modules
        for name in ("anatomy", "errors", "volume"):
            importlib.import_module(f"teethseg.{name}")
        self.assertEqual("torch" in sys.modules, before)


if __name__ == "__main__":
    unittest.main()
