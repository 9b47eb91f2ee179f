"""The patient's age at the time of a scan, from what DICOM files say of it."""

from __future__ import annotations

import re
from datetime import date

_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_YOUNGEST, _OLDEST = 1.0, 120.0  # years; what is beyond was put in by whoever removed the patient's data
_CONTRADICTION = 2.0  # years


def patient_age(age: str, birth_date: str, scan_date: str) -> float | None:
    """Age in years.

    Parameters
    ----------
    age, birth_date, scan_date : str
        Values of Patient's Age ("008Y"), Patient's Birth Date and Study Date ("20190517"); empty where there is none.

    Returns
    -------
    float or None
        None if it is not known, impossible, or if age and dates contradict each other.
    """
    ages = [one for one in (_told(age), _counted(birth_date, scan_date)) if one is not None]
    if not ages or max(ages) - min(ages) > _CONTRADICTION:
        return None
    return ages[0]


def _told(age: str) -> float | None:
    found = re.fullmatch(r"\s*(\d{1,3})\s*([DWMY])\s*", age.upper())
    return _possible(int(found[1]) / _PER_YEAR[found[2]]) if found else None


def _counted(birth_date: str, scan_date: str) -> float | None:
    born, scanned = _day(birth_date), _day(scan_date)
    return None if born is None or scanned is None else _possible((scanned - born).days / _PER_YEAR["D"])


def _day(text: str) -> date | None:
    found = re.match(r"(\d{4})\.?(\d{2})\.?(\d{2})", text.strip())
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def _possible(years: float) -> float | None:
    return years if _YOUNGEST <= years <= _OLDEST else None
