"""Arches and measures in the scene: curves whose points can be dragged in every view, lines and angles, saved with it."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
import slicer

from ..arch_views.arches import Arches, ArchLine
from ..arch_views.curve import through
from ..arch_views.frame import Frame
from ..errors import InputError
from ..io.json_text import json_text
from .placing import place_tool_kept
from .views import nodes_of
from .volumes import LPS_RAS, to_numpy, to_vtk

ARCH, SCAN, MEASURE = "TeethSeg.arch", "TeethSeg.scan", "TeethSeg.measure"  # attributes of the nodes
FLIP = np.array([-1.0, -1.0, 1.0])  # from RAS to LPS and back
_CURVE = "vtkMRMLMarkupsCurveNode"
_NAMES = {"upper": "Upper arch", "lower": "Lower arch", "both": "Arch"}
_COLOURS = {"upper": (1.0, 0.75, 0.2), "lower": (0.3, 0.85, 1.0), "both": (1.0, 0.84, 0.25)}

Kind = Literal["distance", "angle"]
_MEASURES: dict[Kind, str] = {"distance": "vtkMRMLMarkupsLineNode", "angle": "vtkMRMLMarkupsAngleNode"}


def write_arches(scene: slicer.vtkMRMLScene, arches: Arches, volume_node: slicer.vtkMRMLVolumeNode) -> list:
    """Put the lines of the arches into the scene, in place of those of this scan; returns their nodes."""
    lines = {"both": arches.lower} if arches.single else {"upper": arches.upper, "lower": arches.lower}
    old = {_arch_attribute(node)["jaws"]: node for node in curves_of(scene, volume_node)}
    for jaws, node in old.items():
        if jaws not in lines:
            scene.RemoveNode(node)
    found = []
    for jaws, line in lines.items():
        with place_tool_kept(scene):
            node = old.get(jaws) or _new_curve(scene, jaws, volume_node)
        own = _turned(arches.frame, np.linalg.inv(_to_world(node)))  # as the node itself sees it
        attribute = {
            "jaws": jaws,
            "origin": own.origin.tolist(),
            "axes": own.axes.tolist(),
            "height": line.height,
            "lean": line.lean.tolist(),
            "heights": {name: list(span) for name, span in arches.heights.items()},
        }
        node.SetAttribute(ARCH, json_text(attribute))
        handles = line.curve.handles
        points = own.to_lps(np.column_stack([handles, np.full(len(handles), line.height)])) * FLIP
        _put(node, points)
        found.append(node)
    return found


def read_arches(scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLVolumeNode) -> Arches | None:
    """The arches of a scan as its curves are now; None if there are none, or they are damaged."""
    lines: dict[str, ArchLine] = {}
    frame = heights = None
    for node in curves_of(scene, volume_node):
        attribute = _arch_attribute(node)
        frame = _turned(
            Frame(np.array(attribute["origin"], float), np.array(attribute["axes"], float)), _to_world(node)
        )
        heights = {name: (float(low), float(high)) for name, (low, high) in attribute["heights"].items()}
        curve = through(frame.from_lps(_points(node) * FLIP)[:, :2])
        if curve is None:
            return None
        lean, count = np.array(attribute["lean"], float), len(curve.handles)
        if len(lean) != count:
            lean = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(lean)), lean)
        lines[attribute["jaws"]] = ArchLine(curve, float(attribute["height"]), lean)
    upper = lines.get("upper") or lines.get("both") or lines.get("lower")
    lower = lines.get("lower") or lines.get("both") or lines.get("upper")
    if frame is None or heights is None or upper is None or lower is None:
        return None
    return Arches(frame, upper, lower, heights)


def curves_of(scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLVolumeNode) -> list:
    """The curves of the arches of a scan."""
    return [
        node
        for node in nodes_of(scene, _CURVE)
        if node.GetAttribute(ARCH) and node.GetNodeReferenceID(SCAN) == volume_node.GetID() and _is_sound(node)
    ]


def add_measure(scene: slicer.vtkMRMLScene, kind: Kind, points: np.ndarray):
    """Put a distance (2 points) or an angle (3, its corner in the middle) into the scene; LPS mm (N, 3)."""
    with place_tool_kept(scene):
        node = scene.AddNewNodeByClass(_MEASURES[kind], scene.GenerateUniqueName(kind.capitalize()))
        node.SetAttribute(MEASURE, kind)
        node.CreateDefaultDisplayNodes()
    for point in np.asarray(points) * FLIP:
        node.AddControlPoint(*point.tolist())
    return node


def measures_of(scene: slicer.vtkMRMLScene) -> list[tuple[Kind, np.ndarray]]:
    """Distances and angles in the scene, whoever made them: the kind, and points (N, 3), LPS mm."""
    found: list[tuple[Kind, np.ndarray]] = []
    for kind, name in _MEASURES.items():
        for node in nodes_of(scene, name):
            points = _points(node)
            if len(points) == (2 if kind == "distance" else 3):
                found.append((kind, points * FLIP))
    return found


def remove_measures(scene: slicer.vtkMRMLScene) -> None:
    """Take away the measures that were made here."""
    for name in _MEASURES.values():
        for node in nodes_of(scene, name):
            if node.GetAttribute(MEASURE):
                scene.RemoveNode(node)


def _new_curve(scene, jaws: str, volume_node):
    node = scene.AddNewNodeByClass(_CURVE, _NAMES[jaws])
    node.SetNodeReferenceID(SCAN, volume_node.GetID())
    node.SetControlPointLabelFormat("")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*_COLOURS[jaws])
    display.SetPropertiesLabelVisibility(False)
    display.SetGlyphScale(1.5)
    return node


def _put(node, points: np.ndarray) -> None:
    before = node.StartModify()
    while node.GetNumberOfControlPoints() > len(points):
        node.RemoveNthControlPoint(node.GetNumberOfControlPoints() - 1)
    for n, point in enumerate(points.tolist()):
        if n == node.GetNumberOfControlPoints():
            node.AddControlPoint(*point)
        else:
            node.SetNthControlPointPosition(n, *point)
    node.EndModify(before)


def _points(node) -> np.ndarray:
    """Placed points (N, 3), RAS mm in the world."""
    found, place = [], [0.0, 0.0, 0.0]
    for n in range(node.GetNumberOfControlPoints()):
        if node.GetNthControlPointPositionStatus(n) == node.PositionDefined:
            node.GetNthControlPointPositionWorld(n, place)
            found.append(tuple(place))
    return np.array(found, float).reshape(-1, 3)


def _to_world(node) -> np.ndarray:
    """The matrix (4, 4) from a node's own RAS to the world; without a transform, or under one that bends, the identity."""
    transform, matrix = node.GetParentTransformNode(), to_vtk(np.eye(4))
    if transform is not None and transform.IsTransformToWorldLinear():
        transform.GetMatrixTransformToWorld(matrix)
    return to_numpy(matrix)


def _turned(frame: Frame, matrix: np.ndarray) -> Frame:
    """A frame, LPS, under a matrix (4, 4), RAS."""
    matrix = LPS_RAS @ matrix @ LPS_RAS
    return Frame(matrix[:3, :3] @ frame.origin + matrix[:3, 3], matrix[:3, :3] @ frame.axes)


def _arch_attribute(node) -> dict:
    """The content of the attribute `ARCH`.

    Raises
    ------
    InputError
        If another program has changed it.
    """
    try:
        attribute = json.loads(node.GetAttribute(ARCH))
        if (
            attribute["jaws"] not in _NAMES
            or np.shape(attribute["axes"]) != (3, 3)
            or set(attribute["heights"]) != {"upper", "lower", "both"}
        ):
            raise ValueError
        return attribute
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{node.GetName()}' is no arch of TeethSeg any more: remove it, and draw the arch anew."
        ) from error


def _is_sound(node) -> bool:
    try:
        _arch_attribute(node)
    except InputError:
        return False
    return True
