"""Units of length that headers name."""

from __future__ import annotations

_MILLIMETRES = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"), 0.001),
}


def millimetres(unit: str) -> float:
    """How many mm a unit is; 1 of a unit that nobody names for a scan."""
    return _MILLIMETRES.get(unit.strip().strip('"').lower(), 1.0)
