"""The remaining time of a run, from the time that it has taken so far."""

from __future__ import annotations

# Time of each step in seconds, for both jaws on two CPU cores (docs/figures.md, time and memory).
# Only their proportions count; they are right to a factor of two or so on other computers.
SHARES = {"find arches": 0.34, "outline teeth": 2.4, "part teeth": 1.6, "number teeth": 0.2, "write back": 0.15}


class Forecast:
    """Seconds left of a run whose steps are told one after the other.

    The first step's time says how fast the computer is; within a step of several tiles, those done say it better.
    """

    def __init__(self, shares: dict[str, float] | None = None):
        self._shares = SHARES if shares is None else shares
        self._step: str | None = None
        self._fraction = 0.0  # of the step
        self._begun = 0.0
        self._fraction_at = 0.0
        self._known: list[tuple[float, float]] = []  # share and seconds of the steps done

    def tell(self, step: str, done: int, total: int, now: float) -> None:
        """`done` of `total` parts of a step are done at the time `now` in seconds."""
        if step != self._step:
            if self._step in self._shares:
                self._known.append((self._shares[self._step], now - self._begun))
            self._step, self._begun = step, now
        self._fraction, self._fraction_at = done / total, now

    def seconds_left(self, now: float) -> float | None:
        """At the time `now`; None as long as nothing is known."""
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
            pace = max(known, elapsed / share)  # slower than it looked, if the step should be over by now
        else:
            return None
        return max(pace * share - elapsed, 0.0) + later * pace
