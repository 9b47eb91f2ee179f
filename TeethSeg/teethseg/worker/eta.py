"""Estimates the remaining time of a run from the elapsed time of its steps."""

from __future__ import annotations

# Time of each step in seconds, for both jaws on two CPU cores; that of "find arches" for one look. Only the proportions count;
# on other computers they hold within a factor of about two.
SHARES = {
    "find arches": 0.9,
    "outline teeth": 3.1,
    "part teeth": 0.4,
    "number teeth": 0.2,
    "write back": 0.3,
    "hand over": 0.2,
}
TILES = {"outline teeth": 0.7}  # part of a step's time until its last tile is done, where much is left to do afterwards


class RemainingTime:
    """Remaining seconds of a run whose steps are reported one after the other.

    The time of the first step gives the speed of the computer; within a step of several tiles, the finished tiles give a
    better estimate.
    """

    def __init__(self, shares: dict[str, float] | None = None):
        self._shares = SHARES if shares is None else shares
        self._step: str | None = None
        self._fraction = 0.0  # finished part of the current step
        self._begun = 0.0
        self._fraction_at = 0.0
        self._known: list[tuple[float, float]] = []  # share and seconds of the finished steps

    def update(self, step: str, done: int, total: int, now: float) -> None:
        """Report that `done` of `total` parts of a step are finished at the time `now` in seconds."""
        fraction = done / total * TILES.get(step, 1.0)
        if step != self._step:
            if self._step in self._shares:
                self._known.append((self._shares[self._step], now - self._begun))
            self._step, self._begun = step, now
        elif fraction <= self._fraction:  # stage 1 looks at a straightened head again, often in one tile
            self._begun = self._fraction_at
        self._fraction, self._fraction_at = fraction, now

    def seconds_left(self, now: float) -> float | None:
        """Remaining seconds at the time `now`; None before the first estimate is possible."""
        if self._step not in self._shares:
            return None
        share = self._shares[self._step]
        names = list(self._shares)
        later = sum(self._shares[name] for name in names[names.index(self._step) + 1 :])
        elapsed = now - self._begun
        if self._fraction > 0:
            pace = (self._fraction_at - self._begun) / self._fraction / share
        elif self._known:
            known = sum(seconds for _, seconds in self._known) / sum(share for share, _ in self._known)
            pace = max(known, elapsed / share)  # the step already takes longer than estimated
        else:
            return None
        return max(pace * share - elapsed, 0.0) + later * pace
