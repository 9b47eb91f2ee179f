"""The correction tools: the input that each needs, the library's function behind it, and the tool in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from ..anatomy import PERMANENT
from ..correction.edit import Edit
from ..volume import Volume
from .case import Case
from .i18n import _
from .relabelling import free_numbers, neighbours
from .signals import Signal
from .texts import full_text, tooth_name

Index = tuple[int, int, int]  # (z, y, x)
Point = tuple[float, float, float]  # RAS, mm


class Points(Protocol):
    """Points that the user places in the views; each window has its own way to.

    Attributes
    ----------
    changed : Signal
        A point was placed, moved or removed, or placing has ended.
    """

    changed: Signal

    @property
    def placing(self) -> bool:
        """Whether clicks into views place points."""

    def start(self) -> None:
        """From now on clicks into views place points."""

    def stop(self) -> None:
        """Clicks move the views again; the points stay."""

    def clear(self) -> None:
        """Remove all points and stop placing."""

    def drop_last(self) -> None:
        """Remove the point that was placed last."""

    def points(self) -> list[Point]:
        """World positions (RAS mm) of the points, in their order."""


@dataclass(frozen=True)
class CorrectionRequest:
    """A change of one tooth: the tooth (None for a new one), the other tooth if one takes part, and the clicked voxels."""

    fdi: int | None
    other: int | None = None
    seeds: Sequence[Index] = ()


@dataclass(frozen=True)
class Tool:
    """One button.

    Attributes
    ----------
    label : str
        Text of the button.
    tip : str
        Its purpose.
    name : str
        Of the step, with {tooth} and {other}.
    act : callable
        (labels, scan, request) to `correction.edit.Edit`.
    hint : str
        The next action of the user, with {tooth}; empty for a tool that acts at once.
    other : {"", "neighbour", "free"}
        Whether another tooth takes part: one that is there, or a number that is free.
    clicks : (int, int)
        Fewest and most clicks; where both are the same, the last one starts the tool.
    inside : bool
        Whether clicks must lie in the tooth.
    new : bool
        Whether it makes the other tooth, and needs no chosen one.
    """

    label: str
    tip: str
    name: str
    act: Callable[[np.ndarray, Volume, CorrectionRequest], Edit]
    hint: str = ""
    other: Literal["", "neighbour", "free"] = ""
    clicks: tuple[int, int] = (0, 0)
    inside: bool = False
    new: bool = False


def _library():
    from .. import correction

    return correction


def _split(labels, scan, request):
    free = free_numbers(request.fdi, np.unique(labels).tolist(), request.other)
    numbers = [request.fdi, *free][: len(request.seeds)]
    seeds = [[seed] for seed in request.seeds]
    return _library().split_tooth(labels, scan.array, scan.spacing_zyx, request.fdi, seeds, numbers)


def _give(labels, scan, request):
    seed = request.seeds[0]
    return _library().give_piece(labels, scan.array, scan.spacing_zyx, request.fdi, request.other, seed)


def _grow(labels, scan, request):
    seeds = list(request.seeds)
    return _library().grow_tooth(labels, scan.array, scan.spacing_zyx, request.other, seeds, direction=scan.direction)


def _regrow(labels, scan, request):
    return _library().regrow_tooth(
        labels, scan.array, scan.spacing_zyx, request.fdi, list(request.seeds), scan.direction
    )


def _cut(labels, scan, request):
    return _library().cut_contact(labels, scan.array, scan.spacing_zyx, request.fdi, request.other)


def tools() -> dict[str, Tool]:
    """All tools, by the first part of their button's name."""
    return {
        "split": Tool(
            _("Split…"),
            _("Two or more teeth in one piece: click once into each of them."),
            _("split {tooth}"),
            _split,
            _(
                "Click once into each of the teeth in {tooth}. The first one stays {tooth}, the next becomes the other tooth."
            ),
            "free",
            (2, 6),
            inside=True,
        ),
        "merge": Tool(
            _("Merge with…"),
            _("A piece that was taken for a tooth of its own becomes part of this tooth."),
            _("merge {other} into {tooth}"),
            lambda labels, scan, request: _library().merge_teeth(labels, request.fdi, request.other),
            _("Which piece belongs to {tooth}?"),
            "neighbour",
        ),
        "give": Tool(
            _("Give a piece…"),
            _("Click on a piece of this tooth that belongs to another one."),
            _("piece of {tooth} to {other}"),
            _give,
            _("Click on the piece of {tooth} that belongs to the other tooth."),
            "neighbour",
            (1, 1),
            inside=True,
        ),
        "regrow": Tool(
            _("Regrow…"),
            _("Find the outline of this tooth anew from one to three clicks inside it."),
            _("grow {tooth} again"),
            _regrow,
            _("Click one to three points inside {tooth}, the first in its crown, the others in its roots."),
            "",
            (1, 3),
        ),
        "cut": Tool(
            _("Cut contact…"),
            _("Draw the border to a touching tooth anew, where the two meet."),
            _("cut {tooth} from {other}"),
            _cut,
            _("Cut {tooth} apart from:"),
            "neighbour",
        ),
        "add": Tool(
            _("Add tooth…"),
            _("A tooth that was not found grows from a few clicks: the first in its crown, then one in each root."),
            _("add {other}"),
            _grow,
            _("Click into the crown of the tooth, then into each root. It gets the number below."),
            "free",
            (1, 12),
            new=True,
        ),
        "pulp": Tool(
            _("Fill pulp"),
            _("Fill the hollow inside this tooth."),
            _("fill pulp of {tooth}"),
            lambda labels, scan, request: _library().fill_pulp(labels, scan.array, scan.spacing_zyx, request.fdi),
        ),
        "smooth": Tool(
            _("Smooth"),
            _("Take off steps and spikes; the volume stays."),
            _("smooth {tooth}"),
            lambda labels, scan, request: _library().smooth_tooth(labels, scan.spacing_zyx, request.fdi),
        ),
        "islands": Tool(
            _("Drop loose parts"),
            _("Keep only the largest piece of this tooth."),
            _("islands of {tooth}"),
            lambda labels, scan, request: _library().remove_islands(labels, request.fdi),
        ),
        "remove": Tool(
            _("Not a tooth"),
            _("Take this tooth out of the result."),
            _("{tooth} no tooth"),
            lambda labels, scan, request: _library().remove_tooth(labels, request.fdi),
        ),
    }


class CorrectionTools:
    """The tool in use: the input that it asks for and has been given.

    Attributes
    ----------
    active : str
        Key of the tool in use; empty for none.
    changed : Signal
        Another tool is in use, or its input has changed.
    """

    def __init__(self, case: Case, points: Points):
        self._case, self._points = case, points
        self.active = ""
        self.changed = Signal()
        self._tooth: int | None = None  # of the tool in use
        self.other: int | None = None
        points.changed.connect(self._on_points)
        case.selected_changed.connect(self._on_selected)
        case.changed.connect(self._on_case)
        case.leaving.connect(self.dismiss)

    @property
    def tool(self) -> Tool | None:
        """The one in use."""
        return tools()[self.active] if self.active else None

    @property
    def ready(self) -> bool:
        """Whether there is a tooth for the tools."""
        return self._case.editable and self._case.selected in self._case.present()

    @property
    def complete(self) -> bool:
        """Whether the tool in use has all that it needs."""
        tool = self.tool
        return (
            tool is not None
            and len(self._points.points()) >= tool.clicks[0]
            and (not tool.other or self.other is not None)
        )

    @property
    def hint(self) -> str:
        """The next action that the tool in use asks of the user."""
        tool = self.tool
        if tool is None:
            return ""
        text = tool.hint.format(tooth=self._name(self._tooth))
        least, most = tool.clicks
        count = len(self._points.points())
        if count < least:
            text += " " + _("({count} of {least} clicks)").format(count=count, least=least)
        elif most:
            text += " " + (_("(1 click)") if count == 1 else _("({count} clicks)").format(count=count))
        return text

    def tooth_text(self) -> str:
        """The chosen tooth, or why there is none; with tags for bold text."""
        case = self._case
        if case.selected is not None and self.ready:
            name, words = case.number(case.selected), tooth_name(case.selected)
            return _("<b>{name}</b> {words}").format(name=name, words=words)
        return _("There are no teeth yet.") if case.teeth_node is None else _("Choose a tooth in the chart above.")

    def use(self, key: str) -> None:
        """Use a tool: at once, or as soon as it has its input."""
        tool = tools()[key]
        self.dismiss()
        if not tool.new and not self.ready:
            self._case.message.emit(_("No tooth is chosen: choose one in the chart first."), "warning", "")
            return
        self._tooth = None if tool.new else self._case.selected
        if not tool.hint:
            self._do(tool, CorrectionRequest(self._tooth))
            return
        self.active = key
        numbers = self._numbers(tool)
        self.other = numbers[0] if numbers else None
        if tool.clicks[1]:
            self._points.start()
        self.changed.emit()

    def others(self) -> list[tuple[int, str]]:
        """The teeth or numbers to choose the other one from, with their names."""
        tool = self.tool
        numbers = self._numbers(tool) if tool is not None else []
        return [(number, full_text(number, self._case.notation)) for number in numbers]

    def choose_other(self, number: int) -> None:
        """Choose the other tooth, or the number of a new one."""
        self.other = number
        self.changed.emit()

    def apply(self) -> None:
        """Use the tool with the input that it has been given; it stays in use if it cannot."""
        tool = self.tool
        if tool is None or not self.complete:
            return
        seeds = [self._case.index_of(point) for point in self._points.points()]
        self._do(tool, CorrectionRequest(self._tooth, self.other if tool.other else None, seeds))

    def dismiss(self) -> None:
        """Stop using the tool."""
        self._points.clear()
        if self.active:
            self.active, self._tooth, self.other = "", None, None
            self.changed.emit()

    def _numbers(self, tool: Tool) -> list[int]:
        present = self._case.present()
        if not tool.other:
            return []
        if tool.new or self._tooth is None:
            wanted = self._case.selected
            near = free_numbers(wanted, present) if wanted is not None else []
            free = [number for number in PERMANENT if number not in present and number not in near]
            first = [wanted] if wanted is not None and wanted not in present else []
            return list(dict.fromkeys([*first, *near, *free]))
        return (neighbours if tool.other == "neighbour" else free_numbers)(self._tooth, present)

    def _do(self, tool: Tool, request: CorrectionRequest) -> None:
        names = {"tooth": self._name(request.fdi), "other": self._name(request.other)}
        self._case.edit(
            lambda labels, scan: tool.act(labels, scan, request),
            tool.name.format(**names),
            self.dismiss,
            self._again,
            select=request.other if tool.new else None,
        )

    def _again(self) -> None:
        """The tool stays in use; where its clicks were wrong, it asks for new ones."""
        if self.tool is not None and self.tool.clicks[1]:
            self._points.clear()
            self._points.start()
            self.changed.emit()

    def _name(self, fdi: int | None) -> str:
        return "" if fdi is None else self._case.number(fdi)

    def _on_points(self) -> None:
        tool = self.tool
        if tool is None:
            return
        points = self._points.points()
        if len(points) > 1 and self._case.index_of(points[-1]) == self._case.index_of(points[-2]):
            self._points.drop_last()  # a double click is one
            return
        if tool.inside and points and self._case.tooth_at(points[-1]) != self._tooth:
            self._points.drop_last()
            text = _("That click is not in {tooth}: click into it.").format(tooth=self._name(self._tooth))
            self._case.message.emit(text, "warning", "")
            return
        least, most = tool.clicks
        if len(points) >= most:
            self._points.stop()
        self.changed.emit()
        if least == most == len(points):
            self.apply()

    def _on_case(self) -> None:
        """The teeth have changed under a tool, as by undo: it ends if the other tooth is gone, or the new number taken."""
        tool = self.tool
        if tool is None or self.other is None:
            return
        if self.other in self._numbers(tool):
            self.changed.emit()  # others may have come or gone
        else:
            self.dismiss()

    def _on_selected(self) -> None:
        """A tool belongs to the tooth that it was chosen for."""
        if self.tool is not None and not self.tool.new and self._tooth != self._case.selected:
            self.dismiss()
