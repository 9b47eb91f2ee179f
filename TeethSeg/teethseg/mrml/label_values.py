"""The colour table by which Slicer's own label map exports give teeth their FDI numbers as values, instead of 1, 2, 3 ..."""

from __future__ import annotations

from typing import TypeAlias

import slicer

from ..anatomy import TEETH
from ..io.seg_nrrd import segment_table

Node: TypeAlias = slicer.vtkMRMLSegmentationNode
NAME = "Teeth, FDI numbers"
_MADE = "TeethSeg.values"  # attribute of the table


def put_values(scene: slicer.vtkMRMLScene, node: Node) -> None:
    """Have Slicer's exports of a segmentation look up label values in a table with all teeth."""
    if not hasattr(node, "SetLabelmapConversionColorTableNodeID"):
        return
    node.SetLabelmapConversionColorTableNodeID(_table(scene).GetID())


def _table(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    found = scene.GetNodesByClass("vtkMRMLColorTableNode")
    found.UnRegister(scene)
    for n in range(found.GetNumberOfItems()):
        if found.GetItemAsObject(n).GetAttribute(_MADE):
            return found.GetItemAsObject(n)
    table = scene.CreateNodeByClass("vtkMRMLColorTableNode")
    table.UnRegister(None)
    table.SetName(NAME)
    table.SetAttribute(_MADE, "fdi")
    table.SetTypeToUser()
    table.SetNumberOfColors(max(TEETH) + 1)
    table.SetColor(0, "background", 0.0, 0.0, 0.0, 0.0)
    for row in segment_table(sorted(TEETH)):
        table.SetColor(row.value, row.name, *row.colour, 1.0)
        if hasattr(table, "SetTerminologyFromString"):  # which older versions lack: they go by names
            table.SetTerminologyFromString(row.value, row.terminology)
    return scene.AddNode(table)
