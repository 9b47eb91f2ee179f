"""Packages that TeethSeg needs inside Slicer and Slicer does not bring: said in plain words, installed when the user agrees.

Called from a click, never at import. Packages come from `Resources/requirements.txt` by pip, PyTorch by the PyTorch
extension, which chooses the build that fits the graphics card. Versions are read from the packages' metadata: nothing
is imported, so that a package can still be replaced.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import TeethSegError
from .i18n import _

REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
OLDEST_TORCH = "2.4"


@dataclass(frozen=True)
class Package:
    """A Python package that TeethSeg needs, the oldest version that will do, and the one that is installed."""

    name: str
    oldest: str
    installed: str | None

    @property
    def fits(self) -> bool:
        """Whether the installed version is new enough."""
        return self.installed is not None and _release(self.installed) >= _release(self.oldest)

    @property
    def requirement(self) -> str:
        """As pip reads it."""
        return f"{self.name}>={self.oldest}"

    def __str__(self) -> str:
        title = "PyTorch" if self.name == "torch" else self.name
        return f"{title} {self.oldest}+" if self.installed is None else f"{title} {self.oldest}+ ({self.installed})"


class Installer(Protocol):
    """The services that an installation needs of Slicer; `panel.install.SlicerInstaller` has them."""

    @property
    def testing(self) -> bool:
        """Slicer runs its tests: dialogs answer themselves and nothing may be installed."""

    @property
    def has_torch_extension(self) -> bool:
        """The PyTorch extension is installed and loaded."""

    def ask(self, question: str, details: str) -> bool:
        """Ask OK or Cancel."""

    def install(self, requirements: Sequence[str]) -> None:
        """Install by pip; raises whatever pip's caller raises."""

    def install_torch(self, requirement: str) -> None:
        """Let the PyTorch extension install PyTorch, e.g. `>=2.4`."""

    def install_torch_extension(self) -> bool:
        """Fetch the PyTorch extension; it loads with the next start of Slicer."""


def worker_python() -> str:
    """The interpreter that other processes run in: Slicer's inside Slicer, this one outside."""
    return shutil.which("PythonSlicer") or sys.executable


def needed_packages(requirements: Path = REQUIREMENTS) -> list[Package]:
    """Everything that must be there to segment, PyTorch last, with the versions installed now."""
    lines = [line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    wanted = [tuple(line.split(">=")) for line in lines if line] + [("torch", OLDEST_TORCH)]
    importlib.invalidate_caches()
    return [Package(name, oldest, _installed(name)) for name, oldest in wanted]


def missing_packages(requirements: Path = REQUIREMENTS) -> list[Package]:
    """Those of `needed_packages` that are absent or too old."""
    return [package for package in needed_packages(requirements) if not package.fits]


def describe(missing: Sequence[Package]) -> str:
    """Missing and outdated packages in one sentence; an installed version stands in brackets."""
    absent = ", ".join(str(package) for package in missing if package.installed is None)
    old = ", ".join(str(package) for package in missing if package.installed is not None)
    if absent and old:
        return _("Python packages are missing in Slicer: {absent}; too old are: {old}.").format(absent=absent, old=old)
    if old:
        return _("Python packages in Slicer are too old: {old}.").format(old=old)
    return _("Python packages are missing in Slicer: {absent}.").format(absent=absent)


def ensure_packages(slicer: Installer, requirements: Path = REQUIREMENTS) -> bool:
    """Make sure that everything is there: asks once, installs, and looks again.

    Returns
    -------
    bool
        False if the user would rather not.

    Raises
    ------
    TeethSegError
        One line with cause and way out: installing failed, something is still missing, Slicer must be restarted first,
        or Slicer runs its tests.
    """
    missing = missing_packages(requirements)
    if not missing:
        return True
    if slicer.testing:
        raise TeethSegError(describe(missing) + " " + _("They are not installed while Slicer runs its tests."))
    torch = next((package for package in missing if package.name == "torch"), None)
    if torch and torch.installed:
        # Slicer may have loaded it already, and Windows does not replace files that are in use.
        raise TeethSegError(
            _(
                "PyTorch {installed} is too old, TeethSeg needs {oldest} or newer: press Uninstall in the module "
                "PyTorch Utils, restart Slicer and come back."
            ).format(installed=torch.installed, oldest=torch.oldest)
        )
    if not slicer.ask(_question(missing, slicer.has_torch_extension), "\n".join(p.requirement for p in missing)):
        return False

    packages = [package.requirement for package in missing if package is not torch]
    try:
        if packages:
            slicer.install(packages)
        if torch and slicer.has_torch_extension:
            slicer.install_torch(f">={torch.oldest}")
        elif torch and not slicer.install_torch_extension():
            raise TeethSegError(
                _("Slicer could not fetch the extension PyTorch: install it in the Extensions Manager.")
            )
    except TeethSegError:
        raise
    except Exception as error:  # pip, Slicer and the PyTorch extension each have their own
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TeethSegError(
            _(
                "Packages could not be installed ({reason}): check the internet connection and the disk space, and try "
                "again; the Python console of Slicer has the details."
            ).format(reason=reason)
        ) from error
    if torch and not slicer.has_torch_extension:
        raise TeethSegError(
            _("The extension PyTorch is installed: save your scene, restart Slicer and press the button again.")
        )
    still = missing_packages(requirements)
    if still:
        raise TeethSegError(describe(still) + " " + _("Installing them did not help: restart Slicer and try again."))
    return True


def _question(missing: Sequence[Package], has_torch_extension: bool) -> str:
    parts = [describe(missing)]
    if any(package.name == "torch" for package in missing):
        parts.append(_("PyTorch is large: up to 3 GB to download, and some minutes."))
        if not has_torch_extension:
            parts.append(_("It comes through Slicer's extension PyTorch, which is installed first."))
    parts.append(_("Install them into Slicer now?"))
    return " ".join(parts)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version up to the first that is none: 2.13.0+cpu is (2, 13, 0)."""
    # `packaging` need not be there before TeethSeg's packages are installed.
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
