"""Values of header elements, read as tolerantly as other viewers read them.

pydicom rejects a whole element for a comma in a number ("0,3") or a blank, and is slow; here the bytes of the file are
parsed. A value that cannot be parsed counts as missing, so that one rule covers both.
"""

from __future__ import annotations

import math
import struct
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

_TEXT_NUMBERS = {"DS", "IS", "LO", "SH", "CS", "ST", "LT", "UT"}
_PLAIN_TEXT = {"CS", "UI", "IS", "DS", "DA", "TM", "DT", "AS"}  # ASCII whatever the character set
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "US or SS": "H"}
_LONGEST_TEXT = 64


@cache
def tag_of(keyword: str) -> BaseTag:
    """The tag of a DICOM keyword.

    Raises
    ------
    KeyError
        If DICOM has no such keyword.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return BaseTag(tag)


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...]:
    """All numbers of an element; empty if it is missing, has another `count`, or holds no numbers."""
    try:
        element = dataset.get_item(tag_of(keyword))
        if element is None or element.value is None:
            return ()
        content = element.value
        values = _parsed(element, content, count) if isinstance(element, RawDataElement) else _converted(content)
    except (ValueError, TypeError, struct.error, KeyError):
        return ()
    return values if count in (None, len(values)) else ()


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first finite number of an element; None if there is none."""
    return next((value for value in numbers(dataset, keyword) if math.isfinite(value)), None)


def text(dataset: Dataset, keyword: str) -> str:
    """The text of an element without control characters, its values joined by a backslash; empty if it is missing."""
    element = dataset.get_item(tag_of(keyword))
    if element is None or element.value is None:
        return ""
    if isinstance(element, RawDataElement) and _representation(element) in _PLAIN_TEXT:
        whole = element.value.decode("latin-1")
    else:
        try:
            value = dataset.get(keyword)
        except Exception:  # pydicom raises many kinds of error on damaged elements
            return ""
        whole = "\\".join(map(str, value)) if isinstance(value, MultiValue) else str("" if value is None else value)
    if not whole.isprintable():
        whole = "".join(letter for letter in whole if letter.isprintable())
    return whole.strip()[:_LONGEST_TEXT]


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none if it is missing or damaged."""
    try:
        return list(dataset.get(keyword) or ())
    except RecursionError:
        raise
    except Exception:  # as above
        return []


def raw_bytes(dataset: Dataset, keyword: str) -> bytes:
    """The bytes of a number in the file, little endian; empty if it is missing.

    To be called before pydicom converts the element.
    """
    element = dataset.get_item(tag_of(keyword))
    if element is None or not isinstance(element.value, bytes):
        return b""
    return element.value if getattr(element, "is_little_endian", True) else element.value[::-1]


@cache
def _usual_representation(tag: int) -> str:
    return dictionary_VR(tag)


def _representation(element: RawDataElement) -> str:
    return _usual_representation(element.tag) if element.VR in (None, "UN") else element.VR


def _parsed(element: RawDataElement, content: bytes, count: int | None) -> tuple[float, ...]:
    representation = _representation(element)
    if representation in _TEXT_NUMBERS:
        return _parsed_text(content.decode("latin-1"), count)
    kind = _BINARY[representation]
    amount = len(content) // struct.calcsize(kind)
    return tuple(map(float, struct.unpack(f"{'<' if element.is_little_endian else '>'}{amount}{kind}", content)))


def _parsed_text(content: str, count: int | None) -> tuple[float, ...]:
    parts = content.strip(" \0").split("\\")
    if len(parts) == 1 and count not in (None, 1) and content.count(",") == count - 1:
        parts = parts[0].split(",")  # a comma between values
    return tuple(float(part.strip(" \0").replace(",", ".")) for part in parts if part.strip(" \0"))


def _converted(value: Any) -> tuple[float, ...]:
    """The numbers of an element that pydicom has converted already."""
    values = value if isinstance(value, list | tuple | MultiValue) else [] if value in (None, "") else [value]
    return tuple(float(one) for one in values)
