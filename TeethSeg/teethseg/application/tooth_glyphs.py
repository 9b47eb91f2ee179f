"""How teeth are drawn in the chart: outlines of crown and root as dentists sketch them.

Each outline is a closed path of commands in a box of one by one, x to the right, root tip at y = 0, biting edge at y = 1; as
it stands for an upper tooth of the patient's right side.
"""

from __future__ import annotations

import functools

from ..anatomy import tooth

Command = tuple[float, ...]  # two numbers: a line to there; six: a cubic curve with two control points

_ROOT_IN = (0.26, 0.40, 0.40, 0.10, 0.50, 0.03)  # from the left side of the neck to the tip
_ROOT_OUT = (0.60, 0.10, 0.74, 0.40, 0.76, 0.55)


def _single(edge: tuple[Command, ...]) -> tuple[Command, ...]:
    return ((0.24, 0.55), _ROOT_IN, _ROOT_OUT, *edge, (0.02, 0.78, 0.18, 0.66, 0.24, 0.55))


_INCISOR = _single(((0.82, 0.66, 0.98, 0.78, 0.94, 0.96), (0.70, 1.00, 0.30, 1.00, 0.06, 0.96)))
_CANINE = _single(
    ((0.82, 0.66, 1.00, 0.74, 0.92, 0.88), (0.70, 0.95, 0.56, 1.00, 0.50, 1.00), (0.44, 1.00, 0.30, 0.95, 0.08, 0.88))
)
_PREMOLAR = _single(
    (
        (0.84, 0.62, 1.02, 0.74, 0.94, 0.90),
        (0.86, 0.99, 0.72, 1.00, 0.66, 0.97),
        (0.58, 0.91, 0.42, 0.91, 0.34, 0.97),
        (0.28, 1.00, 0.14, 0.99, 0.06, 0.90),
    )
)
_MOLAR = (
    (0.12, 0.58),
    (0.12, 0.40, 0.12, 0.16, 0.22, 0.06),
    (0.32, 0.12, 0.38, 0.34, 0.50, 0.44),
    (0.62, 0.34, 0.68, 0.12, 0.78, 0.06),
    (0.88, 0.16, 0.88, 0.40, 0.88, 0.58),
    (0.96, 0.66, 1.00, 0.80, 0.95, 0.90),
    (0.90, 0.99, 0.80, 1.00, 0.74, 0.97),
    (0.68, 0.91, 0.60, 0.91, 0.54, 0.95),
    (0.50, 0.99, 0.46, 0.99, 0.42, 0.95),
    (0.36, 0.91, 0.32, 0.91, 0.26, 0.97),
    (0.20, 1.00, 0.10, 0.99, 0.05, 0.90),
    (0.00, 0.80, 0.04, 0.66, 0.12, 0.58),
)
_OUTLINES = (_INCISOR, _INCISOR, _CANINE, _PREMOLAR, _PREMOLAR, _MOLAR, _MOLAR, _MOLAR)
_WIDTHS = {
    "upper": (0.86, 0.70, 0.78, 0.74, 0.74, 1.0, 0.96, 0.88),
    "lower": (0.58, 0.62, 0.72, 0.74, 0.76, 1.0, 0.98, 0.9),
}


def outline(fdi: int) -> list[Command]:
    """The path of a tooth in a box of one by one whose y grows downwards, as screens have it.

    Upper teeth have their roots at the top, lower ones at the bottom; left ones are the mirror image of right ones.
    """
    one = tooth(fdi)
    place = one.position - 1
    if one.deciduous and place >= 3:  # deciduous molars stand where premolars come
        place += 2
    width = _WIDTHS[one.jaw][place]

    def placed(x: float, y: float) -> tuple[float, float]:
        x = 0.5 + (x - 0.5) * width
        return (x if one.side == "right" else 1 - x), (y if one.jaw == "upper" else 1 - y)

    return [
        tuple(part for n in range(0, len(command), 2) for part in placed(command[n], command[n + 1]))
        for command in _OUTLINES[place]
    ]


@functools.cache
def svg_path(fdi: int, width: float, height: float) -> str:
    """The outline of a tooth as the path data of an SVG image of that size."""
    size = (width, height)
    parts = []
    for command in outline(fdi):
        numbers = " ".join(f"{part * size[n % 2]:.1f}" for n, part in enumerate(command))
        parts.append(("C" if len(command) > 2 else "M") + numbers)
    return " ".join(parts) + " Z"
