"""Installing missing packages into Slicer: message, question and check. Packages are real metadata on disk."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from teethseg.application import packages as install
from teethseg.application.packages import describe, ensure_packages, missing_packages, needed_packages
from teethseg.errors import TeethSegError
from teethseg.panel.install import SlicerInstaller


class Site:
    """A folder on Python's path that holds packages as pip leaves them: metadata with a version."""

    def __init__(self, folder):
        self.folder = folder

    def put(self, name, version):
        for old in self.folder.glob(f"{name}-*.dist-info"):
            (old / "METADATA").unlink()
            old.rmdir()
        place = self.folder / f"{name}-{version}.dist-info"
        place.mkdir()
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty site; the lookup of torch and of the listed requirements sees only this site."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return Site(folder)


@pytest.fixture
def requirements(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("# a remark\nalpha-tools>=1.2\n\nbeta>=0.24  # why\n", encoding="utf-8")
    return file


class Slicer:
    """An `Installer` that writes the requested packages into a site, and records the requests."""

    def __init__(self, site, answer=True, extension=True, testing=False, versions=None, fails=None):
        self.site, self.answer, self.has_torch_extension, self.testing = site, answer, extension, testing
        self.versions = {"alpha-tools": "1.10", "beta": "0.26.0", "torch": "2.13.0+cu128"} | (versions or {})
        self.fails = fails
        self.asked, self.installed, self.extensions = [], [], []

    def ask(self, question, details):
        self.asked.append((question, details))
        return self.answer

    def install(self, requirements):
        if self.fails:
            raise self.fails
        for requirement in requirements:
            name = requirement.split(">=")[0]
            self.installed.append(requirement)
            self.site.put(name.replace("-", "_"), self.versions[name])

    def install_torch(self, requirement):
        self.installed.append(f"torch{requirement}")
        self.site.put("torch", self.versions["torch"])

    def install_torch_extension(self):
        self.extensions.append("PyTorch")
        return self.answer


def test_everything_missing_is_asked_for_once_and_installed(site, requirements):
    slicer = Slicer(site)
    assert ensure_packages(slicer, requirements) is True
    ((question, details),) = slicer.asked
    assert "alpha-tools 1.2+, beta 0.24+, PyTorch 2.4+" in question
    assert "3 GB" in question
    assert details.split() == ["alpha-tools>=1.2", "beta>=0.24", "torch>=2.4"]
    assert slicer.installed == ["alpha-tools>=1.2", "beta>=0.24", "torch>=2.4"]
    assert missing_packages(requirements) == []
    # The second call has no question to ask.
    assert ensure_packages(slicer, requirements) is True
    assert len(slicer.asked) == 1


def test_what_is_there_is_left_alone(site, requirements):
    site.put("alpha_tools", "1.2")
    site.put("torch", "2.4.0")
    slicer = Slicer(site)
    assert ensure_packages(slicer, requirements)
    assert slicer.installed == ["beta>=0.24"]
    assert "PyTorch" not in slicer.asked[0][0]


@pytest.mark.parametrize(
    ("installed", "fits"),
    [
        ("0.24", True),
        ("0.24.0rc1", True),
        ("0.9", False),
        ("0.23.9", False),
        ("0.100", True),
        ("1", True),
        ("0", False),
    ],
)
def test_versions_are_compared_as_numbers(site, requirements, installed, fits):
    site.put("beta", installed)
    beta = next(package for package in needed_packages(requirements) if package.name == "beta")
    assert (beta.installed, beta.fits) == (installed, fits)


def test_a_build_of_pytorch_for_a_graphics_card_counts(site, requirements):
    site.put("torch", "2.13.0+cu128")
    assert "torch" not in [package.name for package in missing_packages(requirements)]


def test_no_means_no(site, requirements):
    slicer = Slicer(site, answer=False)
    assert ensure_packages(slicer, requirements) is False
    assert slicer.installed == []
    assert list(site.folder.iterdir()) == []


def test_nothing_is_installed_while_slicer_runs_its_tests(site, requirements):
    slicer = Slicer(site, testing=True)
    with pytest.raises(TeethSegError, match=r"alpha-tools.*PyTorch.*tests"):
        ensure_packages(slicer, requirements)
    assert (slicer.asked, slicer.installed) == ([], [])


def test_old_pytorch_is_never_replaced_in_a_running_slicer(site, requirements):
    site.put("torch", "2.1.2+cpu")
    slicer = Slicer(site)
    with pytest.raises(TeethSegError, match=r"PyTorch 2\.1\.2\+cpu is too old.*2\.4.*Uninstall.*restart"):
        ensure_packages(slicer, requirements)
    assert (slicer.asked, slicer.installed) == ([], [])


def test_without_the_extension_it_is_fetched_and_slicer_is_to_be_restarted(site, requirements):
    slicer = Slicer(site, extension=False)
    with pytest.raises(TeethSegError, match=r"save your scene, restart Slicer"):
        ensure_packages(slicer, requirements)
    assert "extension PyTorch" in slicer.asked[0][0]
    assert slicer.extensions == ["PyTorch"]
    assert slicer.installed == ["alpha-tools>=1.2", "beta>=0.24"]  # installed before Slicer restarts


def test_an_extension_that_cannot_be_fetched_is_named(site, requirements):
    slicer = Slicer(site, extension=False)
    slicer.install_torch_extension = lambda: False
    with pytest.raises(TeethSegError, match=r"extension PyTorch.*Extensions Manager"):
        ensure_packages(slicer, requirements)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (subprocess.CalledProcessError(1, "pip install"), "pip install"),
        (OSError(28, "No space left on device"), "No space left"),
        (RuntimeError("first line\nsecond line"), "first line"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_failed_installation_is_one_line_with_cause_and_way_out(site, requirements, error, reason):
    slicer = Slicer(site, fails=error)
    with pytest.raises(TeethSegError) as caught:
        ensure_packages(slicer, requirements)
    text = str(caught.value)
    assert reason in text
    assert "internet" in text
    assert "\n" not in text


def test_it_looks_again_and_does_not_take_pips_word(site, requirements):
    slicer = Slicer(site, versions={"beta": "0.20"})
    with pytest.raises(TeethSegError, match=r"too old: beta 0\.24\+ \(0\.20\).*restart"):
        ensure_packages(slicer, requirements)


def test_missing_and_old_are_distinguished(site, requirements):
    site.put("beta", "0.19")
    text = describe(missing_packages(requirements))
    assert "missing in Slicer: alpha-tools 1.2+, PyTorch 2.4+" in text
    assert "too old are: beta 0.24+ (0.19)" in text


def test_the_shipped_requirements_are_met_by_the_development_environment():
    assert missing_packages() == []
    assert [package.name for package in needed_packages()][-1] == "torch"


def test_torch_is_the_range_of_the_library():
    pyproject = install.REQUIREMENTS.parents[2] / "pyproject.toml"
    assert f'"torch>={install.OLDEST_TORCH}"' in pyproject.read_text(encoding="utf-8")


# `SlicerInstaller` on stand-ins with the signatures of Slicer 5.10 and 5.12, so that a wrong keyword fails.


@pytest.fixture
def calls(monkeypatch):
    """A module `slicer` with only the functions that TeethSeg calls; it records their arguments."""
    told = []

    def confirm_ok_cancel_display(text, windowTitle=None, parent=None, **kwargs):
        told.append(("ask", text, kwargs))
        return True

    def pip_install(requirements):
        told.append(("pip_install", requirements))

    class ExtensionsManager:
        interactive = True

        def installExtensionFromServer(self, extensionName, restart=True):
            told.append(("extension", extensionName, restart, self.interactive))
            return True

    app = types.SimpleNamespace(testingEnabled=lambda: False, extensionsManagerModel=ExtensionsManager)
    slicer = types.ModuleType("slicer")
    slicer.app, slicer.modules = app, types.SimpleNamespace()
    slicer.util = types.SimpleNamespace(
        confirmOkCancelDisplay=confirm_ok_cancel_display,
        pip_install=pip_install,
    )
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    return told


def slicer_5_12(monkeypatch, told):
    """Adds slicer.packaging as Slicer has it since 5.12."""

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        told.append(("pip_ensure", requirements, prompt_install, prompt_restart, requester))

    packaging = types.ModuleType("slicer.packaging")
    packaging.pip_ensure = pip_ensure
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    sys.modules["slicer"].__path__ = []


def test_slicer_5_12_installs_with_progress_and_restart_offer(calls, monkeypatch):
    slicer_5_12(monkeypatch, calls)
    SlicerInstaller().install(("a>=1", "b>=2"))
    # TeethSeg has already asked one question for all packages; Slicer itself offers the restart.
    assert calls == [("pip_ensure", ["a>=1", "b>=2"], False, True, "TeethSeg")]


def test_slicer_5_10_installs_by_pip(calls):
    SlicerInstaller().install(("a>=1", "b>=2"))
    assert calls == [("pip_install", ["a>=1", "b>=2"])]


def test_question_shows_the_packages_as_details(calls):
    assert SlicerInstaller().ask("Install?", "a>=1") is True
    assert calls == [("ask", "Install?", {"detailedText": "a>=1"})]


def test_torch_comes_through_the_extension_without_a_second_question(calls, monkeypatch):
    class PyTorchUtilsLogic:
        def installTorch(
            self,
            askConfirmation=False,
            forceComputationBackend=None,
            torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ):
            calls.append((askConfirmation, forceComputationBackend, torchVersionRequirement))

    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    installer = SlicerInstaller()
    assert not installer.has_torch_extension
    sys.modules["slicer"].modules.pytorchutils = object()
    assert installer.has_torch_extension
    installer.install_torch(">=2.4")
    assert calls == [(False, None, ">=2.4")]


def test_extension_is_fetched_without_restarting_under_the_users_hands(calls):
    assert SlicerInstaller().install_torch_extension() is True
    assert calls == [("extension", "PyTorch", False, False)]


def test_testing_mode_is_slicers(calls):
    assert SlicerInstaller().testing is False
    sys.modules["slicer"].app.testingEnabled = lambda: True
    assert SlicerInstaller().testing is True
