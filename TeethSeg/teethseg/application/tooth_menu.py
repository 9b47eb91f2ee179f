"""The menu of a place in the chart, for both windows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from .case import Case
from .i18n import _
from .relabelling import Relabelling
from .texts import full_text


@dataclass(frozen=True)
class Entry:
    """One entry of a menu: it does something, or holds other entries.

    Attributes
    ----------
    key : str
        Tells entries apart, e.g. 'swap-17'.
    """

    key: str
    text: str
    act: Callable[[], None] | None = None
    entries: tuple[Entry, ...] = ()
    enabled: bool = True


def tooth_menu(case: Case, relabelling: Relabelling, fdi: int) -> list[Entry]:
    """The menu of a place of the chart."""
    if fdi not in case.present():
        missing = fdi in case.missing()
        text = _("Not known whether it is missing") if missing else _("The patient does not have this tooth")
        act = functools.partial(case.set_missing, fdi, not missing)
        return [Entry("missing", text, act, enabled=case.teeth_node is not None)]

    def to(numbers: list[int], kind: str) -> tuple[Entry, ...]:
        return tuple(
            Entry(
                f"{kind}-{number}",
                full_text(number, case.notation),
                functools.partial(relabelling.renumber, fdi, number),
            )
            for number in numbers
        )

    name = case.number(fdi)
    place = case.place(fdi)
    done = place is not None and place.done
    free, partners = relabelling.numbers(fdi), relabelling.partners(fdi)
    return [
        Entry("numbers", _("Another number"), entries=to(free, "to"), enabled=bool(free)),
        Entry("partners", _("Swap with"), entries=to(partners, "swap"), enabled=bool(partners)),
        Entry("back", _("This and all behind it one back"), functools.partial(relabelling.shift, fdi, 1)),
        Entry("forward", _("This and all behind it one forward"), functools.partial(relabelling.shift, fdi, -1)),
        Entry(
            "gap",
            _("{tooth} is missing: this is the next tooth").format(tooth=name),
            functools.partial(relabelling.missing_here, fdi),
            enabled=fdi % 10 < (5 if fdi > 50 else 8),
        ),
        Entry(
            "done",
            _("Not done yet") if done else _("Looked at and done"),
            functools.partial(case.set_state, fdi, "in_progress" if done else "completed"),
        ),
        Entry("remove", _("Not a tooth"), functools.partial(relabelling.remove, fdi)),
    ]
