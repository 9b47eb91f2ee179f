"""Findings about a dentition as a whole: points that a clinician should check first, each with the teeth it concerns.

The findings depend on the list of teeth alone, so they apply to a corrected result too. A finding may come with
answers. A chosen answer changes all dependent numbers at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

from ..anatomy import Jaw, Side, arch, tooth
from .arch_template import WIDTHS
from .dentition import MAYBE_EXTRA, TOUCHES_BORDER, UNCERTAIN_NUMBER, UNERUPTED, FoundTooth
from .model_card import shipped

# Kinds of findings, worst first.
LOOKS_MIXED = "looks-mixed"  # by networks for permanent teeth: all else waits for a new segmentation
SHIFTED = "shifted-numbers"  # several neighbours may all be off by one place
EXTRACTED = "closed-gaps"  # teeth are missing and their gaps have closed: the numbers behind depend on which teeth
NOT_FOUND = "teeth-not-found"  # room for several teeth, without any found there
JAW_NOT_FOUND = "jaw-not-found"
EXTRA = "extra-teeth"
MIXED = "mixed-dentition"
CUT = "jaw-cut"
KINDS = (LOOKS_MIXED, SHIFTED, EXTRACTED, JAW_NOT_FOUND, NOT_FOUND, EXTRA, MIXED, CUT)

_CLOSED = 0.5  # of the missing teeth's widths: with less room, the gap counts as closed
_MANY = 2  # least number of neighbours not found for a finding
_CUT_TEETH = 3  # least number of teeth at the border for a cut jaw
_WHOLE_JAW = 6  # least number of teeth in one jaw for a finding about an empty other jaw
_WHOLE_SIDE = 4  # the same for one side of both; a small field of view shows one side alone
_LAST_EXPECTED = 7  # position; third molars are missing in many patients
MANY_STACKED = 3  # least number of stacked pairs in a mixed dentition: an adult may have two impacted teeth over others
_MORE_THAN_PLACES = 3  # least number of possible extra teeth in a child's dentition


@dataclass(frozen=True)
class Answer:
    """A user's possible answer to a finding.

    Attributes
    ----------
    text : str
        One phrase for the user.
    renumbering : dict of int to int
        New FDI number by old one, of all teeth that change; to be applied at once.
    missing : tuple of int
        FDI numbers that are then marked as missing.
    again : {'', 'mixed'}
        Networks with which the scan is to be segmented again; then nothing else changes.
    """

    text: str
    renumbering: dict[int, int]
    missing: tuple[int, ...] = ()
    again: Literal["", "mixed"] = ""


@dataclass(frozen=True)
class Finding:
    """One thing to check.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    teeth : tuple of int
        FDI numbers of the teeth that it concerns, present or missing.
    text : str
        One sentence, with FDI numbers.
    answers : tuple of Answer
    missing : tuple of int
        Those of `teeth` that are missing, where a gap has closed.
    beside : tuple of int
        The teeth on either side of those that were not found, or the one before them.
    """

    kind: str
    teeth: tuple[int, ...]
    text: str
    answers: tuple[Answer, ...] = ()
    missing: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()


def find(teeth: Sequence[FoundTooth], missing: Collection[int] = ()) -> tuple[Finding, ...]:
    """All findings, worst first.

    Parameters
    ----------
    teeth : sequence of FoundTooth
        With the flags from `tooth_properties.describe`, or the remaining ones of them.
    missing : collection of int
        FDI numbers that the user has confirmed as missing: no finding asks about them again.

    Returns
    -------
    tuple of Finding
    """
    mouth = _Mouth(tuple(teeth), frozenset(missing))
    gaps = _closed_gaps(mouth)
    found = [
        *_looks_mixed(mouth),
        *_extracted(mouth, gaps),
        *_jaw_not_found(mouth),
        *_not_found(mouth),
        *_extra(mouth),
        *_mixed(mouth),
        *_cut(mouth),
    ]
    renumbered = {tooth for finding in found for answer in finding.answers for tooth in answer.renumbering}
    found += [finding for finding in _shifted(mouth) if not renumbered & set(finding.teeth)]
    return tuple(sorted(found, key=lambda finding: KINDS.index(finding.kind)))


def stacked_pairs(teeth: Sequence[FoundTooth]) -> list[tuple[int, int]]:
    """Teeth above one another, if there is no deciduous tooth or germ: a result of networks for permanent teeth."""
    from .tooth_properties import stacked  # as above

    known = any(UNERUPTED in one.flags or is_deciduous(one) for one in teeth)
    return [] if known else stacked({one.fdi: one.centroid_lps_mm for one in teeth})


def is_deciduous(one: FoundTooth) -> bool:
    """Whether a tooth is deciduous, and not an extra tooth that got such a number for want of another."""
    return one.tooth.deciduous and MAYBE_EXTRA not in one.flags


def if_there(present: Collection[int], fdi: int) -> dict[int, int]:
    """New numbers of a quadrant if no tooth is missing here: those behind move forward by one, up to the next gap.

    >>> if_there({13, 14, 16, 17}, 15)
    {16: 15, 17: 16}
    """
    run: dict[int, int] = {}
    while fdi + 1 in present and (run or fdi not in present):
        run[fdi + 1] = fdi
        fdi += 1
    return run


@dataclass(frozen=True)
class _Mouth:
    teeth: tuple[FoundTooth, ...]
    missing: frozenset[int]

    @cached_property
    def present(self) -> frozenset[int]:
        return frozenset(one.fdi for one in self.teeth)

    @cached_property
    def rooms(self) -> list[tuple[int, int, float]]:
        from .tooth_properties import room_between  # needs scipy, which Slicer may not have when the panel opens

        return room_between({one.fdi: one.centroid_lps_mm for one in self.teeth})

    def of(self, jaw: Jaw) -> list[FoundTooth]:
        return [one for one in self.teeth if one.tooth.jaw == jaw]

    def flagged(self, flag: str) -> list[int]:
        return sorted(one.fdi for one in self.teeth if flag in one.flags)

    def empty(self, right: int, left: int) -> list[int]:
        """Places between two neighbours that are not confirmed as missing and hold no deciduous tooth."""
        row = arch(tooth(right).jaw)
        taken = self.missing | {one.fdi - 40 for one in self.teeth if is_deciduous(one)}
        return [fdi for fdi in row[row.index(right) + 1 : row.index(left)] if fdi not in taken]

    def behind(self, fdi: int) -> list[int]:
        """Teeth behind a place in its quadrant."""
        return sorted(n for n in self.present if n // 10 == fdi // 10 and n > fdi)


def _width(fdi: int) -> float:
    return WIDTHS[tooth(fdi).jaw][fdi % 10 - 1]


def _closed_gaps(mouth: _Mouth) -> list[int]:
    """Missing numbers: one for each gap of one tooth that is more than half closed and has teeth behind it."""
    closed = []
    for right, left, free in mouth.rooms:
        empty = mouth.empty(right, left)
        if len(empty) == 1 and free < _CLOSED * _width(empty[0]) and mouth.behind(empty[0]):
            closed += empty
    return closed


def _extracted(mouth: _Mouth, gaps: list[int]) -> list[Finding]:
    """One finding for all premolars, as orthodontists extract one in every quadrant; one for each other tooth."""
    premolars = [fdi for fdi in gaps if fdi % 10 in (4, 5)]
    found = [_one_gap(mouth, fdi) for fdi in gaps if fdi not in premolars or len(premolars) == 1]
    if len(premolars) > 1:
        where = "in every quadrant" if len(premolars) == 4 else f"in {len(premolars)} quadrants"
        depend = sorted(
            {n for fdi in premolars for n in (*mouth.behind(fdi), _other_premolar(fdi)) if n in mouth.present}
        )
        answers = [
            _all_of(
                [_extraction(mouth, fdi, fdi // 10 * 10 + position) for fdi in premolars],
                f"The {name} premolars are missing",
            )
            for position, name in ((4, "first"), (5, "second"))
        ]
        answers.append(_all_of([_nothing_missing(mouth, fdi) for fdi in premolars], "No tooth is missing there"))
        answers += [answer for fdi in premolars for answer in _answers(mouth, fdi)]
        text = f"A premolar is missing {where}, and the gaps have closed: the numbers {numbers_text(depend)} depend on which."
        found.append(
            Finding(EXTRACTED, (*premolars, *depend), text, tuple(filter(None, answers)), missing=tuple(premolars))
        )
    return found


def _one_gap(mouth: _Mouth, fdi: int) -> Finding:
    depend = mouth.behind(fdi)
    if fdi % 10 == 5 and fdi - 1 in mouth.present:
        depend = [fdi - 1, *depend]
    verb = "depends" if len(depend) == 1 else "depend"
    text = f"{fdi} is missing, and its gap has closed: {numbers_text(depend)} {verb} on that."
    return Finding(EXTRACTED, (fdi, *depend), text, tuple(filter(None, _answers(mouth, fdi))), missing=(fdi,))


def _answers(mouth: _Mouth, fdi: int) -> list[Answer | None]:
    """Possible answers to a closed gap."""
    other = _other_premolar(fdi)
    gone = [fdi, *([other] if other in mouth.present else [])]
    return [*(_extraction(mouth, fdi, one) for one in gone), _nothing_missing(mouth, fdi)]


def _other_premolar(fdi: int) -> int:
    """The other premolar of the same quadrant; 0 if `fdi` is no premolar."""
    return fdi // 10 * 10 + 9 - fdi % 10 if fdi % 10 in (4, 5) else 0


def _extraction(mouth: _Mouth, gap: int, fdi: int) -> Answer:
    """That `fdi`, the missing number or the other premolar, is missing: the tooth called so is then the missing one."""
    return Answer(f"{fdi} is missing", {fdi: gap} if fdi in mouth.present else {}, (fdi,))


def _nothing_missing(mouth: _Mouth, fdi: int) -> Answer | None:
    numbers = if_there(mouth.present, fdi)
    return Answer(f"{fdi} is there: {numbers_text(numbers)} one number lower", numbers) if numbers else None


def _all_of(answers: Iterable[Answer | None], text: str) -> Answer | None:
    """Several answers combined; None unless each is possible."""
    possible: list[Answer] = []
    for answer in answers:
        if answer is None:
            return None
        possible.append(answer)
    numbers = {old: new for answer in possible for old, new in answer.renumbering.items()}
    return Answer(text, numbers, tuple(fdi for answer in possible for fdi in answer.missing))


def _jaw_not_found(mouth: _Mouth) -> list[Finding]:
    found = []
    pairs: tuple[tuple[Jaw, Jaw], ...] = (("upper", "lower"), ("lower", "upper"))
    for jaw, other in pairs:
        gone = tuple(fdi for fdi in arch(jaw) if fdi % 10 <= _LAST_EXPECTED)
        if not mouth.of(jaw) and len(mouth.of(other)) >= _WHOLE_JAW and not mouth.missing.issuperset(gone):
            text = f"No teeth were found in the {jaw} jaw; is that so?"
            found.append(Finding(JAW_NOT_FOUND, gone, text, (Answer("It has none", {}, gone),)))
    return found


def _not_found(mouth: _Mouth) -> list[Finding]:
    """Findings of room for several teeth: between others, behind the last one of a side, or a whole side."""
    found = _sides_not_found(mouth)
    for right, left, free in mouth.rooms:
        empty = mouth.empty(right, left)
        if len(empty) >= _MANY and free >= _CLOSED * sum(map(_width, empty)):
            found.append(_not_found_between(empty, f"between {right} and {left}", (right, left)))
    for jaw in ("upper", "lower"):
        for side in ("right", "left"):
            last = max(
                (one for one in mouth.of(jaw) if one.tooth.side == side),
                key=lambda one: one.tooth.position,
                default=None,
            )
            if last is None or last.touches_border or last.tooth.deciduous:
                continue
            rest = range(last.fdi + 1, last.fdi // 10 * 10 + _LAST_EXPECTED + 1)
            if len(gone := [fdi for fdi in rest if fdi not in mouth.missing]) >= _MANY:
                found.append(_not_found_between(gone, f"behind {last.fdi}", (last.fdi,)))
    return sorted(found, key=lambda finding: -len(finding.teeth))


def _sides_not_found(mouth: _Mouth) -> list[Finding]:
    found = []
    jaws: tuple[Jaw, Jaw] = ("upper", "lower")
    for jaw, side in product(jaws, ("right", "left")):
        here = mouth.of(jaw)
        opposite = [one for one in mouth.teeth if one.tooth.jaw != jaw and one.tooth.side == side]
        if not here or any(one.tooth.side == side for one in here) or len(opposite) < _WHOLE_SIDE:
            continue
        first = min(here, key=lambda one: one.tooth.position)
        if first.touches_border or first.tooth.deciduous:
            continue
        row = arch(jaw)
        at = row.index(first.fdi)
        rest = row[:at] if side == "right" else row[at + 1 :]
        gone = [fdi for fdi in rest if fdi % 10 <= _LAST_EXPECTED and fdi not in mouth.missing]
        if len(gone) >= _MANY:
            found.append(_not_found_between(gone, f"between {first.fdi} and the {side} end of the arch", (first.fdi,)))
    return found


def _not_found_between(gone: list[int], where: str, beside: tuple[int, ...]) -> Finding:
    text = f"{_part_of(gone).capitalize()}: no teeth were found {where}; is that so?"
    answer = Answer(f"{numbers_text(gone)} are missing", {}, tuple(gone))
    return Finding(NOT_FOUND, tuple(gone), text, (answer,), beside=beside)


def _part_of(teeth: Sequence[int]) -> str:
    """'lower front', 'upper right', 'lower arch'."""
    jaw, sides = tooth(teeth[0]).jaw, {tooth(fdi).side for fdi in teeth}
    if all(fdi % 10 <= 3 for fdi in teeth):
        return f"{jaw} front"
    side: Side | None = sides.pop() if len(sides) == 1 else None
    return f"{jaw} {side}" if side else f"{jaw} arch"


def _shifted(mouth: _Mouth) -> list[Finding]:
    """Neighbours with uncertain numbers, all off by one place in the same direction."""
    unsure = {one.fdi: one.second_fdi for one in mouth.teeth if UNCERTAIN_NUMBER in one.flags and one.second_fdi}
    found = []
    for step in (1, -1):
        chosen = sorted(fdi for fdi, second in unsure.items() if second == fdi + step and second // 10 == fdi // 10)
        for quadrant in sorted({fdi // 10 for fdi in chosen}):
            run = [fdi for fdi in chosen if fdi // 10 == quadrant]
            numbers = {fdi: fdi + step for fdi in run}
            if len(run) < _MANY or set(numbers.values()) & (mouth.missing | mouth.present - set(run)):
                continue
            text = f"{numbers_text(run)} may all be one place {'further back' if step > 0 else 'further forward'}."
            answers = (
                Answer(f"They are {numbers_text(numbers.values())}", numbers),
                Answer(f"They are {numbers_text(run)}", {}),
            )
            found.append(Finding(SHIFTED, tuple(run), text, answers))
    return found


def _extra(mouth: _Mouth) -> list[Finding]:
    extra = mouth.flagged(MAYBE_EXTRA)
    if not extra:
        return []
    one = len(extra) == 1
    text = f"{numbers_text(extra)} may be {'an extra tooth' if one else 'extra teeth'}: no place of the arch was left."
    if len(extra) >= _MORE_THAN_PLACES:
        text = f"There are more teeth than places ({numbers_text(extra)}): extra teeth, or a child's mixed dentition?"
    return [Finding(EXTRA, tuple(extra), text)]


def _looks_mixed(mouth: _Mouth) -> list[Finding]:
    pairs = stacked_pairs(mouth.teeth)
    if len(pairs) < MANY_STACKED:
        return []
    teeth = tuple(sorted({fdi for pair in pairs for fdi in pair}))
    text = (
        f"This looks like a child's mixed dentition ({len(pairs)} teeth lie above others), which networks for permanent "
        "teeth hardly know: "
    )
    if shipped("mixed") is None:
        return [Finding(LOOKS_MIXED, teeth, f"{text}check all numbers; networks for it are not installed.")]
    answer = Answer("Segment again with the networks for mixed dentitions", {}, again="mixed")
    return [Finding(LOOKS_MIXED, teeth, f"{text}segment it again with those for mixed dentitions.", (answer,))]


def _mixed(mouth: _Mouth) -> list[Finding]:
    deciduous = sorted(one.fdi for one in mouth.teeth if is_deciduous(one))
    germs = mouth.flagged(UNERUPTED)
    if not deciduous:
        return []
    text = (
        f"Mixed dentition: deciduous teeth {numbers_text(deciduous)}"
        if len(deciduous) < len(mouth.teeth)
        else "Deciduous dentition"
    )
    text += f"; not yet erupted: {numbers_text(germs)}." if germs else "."
    return [Finding(MIXED, (*deciduous, *germs), text)]


def _cut(mouth: _Mouth) -> list[Finding]:
    found = []
    for jaw in ("upper", "lower"):
        cut = sorted(one.fdi for one in mouth.of(jaw) if TOUCHES_BORDER in one.flags)
        if len(cut) >= _CUT_TEETH:
            text = (
                f"The scan ends within the {jaw} teeth {numbers_text(cut)}: what lies beyond is not found or measured."
            )
            found.append(Finding(CUT, tuple(cut), text))
    return found


def numbers_text(numbers: Iterable[int]) -> str:
    """FDI numbers in words, with runs joined: '14, 16-18 and 26-28'."""
    runs: list[list[int]] = []
    for fdi in sorted(numbers):
        if runs and fdi == runs[-1][-1] + 1:
            runs[-1].append(fdi)
        else:
            runs.append([fdi])
    parts = [part for run in runs for part in ([f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run))]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""
