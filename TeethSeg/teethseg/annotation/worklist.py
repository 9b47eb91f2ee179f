"""The worklist of an annotator: state and working time of each tooth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal, get_args

from ..anatomy import PERMANENT, TEETH, tooth
from ..errors import InputError, ToothError, UsageError
from ..io.json_text import json_text, parse_json

ToothState = Literal["not_started", "in_progress", "completed", "flagged"]
STATES: tuple[ToothState, ...] = get_args(ToothState)
IDLE = 30.0  # seconds: a longer time between two actions of an annotator is a rest


def dental_order(numbers: Iterable[int]) -> list[int]:
    """As dentists walk: from the upper right third molar to the left, then back along the lower jaw (18-28, 38-48)."""

    def place(fdi: int) -> tuple[bool, int]:
        one = tooth(fdi)
        from_midline = 2 * one.position + one.deciduous
        return one.jaw == "lower", from_midline if one.quadrant in (2, 4) else -from_midline

    return sorted(set(numbers), key=place)


class Worklist:
    """State and seconds of work of every tooth to annotate.

    Working time is the time between two actions of the annotator (`touch`), without rests and without waiting (`skip`).

    Parameters
    ----------
    teeth : iterable of int
        FDI numbers; the 32 permanent teeth unless given.
    clock : callable
        Seconds that never run backwards; for tests.
    """

    def __init__(self, teeth: Iterable[int] = PERMANENT, clock: Callable[[], float] = time.monotonic):
        self._states: dict[int, ToothState] = dict.fromkeys(dental_order(teeth), "not_started")
        self._seconds: dict[int, float] = dict.fromkeys(self._states, 0.0)
        self._clock = clock
        self._current: int | None = None
        self._since = 0.0

    @property
    def teeth(self) -> tuple[int, ...]:
        """FDI numbers in dental order."""
        return tuple(self._states)

    @property
    def current(self) -> int | None:
        """The tooth being worked on; its time runs."""
        return self._current

    def state(self, fdi: int) -> ToothState:
        """State of a tooth. All methods that take a number raise UsageError if the tooth is not on the list."""
        self._check(fdi)
        return self._states[fdi]

    def set_state(self, fdi: int, state: ToothState) -> None:
        """Mark a tooth; the time of the current one stops when it is completed or flagged."""
        self._check(fdi)
        if state not in STATES:
            raise UsageError(f"'{state}' is no state of work: use {', '.join(STATES)}.")
        self._states[fdi] = state
        if fdi == self._current and state in ("completed", "flagged"):
            self.pause()

    def add(self, fdi: int) -> None:
        """Put a further tooth on the list, at its place; nothing happens if it is there."""
        if fdi not in TEETH:
            raise UsageError(f"{fdi} is no tooth's FDI number: use 11-48, or 51-85 for deciduous teeth.")
        self._states = {n: self._states.get(n, "not_started") for n in dental_order([*self._states, fdi])}
        self._seconds.setdefault(fdi, 0.0)

    def drop(self, fdi: int) -> None:
        """Take a tooth off the list, as one that is missing."""
        self._check(fdi)
        if fdi == self._current:
            self.pause()
        del self._states[fdi], self._seconds[fdi]

    def start(self, fdi: int) -> None:
        """Work on a tooth from now on: its time runs, and a tooth not started is in progress."""
        self._check(fdi)
        self.pause()
        self._current, self._since = fdi, self._clock()
        if self._states[fdi] == "not_started":
            self._states[fdi] = "in_progress"

    def touch(self) -> None:
        """Count the time since the last action as work, unless it was a rest."""
        if self._current is not None:
            self._seconds[self._current] = self.seconds(self._current)
            self._since = self._clock()

    def skip(self) -> None:
        """Do not count the time since the last action: the annotator waited for the computer."""
        self._since = self._clock()

    def pause(self) -> None:
        """Stop the time."""
        self.touch()
        self._current = None

    def next(self, after: int | None = None) -> int | None:
        """The next tooth not yet completed or flagged, behind `after` and round from the start; None when all are."""
        teeth = list(self._states)
        if after is not None:
            self._check(after)
            behind = teeth.index(after) + 1
            teeth = teeth[behind:] + teeth[:behind]
        return next((fdi for fdi in teeth if self._states[fdi] in ("not_started", "in_progress")), None)

    def seconds(self, fdi: int) -> float:
        """Time worked on a tooth so far."""
        self._check(fdi)
        running = self._clock() - self._since if fdi == self._current else 0.0
        return self._seconds[fdi] + min(running, IDLE)

    def unfinished(self) -> tuple[int, ...]:
        """Teeth that are not completed: not begun, in work or doubtful."""
        return tuple(fdi for fdi, state in self._states.items() if state != "completed")

    def take_states(self, other: Worklist) -> None:
        """Take teeth and states of another list, after an undo; times stay, and none runs."""
        self.pause()
        self._states = {fdi: other.state(fdi) for fdi in other.teeth}
        self._seconds = {fdi: max(self._seconds.get(fdi, 0.0), other.seconds(fdi)) for fdi in other.teeth}

    def counts(self) -> dict[ToothState, int]:
        """Number of teeth in each state."""
        states = list(self._states.values())
        return {state: states.count(state) for state in STATES}

    def to_json(self) -> str:
        """States and seconds as text, for `from_json`."""
        rows = {str(fdi): {"state": self._states[fdi], "seconds": round(self.seconds(fdi), 1)} for fdi in self._states}
        return json_text({"teeth": rows})

    @classmethod
    def from_json(cls, text: str, clock: Callable[[], float] = time.monotonic) -> Worklist:
        """A worklist from the text of `to_json`; no time runs.

        Raises
        ------
        InputError
            If the text is no worklist.
        """
        try:
            rows = {int(fdi): row for fdi, row in parse_json(text)["teeth"].items()}
            worklist = cls(rows, clock)
            for fdi, row in rows.items():
                worklist.set_state(fdi, row["state"])
                worklist._seconds[fdi] = float(row["seconds"])
        except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise InputError("This is no worklist of TeethSeg, or it is damaged: start a new one.") from error
        return worklist

    def _check(self, fdi: int) -> None:
        if fdi not in self._states:
            raise ToothError("Tooth {fdi} is not on the worklist: add it first.", fdi=fdi)
