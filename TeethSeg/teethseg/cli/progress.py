"""Progress of a run on standard error; standard output belongs to results."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class _Console(Console):
    """A console that goes quiet when its pipe is closed, where rich would end the program."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Steps:
    """Progress of the steps of a run: on a terminal a bar for each, with remaining or elapsed time; elsewhere a line.

    Parameters
    ----------
    stopped : str
        The line that an interrupt is answered with, by commands that keep what they have done.

    Attributes
    ----------
    seconds : dict of str to float
        Wall time of the steps run under `timed`.
    """

    def __init__(self, stopped: str = ""):
        self._stopped = stopped
        self.seconds: dict[str, float] = {}
        self._console = _Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
        )
        self._step: str | None = None
        self._bar: TaskID | None = None
        self._start = time.monotonic()

    def __enter__(self) -> Steps:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if self._console.is_terminal:
            with suppress(OSError, ValueError):
                self._bars.stop()
        if self._stopped and kind in (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM ...
            self.tell(f"teethseg: {self._stopped}")

    def show(self, step: str, done: int, total: int) -> None:
        """Report that `done` of `total` parts of a step are finished; a new name begins a new step."""
        if step != self._step:
            self._complete()
            self._step, self._bar = step, self._bars.add_task(step.capitalize(), total=total)
            if not self._console.is_terminal:
                self.tell(f"{time.monotonic() - self._start:6.1f} s  {step}")
        if self._bar is not None:
            self._bars.update(self._bar, completed=done, total=total)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """A step that is done when the block ends."""
        self.show(step, 0, 1)
        start = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - start
        self._complete()

    def tell(self, line: str) -> None:
        """Write a line, above the bars."""
        # A closed terminal or pipe, or a full disk behind a log, must not end the run.
        with suppress(OSError, ValueError):
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def warn(self, warnings: Iterable[str]) -> None:
        """Print each warning on its own line."""
        for warning in warnings:
            self.tell(f"Warning: {warning}")

    def _complete(self) -> None:
        if self._bar is not None:
            total = self._bars.tasks[self._bar].total
            self._bars.update(self._bar, completed=total)
