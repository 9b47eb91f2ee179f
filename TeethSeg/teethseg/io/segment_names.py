"""Parses names of segments, in any spelling, into the structures that they can stand for.

People and programs call one tooth 'Tooth 26', '2.6', '#14', 'UL6', 'Upper-left first molar' or
'upper_left_first_molar_fdi26'. A name may be incomplete ('Canine tooth, left'): then several structures match.

References
----------
Names used by other programs: TotalSegmentator's task 'teeth' (`upper_left_first_molar_fdi26`,
`upper_left_first_molar_pulp_fdi126`), ToothFairy2 and 3 ('Upper Left Third Molar (Wisdom Tooth)'), BatchDentalSeg
('Upper-left first molar (baby)'), DentalSegmentator ('Maxilla & Upper Skull', 'Upper Teeth'), DICOM CID 4018 and 4019
('Mandibular left lateral tooth').
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ..anatomy import DECIDUOUS_POSITION_NAMES, POSITION_NAMES, TEETH, Tooth
from ..structures import PULP_OFFSET, STRUCTURES

Candidates = frozenset[int]  # label values of possible structures; empty: unknown

_NOTHING: Candidates = frozenset()
_PALMER = {one.palmer: fdi for fdi, one in TEETH.items()}
_UNIVERSAL = {one.universal.lower(): fdi for fdi, one in TEETH.items()}
_CORNERS = "⏌⎿⎾⏋"

_TOOTH_WORDS = {
    "tooth", "t", "nr", "number", "zahn", "dent", "diente", "pieza", "dente", "tand", "tann",
    "hammas", "zub", "ząb", "zab", "fog", "diş", "зуб", "δόντι", "歯", "牙", "牙齿", "牙齒", "치아",
}  # fmt: skip
_FDI_WORDS = {"fdi", "iso"}
_UNIVERSAL_WORDS = {"#", "universal", "uns", "ada"}
_JAWS = {"upper": "upper", "maxillary": "upper", "maxilla": "upper", "lower": "lower", "mandibular": "lower"}
_DENTITIONS = {
    **dict.fromkeys(("deciduous", "baby", "primary", "milk", "temporary"), True),
    **dict.fromkeys(("permanent", "adult"), False),
}
_QUADRANTS = {"ul": "upper left", "ur": "upper right", "ll": "lower left", "lr": "lower right"}
_INITIALS = {"upper": "u", "lower": "l", "left": "l", "right": "r"}
_KINDS = {"incisor", "canine", "premolar", "molar"}
_SYNONYMS = {
    "cuspid": "canine",
    "bicuspid": "premolar",
    "wisdom": "third molar",
    "1st": "first",
    "2nd": "second",
    "3rd": "third",
}
_ORDINALS = {"1": "first", "2": "second", "3": "third"}
_DESCRIPTIVE = {"central", "lateral", "first", "second", "third", "left", "right", "jaw", *_KINDS, *_SYNONYMS}
# Words without influence on the meaning of a name.
_NEUTRAL = {
    "and", "of", "the", "a", "structure", "entire", "anatomical", "copy", "final", "new", "old", "corrected", "edited",
    "smoothed", "mask", "label", "model", "mesh", "seg", "segment", "segmentation",
}  # fmt: skip
_KNOWN = {*_TOOTH_WORDS, *_FDI_WORDS, *_UNIVERSAL_WORDS, *_JAWS, *_DENTITIONS, *_DESCRIPTIVE, *_NEUTRAL}
_PHRASES = sorted(
    {phrase for one in STRUCTURES.values() for phrase in one.phrases}, key=lambda phrase: (-len(phrase), phrase)
)
_OF_PHRASE = {phrase: [one for one in STRUCTURES.values() if phrase in one.phrases] for phrase in _PHRASES}


@lru_cache(maxsize=4096)
def structures_of_name(name: str, universal: bool = False) -> Candidates:
    """The structures that a name can stand for.

    Parameters
    ----------
    name : str
    universal : bool
        Whether numbers without a mark ('Tooth 14', '14') are Universal ones; FDI otherwise.

    Returns
    -------
    frozenset of int
        Label values (`structures.STRUCTURES`). Empty if the name identifies no structure or contradicts itself.
    """
    words = _words(name)
    other, rest = _other(words)
    if other is None:
        return _tooth(words, universal)
    if _OF_PHRASE[other][0].kind == "pulp":
        return _pulps(_tooth(rest, universal, pulp=True))
    return _sided(other, rest)


def fdi_of_name(name: str) -> int | None:
    """FDI number of the tooth that a name identifies; None if it identifies none, or is ambiguous."""
    found = structures_of_name(name)
    return next(iter(found)) if len(found) == 1 and found <= TEETH.keys() else None


def bare_number(name: str) -> str | None:
    """The number in a name like 'Tooth 14' or '14', which names no numbering system; None for other names."""
    words = _words(name)
    rest = [word for word in words if word not in _TOOTH_WORDS | _NEUTRAL]
    plain = len(rest) == 1 and rest[0].isdecimal()
    return rest[0] if plain and (len(words) == 1 or _TOOTH_WORDS & set(words)) else None


def _words(name: str) -> tuple[str, ...]:
    """Words, numbers and signs of a name in lower case; '2.6' and 'no. 26' are one number each."""
    text = re.sub(r"([^\W\d_A-Z]{2})(?=[A-Z])", r"\1 ", unicodedata.normalize("NFC", name)).casefold()  # 'UpperLeft'
    text = re.sub(r"(?<![\d.])([1-8])[.·]([1-8])(?![\d.])", r"\1\2", text)
    text = re.sub(r"\bn[o°º]?\.?\s*(?=\d)", "number ", text)
    words = re.findall(rf"[1-3](?:st|nd|rd)(?![^\W\d_])|\d+|#|[{_CORNERS}]|[^\W\d_]+", text)
    return tuple(" ".join(_QUADRANTS.get(word, word) for word in words).split())


def _other(words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The phrase of a structure other than a tooth (see `structures`), or None, and the remaining words."""
    text = f" {' '.join(words)} "
    tooth_told = (_KINDS | {"tooth"}) & set(words)
    for phrase in _PHRASES:
        kind = _OF_PHRASE[phrase][0].kind
        if f" {phrase} " in text and not (tooth_told and kind in ("bone", "teeth")):  # 'upper jaw, left first molar'
            return phrase, tuple(text.replace(f" {phrase} ", " ", 1).split())
    return None, words


def _sided(phrase: str, words: tuple[str, ...]) -> Candidates:
    """The structures of a phrase, restricted to the side that the words name."""
    sides = {"left", "right"} & set(words)
    if len(sides) > 1:
        return _NOTHING
    found = _OF_PHRASE[phrase]
    return frozenset(one.value for one in ([one for one in found if one.side in sides] or found))


def _pulps(teeth: Candidates) -> Candidates:
    found = (one for one in STRUCTURES.values() if one.kind == "pulp" and (not teeth or one.fdi in teeth))
    return frozenset(one.value for one in found)


def _tooth(words: tuple[str, ...], universal: bool, pulp: bool = False) -> Candidates:
    """FDI numbers of the teeth that match the words."""
    place = _placed(words)
    if place:
        return place
    described = _described(words)
    numbered = _numbered(words, universal, pulp, described is not None)
    if described is None or numbered is None:
        return described or numbered or _NOTHING
    return described & numbered


def _placed(words: tuple[str, ...]) -> Candidates:
    """The tooth of a quadrant and position, as in 'UL6', 'LR E', 'upper left 6' or '⎿6'."""
    text = "".join(_INITIALS.get(word, word) for word in words if word not in ("tooth", "palmer")).upper()
    if text in _PALMER:
        return frozenset({_PALMER[text]})
    match = re.fullmatch(r"([UL])([LR])([1-8A-E])", text)
    if not match:
        return _NOTHING
    jaw, side = {"U": "upper", "L": "lower"}[match[1]], {"L": "left", "R": "right"}[match[2]]
    deciduous = match[3].isalpha()
    place = (jaw, side, deciduous, "ABCDE".index(match[3]) + 1 if deciduous else int(match[3]))
    return frozenset(fdi for fdi, one in TEETH.items() if (one.jaw, one.side, one.deciduous, one.position) == place)


def _numbered(words: tuple[str, ...], universal: bool, pulp: bool, described: bool) -> Candidates | None:
    """The tooth of the number among the words; None without a number, empty if the words are ambiguous."""
    marks = set(words)
    if marks & _UNIVERSAL_WORDS:
        signs = [word for word in words if word in ("a", "t") or word not in _KNOWN]
        teeth = [_UNIVERSAL.get(sign) for sign in signs]
        if len(signs) == 2:  # 'Tooth 26 (#14)'
            return frozenset(
                fdi for fdi, other in zip(teeth, reversed(signs), strict=True) if fdi and str(fdi) == other
            )
        return frozenset(fdi for fdi in teeth if fdi and len(teeth) == 1)
    if universal and (letter := _letter(words)):
        return frozenset({_UNIVERSAL[letter]})
    numbers = [word for word in words if word.isdecimal() and not (word in _ORDINALS and marks & _KINDS)]
    if any(word not in _KNOWN and not word.isdecimal() for word in words) or len(numbers) > 1:
        return _NOTHING
    if not numbers:
        return None
    if not (described or pulp or marks & (_TOOTH_WORDS | _FDI_WORDS) or len(words) == 1):
        return _NOTHING  # 'left 26'
    if universal and not marks & _FDI_WORDS:
        return frozenset({_UNIVERSAL[numbers[0]]} if numbers[0] in _UNIVERSAL else ())
    fdi = int(numbers[0])
    return frozenset({fdi - PULP_OFFSET if pulp and fdi > PULP_OFFSET else fdi}) & TEETH.keys()


def _letter(words: tuple[str, ...]) -> str:
    """The letter in a name like 'Tooth K' or 'K', a deciduous tooth in Universal numbering; empty for other names."""
    rest = [word for word in words if len(word) == 1 or word not in _TOOTH_WORDS | _NEUTRAL]
    plain = len(rest) == 1 and rest[0].isalpha() and rest[0] in _UNIVERSAL
    return rest[0] if plain and (len(words) == 1 or _TOOTH_WORDS & set(words)) else ""


def _described(words: tuple[str, ...]) -> Candidates | None:
    """The teeth that match a description, permanent ones unless it names deciduous ones; None without a description."""
    jaws = {_JAWS[word] for word in words if word in _JAWS}
    sides = {word for word in words if word in ("left", "right")}
    dentitions = {_DENTITIONS[word] for word in words if word in _DENTITIONS}
    types = _types(words)
    if not types and not ("tooth" in words and (jaws or sides)):
        return None  # 'left' alone is no tooth
    if max(len(jaws), len(sides), len(dentitions)) > 1:
        return _NOTHING
    return frozenset(
        fdi
        for fdi, one in TEETH.items()
        if one.deciduous == (dentitions == {True})
        and one.jaw in (jaws or {one.jaw})
        and one.side in (sides or {one.side})
        and types <= _type_of(one)
    )


def _types(words: tuple[str, ...]) -> set[str]:
    """The words that describe a tooth's position, in the spelling of `anatomy`."""
    spelt = set(" ".join(_SYNONYMS.get(word, word) for word in words).split())
    if spelt & _KINDS:
        spelt |= {_ORDINALS[word] for word in spelt if word in _ORDINALS}
    elif not {"central", "lateral"} & spelt:
        return set()  # an ordinal of nothing
    if "incisor" in spelt:
        spelt = {{"first": "central", "second": "lateral"}.get(word, word) for word in spelt}
    return spelt & {"central", "lateral", "first", "second", "third", *_KINDS}


def _type_of(one: Tooth) -> set[str]:
    names = DECIDUOUS_POSITION_NAMES if one.deciduous else POSITION_NAMES
    return set(names[one.position - 1].split())
