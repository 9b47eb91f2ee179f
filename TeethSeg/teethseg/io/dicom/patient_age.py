"""The patient's age at the time of a scan, from DICOM attributes."""

from __future__ import annotations

import re
from datetime import date

_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_MIN_AGE, _MAX_AGE = 1.0, 120.0  # years; anonymisers write values outside this range
_MAX_DIFFERENCE = 2.0  # years


def patient_age(age: str, birth_date: str, scan_date: str) -> float | None:
    """Age in years.

    Parameters
    ----------
    age, birth_date, scan_date : str
        Values of Patient's Age ("008Y"), Patient's Birth Date and Study Date ("20190517"); empty where there is none.

    Returns
    -------
    float or None
        None if it is unknown or implausible, or if age and dates contradict each other.
    """
    ages = [one for one in (_age_from_attribute(age), _age_from_dates(birth_date, scan_date)) if one is not None]
    if not ages or max(ages) - min(ages) > _MAX_DIFFERENCE:
        return None
    return ages[0]


def _age_from_attribute(age: str) -> float | None:
    match = re.fullmatch(r"\s*(\d{1,3})\s*([DWMY])\s*", age.upper())
    return _plausible(int(match[1]) / _PER_YEAR[match[2]]) if match else None


def _age_from_dates(birth_date: str, scan_date: str) -> float | None:
    born, scanned = _day(birth_date), _day(scan_date)
    return None if born is None or scanned is None else _plausible((scanned - born).days / _PER_YEAR["D"])


def _day(text: str) -> date | None:
    match = re.match(r"(\d{4})\.?(\d{2})\.?(\d{2})", text.strip())
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _plausible(years: float) -> float | None:
    return years if _MIN_AGE <= years <= _MAX_AGE else None
