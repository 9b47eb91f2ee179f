"""The repository: installation, imports, content of the wheel, scripts."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from teethseg import NOTICE, __version__

REPOSITORY = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "vtkmodules", "SimpleITK", "scipy", "skimage", "lightning", "monai")


def python(code: str) -> str:
    """Standard output of a fresh interpreter that sees teethseg."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env={"PYTHONPATH": str(REPOSITORY / "TeethSeg")},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import teethseg, teethseg.anatomy, teethseg.errors, teethseg.volume",
        "from teethseg.cli import app; app.run(['--help'])",
        "from teethseg.cli import app; app.run(['segment', '--help'])",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    loaded = python(f"{code}\nimport sys; print(); print(*sys.modules)").splitlines()[-1].split()
    assert "teethseg" in loaded
    assert not set(HEAVY) & set(loaded)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8")
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return file


def test_wheel_holds_library_weights_and_licences(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    about = f"teethseg-{__version__}.dist-info"
    for name in (
        "teethseg/__init__.py",
        "teethseg/cli/app.py",
        "teethseg/cascade/networks/cascade_net.py",
        f"{about}/licenses/LICENSE.txt",
        f"{about}/licenses/NOTICE",
    ):
        assert name in names
    weights = [name for name in names if name.startswith("teethseg/Resources/Weights/")]
    assert {Path(name).suffix for name in weights} == {".safetensors", ".json"}
    assert not [name for name in names if not name.startswith(("teethseg/", about))]


def test_an_installed_wheel_finds_its_weights(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from teethseg.cascade.weights import load_weights\n"
        "import teethseg; print(teethseg.__file__, load_weights().sha256)"
    )
    place, sha256 = python(code).split()
    assert place.startswith(str(tmp_path))
    assert len(sha256) == 64


def test_weights_are_small():
    sizes = [file.stat().st_size for file in (REPOSITORY / "TeethSeg" / "Resources" / "Weights").iterdir()]
    assert 0 < sum(sizes) < 20e6


def test_command_is_installed_and_tells_its_version():
    command = Path(sys.executable).with_name("teethseg")
    run = subprocess.run([command, "--version"], capture_output=True, encoding="utf-8")
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, __version__, "")


def test_users_read_that_it_is_no_medical_device():
    assert NOTICE in (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "not a medical device" in (REPOSITORY / "NOTICE").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", sorted((REPOSITORY / "scripts").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_sound_bash(script):
    assert subprocess.run(["bash", "-n", script]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [(["--fast"], 2, "--fast"), (["a.nrrd", "b.nrrd"], 2, "one scan"), (["nowhere.nrrd"], 3, "does not exist")],
)
def test_run_script_refuses_before_it_installs_anything(tmp_path, arguments, status, message):
    (tmp_path / "scripts").mkdir()
    for name in ("run.sh", "setup.sh", "constraints.txt"):
        (tmp_path / "scripts" / name).write_text((REPOSITORY / "scripts" / name).read_text())
    run = subprocess.run(["bash", "scripts/run.sh", *arguments], cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert run.returncode == status
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"scripts"}


def run_test_script(folder: Path, programs: dict[str, str], **environment: str) -> subprocess.CompletedProcess:
    """scripts/test.sh in a folder of its own, with these programs (name to text) first on the path."""
    (folder / "scripts").mkdir()
    for name in ("test.sh", "setup.sh"):
        (folder / "scripts" / name).write_text((REPOSITORY / "scripts" / name).read_text())
    (folder / "bin").mkdir()
    for name, text in programs.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    return subprocess.run(
        ["bash", "scripts/test.sh"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin", **environment},
    )


OLD = "#!/bin/sh\nexit 1\n"
PYTHONS = ("python3", "python", *(f"python3.{minor}" for minor in range(10, 15)))


def test_scripts_name_the_command_that_brings_a_python(tmp_path):
    run = run_test_script(tmp_path, {"old": OLD}, PYTHON=str(tmp_path / "bin" / "old"))
    assert run.returncode == 1
    assert "Python 3.10 to 3.14" in run.stderr
    assert "  sudo apt install python3 python3-venv\n" in run.stderr
    assert not (tmp_path / ".venv").exists()


def test_uv_is_used_where_no_python_fits(tmp_path):
    uv = '#!/bin/sh\necho "$@" >uv-was-called\nexit 1\n'
    run = run_test_script(tmp_path, {**dict.fromkeys(PYTHONS, OLD), "uv": uv})
    assert run.returncode == 1
    assert (tmp_path / "uv-was-called").read_text() == "venv --quiet --seed --clear --python 3.12 .venv\n"


@pytest.mark.parametrize(("newest", "chosen"), [(14, "python3.14"), (13, "python3.13")])
def test_the_newest_python_is_taken_where_it_is_the_only_one(tmp_path, newest, chosen):
    """A stand-in knows its version, and refuses to make an environment: its name is in the message."""
    there = f"""#!/bin/sh
case "$*" in
*ensurepip*) exit 1 ;;
*version_info*argv*) [ {newest} -le "$3" ] ;;
*) echo 3.{newest} ;;
esac
"""
    run = run_test_script(tmp_path, {**dict.fromkeys(PYTHONS, OLD), chosen: there})
    assert run.returncode == 1
    assert f"sudo apt install python3.{newest}-venv" in run.stderr
