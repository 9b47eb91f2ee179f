"""Identifies the structure of a segment from its name, its terminology code, its id and its label value.

Names and codes take precedence over values, because programs number their labels freely. Values are taken for FDI numbers only
if every value is one, and no name or code contradicts them. Segments that remain unclear are reported, never guessed.

References
----------
The label values of other programs: TotalSegmentator's task 'teeth' (`map_to_binary.py`; the same as the 42 labels that
nnU-Net models of ToothFairy2 are trained with), ToothFairy2 and 3 (`dataset.json`), BatchDentalSeg's model UniversalLab and
DentalSegmentator (`SegmentationWidget.py`). Universal numbering: American Dental Association.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ..anatomy import PERMANENT, TEETH
from ..structures import PULP_OFFSET, STRUCTURES, Code, Structure, structure
from .segment_names import Candidates, bare_number, structures_of_name

LabelScheme = Literal["fdi", "universal", "toothfairy", "totalsegmentator", "batchdentalseg", "dentalsegmentator"]
LABEL_SCHEMES: tuple[LabelScheme, ...] = get_args(LabelScheme)
OPTION = "--labels-are"


def _values() -> dict[LabelScheme, dict[int, int]]:
    """For every scheme: label value of the structure (see `structures`), by the scheme's value."""
    universal = {int(TEETH[fdi].universal): fdi for fdi in PERMANENT}
    letters = {33 + "ABCDEFGHIJKLMNOPQRST".index(one.universal): fdi for fdi, one in TEETH.items() if one.deciduous}
    no_teeth = {value: 200 + value for value in range(1, 11)}  # jawbones, canals, sinuses, pharynx, restorations
    canals = (213, 214, 215)
    return {
        "fdi": {value: value for value in STRUCTURES},
        "universal": universal,
        "toothfairy": no_teeth
        | {fdi: fdi for fdi in PERMANENT}
        | dict(zip((103, 104, 105), canals, strict=True))
        | {PULP_OFFSET + fdi: PULP_OFFSET + fdi for fdi in PERMANENT},
        "totalsegmentator": no_teeth
        | dict(enumerate((*PERMANENT, *canals, *(PULP_OFFSET + fdi for fdi in PERMANENT)), start=11)),
        "batchdentalseg": universal | letters | {53: 201, 54: 202, 55: 212},
        "dentalsegmentator": {1: 211, 2: 201, 3: 221, 4: 222, 5: 212},
    }


SCHEME_VALUES: dict[LabelScheme, dict[int, int]] = _values()
_Numbering = Literal["fdi", "universal", "doubted"]
_UNIVERSAL_NAMES: tuple[LabelScheme, ...] = ("universal", "batchdentalseg")  # where 'Tooth 14' is Universal
_CODES: dict[tuple[str, str], Candidates] = {}
for _one in STRUCTURES.values():
    if _one.kind != "teeth":  # the code of an unspecified tooth identifies none
        _key = (_one.code.scheme, _one.code.value)
        _CODES[_key] = _CODES.get(_key, frozenset()) | {_one.value}


@dataclass(frozen=True)
class SegmentInfo:
    """A segment as a file or scene describes it: name, label value, id, and the codes of its type, side and region."""

    name: str
    value: int
    id: str = ""
    code: Code | None = None
    modifier: Code | None = None
    region: Code | None = None


@dataclass(frozen=True)
class Identified:
    """The structures of segments.

    Attributes
    ----------
    structures : tuple of Structure or None
        One for each segment; None where it is not identified.
    warnings : tuple of str
        Contradictions, one line each.
    doubt : str
        Why no segment could be identified (a clause); empty if one could, or if there are none.
    remedy : str
        Remedy for the message of a file's reader.
    by_values : bool
        Whether only label values identify the structures.
    by_numbers : bool
        Whether only numbers identify them, as values or in names without a mark ('Tooth 31'), which may be another system's.
    """

    structures: tuple[Structure | None, ...]
    warnings: tuple[str, ...] = ()
    doubt: str = ""
    remedy: str = ""
    by_values: bool = False
    by_numbers: bool = False

    @property
    def has_teeth(self) -> bool:
        """Whether one of them is a single tooth with a number."""
        return any(one is not None and one.is_tooth for one in self.structures)


def identify(segments: Sequence[SegmentInfo], scheme: LabelScheme | None = None) -> Identified:
    """Identify the structures of segments.

    The name takes precedence over the terminology code, and the code over the id, because users of 3D Slicer rename segments
    without changing code and id. Where a name is ambiguous ('Canine tooth, left'), code and id may decide.

    Parameters
    ----------
    segments : sequence of SegmentInfo
    scheme : str, optional
        The numbering of label values, and of numbers without a mark in names; used where names and codes identify nothing.

    Returns
    -------
    Identified
    """
    numbering, odd, confirmed = _numbering(segments, scheme)
    pairs = [_candidates(one, scheme, numbering) for one in segments]
    structures = tuple(_single(candidates) for candidates, _ in pairs)
    warnings = [
        *_conflicts(segments, structures, [clash for _, clash in pairs]),
        *_repeated(segments, structures),
    ]
    plain = Identified(structures, tuple(warnings), by_numbers=not confirmed)
    if plain.has_teeth or scheme or not segments or (any(structures) and not odd):
        return plain
    values = [one.value for one in segments]
    contradicted = any(fits and one.value not in fits for one, (fits, _) in zip(segments, pairs, strict=True))
    if not odd and not contradicted and len(set(values)) == len(values) and are_fdi(values):
        return Identified(tuple(structure(value) for value in values), tuple(warnings), by_values=True, by_numbers=True)
    if odd:
        doubt = f"numbers in its names are no FDI numbers ({', '.join(odd[:3])})"
    elif any(one.name for one in segments):
        doubt = "neither names nor codes nor values tell which teeth its segments are"
    else:
        others = sorted(set(values) - STRUCTURES.keys())
        doubt = f"its values are no FDI numbers ({', '.join(map(str, others[:3] or values[:3]))})"
    return Identified(structures, tuple(warnings), doubt, way_out(values))


def are_fdi(values: Iterable[int]) -> bool:
    """Whether label values can be FDI numbers: each is in the table of structures, and at least one is a tooth's."""
    unique = set(values)
    return unique <= STRUCTURES.keys() and bool(unique & TEETH.keys())


def fitting_schemes(values: Collection[int]) -> tuple[LabelScheme, ...]:
    """The schemes that define all of these label values, with a tooth or a row of teeth among them."""
    return tuple(
        scheme
        for scheme, known in SCHEME_VALUES.items()
        if set(values) <= known.keys() and any(structure(known[value]).kind in ("tooth", "teeth") for value in values)
    )


def telling_schemes(segments: Sequence[SegmentInfo]) -> tuple[LabelScheme, ...]:
    """The schemes that identify every segment; of schemes with the same result, the first.

    At least one structure must be a tooth, and so must each segment that is called 'Tooth 14' or '14'.
    """
    schemes: dict[tuple[Structure | None, ...], LabelScheme] = {}
    for scheme in LABEL_SCHEMES:
        result = identify(segments, scheme)
        pairs = list(zip(segments, result.structures, strict=True))
        if result.has_teeth and all(one and (one.is_tooth or not bare_number(segment.name)) for segment, one in pairs):
            schemes.setdefault(result.structures, scheme)
    return tuple(schemes.values())


def way_out(values: Collection[int]) -> str:
    """Remedy for unclear label values: the option with the schemes that fit the values."""
    fitting = [scheme for scheme in fitting_schemes(values) if scheme != "fdi"]
    if fitting:
        return f"say how they are numbered: {OPTION} {' or '.join(fitting)}"
    return "name the segments by FDI number ('Tooth 26'), or number the labels so"


def _candidates(one: SegmentInfo, scheme: LabelScheme | None, numbering: _Numbering) -> tuple[Candidates, Candidates]:
    """The possible structures of a segment, and those of a weaker source that contradicts them."""
    number = bare_number(one.name)
    doubted = numbering == "doubted" and number is not None
    sources = [
        frozenset() if doubted else structures_of_name(one.name, numbering == "universal"),
        _of_code(one),
        frozenset() if doubted and bare_number(one.id) == number else structures_of_name(one.id),
    ]
    if scheme:
        value = SCHEME_VALUES[scheme].get(one.value)
        sources.append(frozenset({value} if value else ()))
    open_: Candidates = frozenset()
    clash: Candidates = frozenset()
    for source in sources:
        if not open_:
            open_ = source
        elif source and open_ & source:
            open_ &= source
        elif source and not clash:
            clash = source
    return open_, clash


def _of_code(one: SegmentInfo) -> Candidates:
    if one.code is None:
        return frozenset()
    found = _CODES.get(one.code[:2], frozenset())
    for source, attribute in ((one.modifier, "modifier"), (one.region, "region")):
        narrowed = {
            value for value in found if source and (getattr(structure(value), attribute) or ("", ""))[:2] == source[:2]
        }
        found = frozenset(narrowed) or found
    return found


def _single(candidates: Candidates) -> Structure | None:
    """The only candidate, or the general one of several ('mandibular canal' without a side)."""
    found = [structure(value) for value in candidates]
    general = [one for one in found if one.side is None and not one.is_tooth and one.fdi is None]
    chosen = found if len(found) == 1 else general
    return min(chosen, key=lambda one: one.value) if chosen else None


def _numbering(segments: Sequence[SegmentInfo], scheme: LabelScheme | None) -> tuple[_Numbering, tuple[str, ...], bool]:
    """The numbering of numbers without a mark in names, the numbers that are no FDI numbers if it is unclear, and certainty.

    Without a scheme, the codes of the same segments decide. Where they do not, one number that is no FDI number makes all
    others unclear.
    """
    if scheme:
        return ("universal" if scheme in _UNIVERSAL_NAMES else "fdi"), (), True
    numbers = [(number, _single(_of_code(one))) for one in segments if (number := bare_number(one.name))]
    coded = [(number, TEETH[one.value]) for number, one in numbers if one and one.is_tooth]
    fdi = sum(int(number) == one.fdi for number, one in coded)
    universal = sum(number == one.universal for number, one in coded)
    odd = tuple(number for number, _ in numbers if int(number) not in TEETH)
    if fdi == universal and odd:
        return "doubted", odd, False
    return ("universal" if universal > fdi else "fdi"), (), fdi != universal or not numbers


def _conflicts(
    segments: Sequence[SegmentInfo], structures: Sequence[Structure | None], clashes: Sequence[Candidates]
) -> Iterable[str]:
    against = [
        (one.name, structure(min(clash)))
        for one, found, clash in zip(segments, structures, clashes, strict=True)
        if found and len(clash) == 1
    ]
    if against:
        listed = ", ".join(f"'{name}' (of {_called(other)})" for name, other in against[:5])
        more = f" and {len(against) - 5} more" if len(against) > 5 else ""
        yield f"Segments whose code, id or value is another structure's: {listed}{more}. Their names count."


def _repeated(segments: Sequence[SegmentInfo], structures: Sequence[Structure | None]) -> Iterable[str]:
    teeth = [found.value for found in structures if found and found.is_tooth]
    for value in sorted({value for value in teeth if teeth.count(value) > 1}):
        names = [one.name for one, found in zip(segments, structures, strict=True) if found and found.value == value]
        yield f"Tooth {value} has {len(names)} segments ({', '.join(names)}): they were put together."


def _called(one: Structure) -> str:
    return f"tooth {one.fdi}" if one.is_tooth else one.name
