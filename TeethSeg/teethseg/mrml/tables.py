"""Tables of the scene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import vtkAbstractArray, vtkDoubleArray, vtkIntArray, vtkStringArray


def tooth_table(
    scene: slicer.vtkMRMLScene,
    rows: Iterable[Mapping[str, Any]],
    name: str = "Teeth",
    node: slicer.vtkMRMLTableNode | None = None,
) -> slicer.vtkMRMLTableNode:
    """A table with a row for each tooth, as `report.report_of` and `surfaces.export` list them.

    Parameters
    ----------
    scene : vtkMRMLScene
    rows : iterable of mappings
        Values by column name; a row may lack some. Lists become text.
    name : str
        Of the new node.
    node : vtkMRMLTableNode, optional
        A table to fill instead of a new one.
    """
    rows = list(rows)
    node = node or scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    node.RemoveAllColumns()
    for column in dict.fromkeys(key for row in rows for key in row):
        node.AddColumn(_column(column, [row.get(column) for row in rows]))
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def _column(name: str, values: list[Any]) -> vtkAbstractArray:
    """Whole numbers, numbers or text: the narrowest that holds all values."""
    kinds = {type(value) for value in values}
    array: vtkIntArray | vtkDoubleArray | vtkStringArray
    if kinds <= {int}:
        array = vtkIntArray()
    elif kinds <= {int, float, type(None)} and kinds != {type(None)}:
        array, values = vtkDoubleArray(), [float("nan") if value is None else value for value in values]
    else:
        array, values = vtkStringArray(), [_text(value) for value in values]
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
