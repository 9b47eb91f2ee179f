"""Units of length in file headers."""

from __future__ import annotations

_MILLIMETRES = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"), 0.001),
}


def millimetres(unit: str) -> float:
    """A unit of length in mm; 1 for an unknown unit."""
    return _MILLIMETRES.get(unit.strip().strip('"').lower(), 1.0)
