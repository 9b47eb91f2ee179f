"""The Slicer extension as a package: all files, all requirements of the extension index, no missing dependency."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from imports import MODULE, OWN, file_of, name_of, reach

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from cmake_lists import packaged_files, with_lists  # noqa: E402

# Packages of Slicer 5.10 and later, and the names that the extension index accepts for them at file scope.
IN_SLICER = {"numpy", "scipy", "SimpleITK", "pydicom", "vtk", "vtkmodules", "requests", "PIL"}
FROM_SLICER_512 = {"highdicom"}  # without it, a function reports its absence
SLICER = {
    "slicer",
    "qt",
    "ctk",
    "AbstractScriptedSubjectHierarchyPlugin",
    "SampleData",
    "PyTorchUtils",
    "DICOMLib",
    "DICOMSegmentationPlugin",
    "MRMLCorePython",
}
# Distributions whose modules have other names.
MODULES = {"connected-components-3d": "cc3d", "pynrrd": "nrrd", "scikit-image": "skimage"}


def cmake_text(path: str) -> str:
    """A CMake file without its comments."""
    return re.sub(r"^\s*#.*$", "", (REPOSITORY / path).read_text(encoding="utf-8"), flags=re.MULTILINE)


def cmake_list(name: str) -> list[str]:
    (body,) = re.findall(rf"set\({name}\s([^)]*)\)", cmake_text("TeethSeg/CMakeLists.txt"))
    return body.split()


def metadata(name: str) -> str:
    """An EXTENSION_ variable, which the index requires as a literal line."""
    (value,) = re.findall(rf'^set\(EXTENSION_{name} "([^"]*)"\)$', cmake_text("CMakeLists.txt"), re.MULTILINE)
    return value


def requirements() -> dict[str, str]:
    lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(">=") for line in lines if line and not line.startswith("#"))


# The package


@pytest.mark.parametrize("name", ["MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"])
def test_cmake_lists_name_every_file_and_no_other(name):
    listed, there = cmake_list(name), packaged_files()[name]
    remedy = "run `python scripts/cmake_lists.py`"
    assert [file for file in there if file not in listed] == [], f"left out of the Slicer package: {remedy}"
    assert [file for file in listed if not (MODULE / file).is_file()] == [], f"listed, but not there: {remedy}"
    assert len(listed) == len(set(listed))


def test_package_holds_what_a_user_needs():
    scripts, resources = cmake_list("MODULE_PYTHON_SCRIPTS"), cmake_list("MODULE_PYTHON_RESOURCES")
    assert {"TeethSeg.py", "teethseg/__init__.py", "teethseg/cascade/networks/cascade_net.py"} <= set(scripts)
    assert {Path(file).suffix for file in resources} >= {".png", ".ui", ".txt", ".json", ".safetensors"}
    assert not [file for file in scripts + resources if "__pycache__" in file or ".pyc" in file]


def test_lists_are_written_from_the_tree(tmp_path):
    for name in (
        "TeethSeg.py",
        "teethseg/b.py",
        "teethseg/a/__init__.py",
        "teethseg/__pycache__/b.py",
        "Resources/x.bin",
        "Resources/Translations/TeethSeg_fr.ts",
        "Resources/.DS_Store",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files = packaged_files(tmp_path)
    assert files == {
        "MODULE_PYTHON_SCRIPTS": ["TeethSeg.py", "teethseg/a/__init__.py", "teethseg/b.py"],
        "MODULE_PYTHON_RESOURCES": ["Resources/x.bin"],
    }
    before = "set(MODULE_PYTHON_SCRIPTS\n  old.py\n  )\nset(MODULE_PYTHON_RESOURCES\n  )\nrest()\n"
    after = with_lists(before, files)
    assert "old.py" not in after
    assert after.endswith("set(MODULE_PYTHON_RESOURCES\n  Resources/x.bin\n  )\nrest()\n")
    assert with_lists(after, files) == after


def test_module_and_its_tests_are_built_and_run():
    module = cmake_text("TeethSeg/CMakeLists.txt")
    assert re.search(r"slicerMacroBuildScriptedModule\([^)]*WITH_GENERIC_TESTS", module)
    tests = re.search(r"if\(BUILD_TESTING\)(.*)endif\(\)", module, re.DOTALL)[1]
    assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in tests
    assert "add_subdirectory(Testing)" in tests
    for file in re.findall(r"SCRIPT (\S+)\)", cmake_text("TeethSeg/Testing/Python/CMakeLists.txt")):
        assert (MODULE / "Testing" / "Python" / file).is_file()


STAND_IN_FOR_SLICER = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "no file ${file}")
    endif()
    file(APPEND ${CMAKE_BINARY_DIR}/packaged.txt "${MY_NAME} ${file}\\n")
  endforeach()
endmacro()
function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(FATAL_ERROR "no test ${MY_SCRIPT}")
  endif()
  file(APPEND ${CMAKE_BINARY_DIR}/tests.txt "${MY_SCRIPT}\\n")
endfunction()
"""


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("c++")), reason="needs CMake and a compiler")
def test_cmake_configures_the_extension(tmp_path):
    """Stand-ins for Slicer's macros accept and refuse the same arguments."""
    (tmp_path / "SlicerConfig.cmake").write_text(STAND_IN_FOR_SLICER)
    (tmp_path / "empty.cmake").touch()
    build = tmp_path / "build"
    command = ["cmake", "-S", REPOSITORY, "-B", build, f"-DSlicer_DIR={tmp_path}", "-DBUILD_TESTING=ON"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    packaged = (build / "packaged.txt").read_text().splitlines()
    assert packaged == [f"TeethSeg {file}" for files in packaged_files().values() for file in files]
    assert (build / "tests.txt").read_text().split() == ["TeethSeg.py", "TeethSegPackageTest.py"]


def test_the_test_inside_slicer_passes_on_the_package(tmp_path, monkeypatch):
    """The package, copied by the CMake lists alone, passes the test that Slicer's build runs on it."""
    for file in cmake_list("MODULE_PYTHON_SCRIPTS") + cmake_list("MODULE_PYTHON_RESOURCES"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MODULE / file, tmp_path / file)
    test = MODULE / "Testing" / "Python" / "TeethSegPackageTest.py"
    command = [sys.executable, test]
    run = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    assert re.search(r"Ran [4-9] tests", run.stderr)

    (tmp_path / "teethseg" / "cascade" / "arch_template.py").unlink()
    run = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, encoding="utf-8")
    assert run.returncode != 0
    assert "cascade.arch_template" in run.stderr


# Requirements of the extension index


def test_project_and_metadata_are_as_the_index_wants_them():
    text = cmake_text("CMakeLists.txt")
    assert re.findall(r"^project\((\w+)", text, re.MULTILINE) == ["TeethSeg"]
    assert metadata("CATEGORY") == "Segmentation"
    assert metadata("CONTRIBUTORS")
    assert metadata("DEPENDS") == "PyTorch"
    description = metadata("DESCRIPTION")
    assert 60 < len(description) < 400
    assert ";" not in description  # CMake would read it as a list
    assert "not a medical device" in description
    order = [
        text.index(line)
        for line in (
            "find_package(Slicer REQUIRED)",
            "include(${Slicer_USE_FILE})",
            "add_subdirectory(TeethSeg)",
            "include(${Slicer_EXTENSION_GENERATE_CONFIG})",
            "include(${Slicer_EXTENSION_CPACK})",
        )
    ]
    assert order == sorted(order)


def repository() -> str:
    return metadata("HOMEPAGE")


def test_addresses_are_those_of_one_repository():
    place = urlsplit(repository())
    owner, name = place.path.strip("/").split("/")
    assert (place.scheme, place.netloc) == ("https", "github.com")
    assert name == "SlicerTeethSeg"
    raw = f"https://raw.githubusercontent.com/{owner}/{name}/main/"
    pictures = [metadata("ICONURL"), *metadata("SCREENSHOTURLS").split(" ")]
    assert len(pictures) >= 2
    for url in pictures:
        assert url.startswith(raw)
        file = REPOSITORY / url.removeprefix(raw)
        assert file.is_file(), f"{url} will not be found"
        assert Image.open(file).format in ("PNG", "JPEG", "GIF")
    entry = json.loads((REPOSITORY / "docs" / "TeethSeg.json").read_text(encoding="utf-8"))
    assert entry["scm_url"] == f"{repository()}.git"


@pytest.mark.parametrize("place", ["Resources/TeethSeg.png", "TeethSeg/Resources/Icons/TeethSeg.png"])
def test_icons_are_128_pixels_and_show_something(place):
    icon = Image.open(REPOSITORY / place)
    assert (icon.format, icon.size, icon.mode) == ("PNG", (128, 128), "RGBA")
    assert icon.getchannel("A").getextrema() == (0, 255)  # a transparent background suits dark themes
    assert len(icon.convert("RGB").getcolors()) > 100


def test_catalog_entry_is_valid():
    raw = (REPOSITORY / "docs" / "TeethSeg.json").read_bytes()
    assert b"\r" not in raw and raw.endswith(b"\n")
    entry = json.loads(raw)
    # Slicer/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json
    kinds = {
        "$schema": str,
        "category": str,
        "scm_url": str,
        "scm_revision": str,
        "scm_type": str,
        "build_dependencies": list,
        "build_subdirectory": str,
        "enabled": bool,
        "tier": int,
    }
    assert {"$schema", "category", "scm_url"} <= set(entry) <= set(kinds)
    assert all(isinstance(value, kinds[key]) for key, value in entry.items())
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert entry["category"] == metadata("CATEGORY")
    assert entry["build_dependencies"] == metadata("DEPENDS").split(" ")
    assert entry["scm_url"].startswith("https://")
    assert 1 <= entry["tier"] <= 5


def test_licence_is_there_and_named():
    assert "Apache License" in (REPOSITORY / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache License" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "wanted",
    [
        r"^# TeethSeg$",
        r"!\[[^]]+\]\([^)]+\.png\)",
        r"^## In 3D Slicer$",
        r"(?i)extensions manager",
        r"(?i)^#+ .*tutorial",
        r"(?i)sample data",
        r"(?i)^#+ .*cite",
        r"^## Licence",
        r"(?i)not a medical device",
        r"(?i)not yet .*desktop",
        r"`TeethSeg`",
    ],
)
def test_readme_tells_what_the_index_asks(wanted):
    assert re.search(wanted, (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.MULTILINE), (
        f"README.md lacks {wanted}"
    )


def test_pictures_of_the_readme_exist():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (REPOSITORY / "README.md").read_text(encoding="utf-8"))
    assert pictures
    assert [picture for picture in pictures if not (REPOSITORY / picture).is_file()] == []


def test_checkout_stays_below_the_limit_of_the_index():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, encoding="utf-8")
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    assert sum(file.stat().st_size for file in files if file.is_file()) < 100e6


# Packages that it needs


# Slicer loads these at its start and when the user opens the panel, before TeethSeg can install any package.
OPENED = pytest.mark.parametrize(
    "start",
    [
        "TeethSeg",
        f"{OWN}.panel.sample_data",
        f"{OWN}.mrml.terminology",
        f"{OWN}.panel.parameters",
        f"{OWN}.panel.panel",
    ],
)


@OPENED
def test_opens_in_a_slicer_that_has_nothing_installed_yet(start):
    missing = {name: by for name, by in reach([start], at_load=True).items() if name not in IN_SLICER | SLICER}
    assert missing == {}, "imported before the user was asked to install it"


@OPENED
def test_opening_loads_nothing_heavy(start):
    heavy = {"torch", "SimpleITK", "scipy", "skimage", "pydicom"}
    assert {name: by for name, by in reach([start], at_load=True).items() if name in heavy} == {}


def test_installing_needs_nothing_but_python_and_slicer():
    foreign = reach([f"{OWN}.panel.install", f"{OWN}.panel.sample_data"], at_load=True)
    assert set(foreign) <= {"slicer", "numpy"}


def in_slicer() -> list[str]:
    """TeethSeg's modules that run inside Slicer: the module, the panel with its imports, the worker, the simulation."""
    floors = ("panel", "application", "mrml", "worker", "correction", "annotation", "surfaces", "cascade", "simulation")
    files = [file for floor in floors for file in (MODULE / OWN / floor).rglob("*.py")]
    return ["TeethSeg", *map(name_of, files)]


def test_requirements_name_all_that_is_needed_and_no_more():
    foreign = reach(in_slicer(), at_load=False)
    provided = {MODULES.get(name, name) for name in requirements()} | {"torch"}
    missing = {name: by for name, by in foreign.items() if name not in provided | IN_SLICER | FROM_SLICER_512 | SLICER}
    assert missing == {}, "used inside Slicer, but not in TeethSeg/Resources/requirements.txt"
    assert provided - set(foreign) == set(), "in TeethSeg/Resources/requirements.txt, but used nowhere inside Slicer"


def test_requirements_are_those_of_the_library():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    for name, oldest in requirements().items():
        assert f'"{name}>={oldest}"' in text
        assert re.fullmatch(r"\d+(\.\d+)*", oldest)
    assert "torch" not in requirements()
    assert not set(requirements()) & {"numpy", "scipy", "SimpleITK", "vtk", "pydicom"}


def test_import_reader_follows_what_it_should(tmp_path):
    foreign = reach([f"{OWN}.cascade.pipeline"], at_load=True)
    assert foreign["torch"].startswith(f"{OWN}.cascade")
    assert "nrrd" not in reach([f"{OWN}.cascade.dentition"], at_load=True)
    assert file_of(f"{OWN}.nowhere") is None
    with pytest.raises(LookupError):
        reach([f"{OWN}.nowhere"], at_load=True)


def test_slicer_test_is_a_unittest():
    loaded = unittest.defaultTestLoader.discover(str(MODULE / "Testing" / "Python"), pattern="*Test.py")
    assert loaded.countTestCases() >= 4


# Texts and rules of the extension


def panel_sources() -> list[Path]:
    folders = ("panel", "application")
    return [*(file for name in folders for file in (MODULE / OWN / name).rglob("*.py")), *MODULE.glob("TeethSeg.py")]


def test_texts_for_translation_are_whole_literals():
    """Translations contain no f-string or concatenation, so `_()` would not find them."""
    wrong, count = [], 0
    for file in panel_sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                count += 1
                if not (len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and not node.keywords):
                    wrong.append(f"{file.name}:{node.lineno}")
    assert count > 10
    assert wrong == []


def test_only_one_place_installs_packages():
    used = {file.name for file in MODULE.rglob("*.py") if "pip_" in file.read_text(encoding="utf-8")}
    assert used == {"install.py"}
