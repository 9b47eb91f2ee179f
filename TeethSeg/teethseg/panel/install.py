"""Installing packages, as the running Slicer does it; `application.packages` says which, and asks."""

from __future__ import annotations

from collections.abc import Sequence


class SlicerInstaller:
    """`Installer` in the running Slicer, 5.10 and later."""

    @property
    def testing(self) -> bool:
        """Slicer runs its tests."""
        import slicer

        return slicer.app.testingEnabled()

    @property
    def has_torch_extension(self) -> bool:
        """Whether the PyTorch extension is loaded."""
        import slicer

        return hasattr(slicer.modules, "pytorchutils")

    def ask(self, question: str, details: str) -> bool:
        """Ask OK or Cancel in a dialog."""
        import slicer

        return slicer.util.confirmOkCancelDisplay(question, "TeethSeg", detailedText=details)

    def install(self, requirements: Sequence[str]) -> None:
        """Install by Slicer's pip."""
        import slicer

        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # before Slicer 5.12
            slicer.util.pip_install(list(requirements))
        else:
            # Asked already, in one question for everything; it shows progress and offers a restart where one is due.
            pip_ensure(list(requirements), requester="TeethSeg", prompt_install=False)

    def install_torch(self, requirement: str) -> None:
        """Install PyTorch by its extension."""
        import PyTorchUtils

        PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=requirement)

    def install_torch_extension(self) -> bool:
        """Fetch the PyTorch extension from Slicer's server."""
        import slicer

        manager = slicer.app.extensionsManagerModel()
        manager.interactive = False
        restart = False  # a scene may be open
        return manager.installExtensionFromServer("PyTorch", restart)
