"""Finds the files of the scan and its segmentation in a saved scene of 3D Slicer (.mrml, .mrb)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree

from ..errors import InputError

_LARGEST = 50 << 20  # bytes of XML


@dataclass(frozen=True)
class SceneFiles:
    """The files of a scan and its segmentation; for a bundle, paths inside it."""

    image: Path
    labels: Path


def scene_files(scene: Path) -> SceneFiles:
    """The scan and the segmentation of a `.mrml` file.

    Raises
    ------
    InputError
        If it is damaged, holds no segmentation or several, or the two lie under different transforms.
    """
    try:
        if scene.stat().st_size > _LARGEST:
            raise InputError(f"{scene.name} is too large for a scene: save it again in 3D Slicer.")
        text = scene.read_bytes()
    except OSError as error:
        raise InputError(f"{scene.name} cannot be read ({error.strerror}): check the path.") from error
    return _files(text, scene.name, scene.parent, _exists)


def archived_scene(bundle: Path) -> SceneFiles:
    """The scan and the segmentation of a `.mrb` file, as paths inside it.

    Raises
    ------
    InputError
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            names = set(archive.namelist())
            scenes = [name for name in names if name.lower().endswith(".mrml")]
            if len(scenes) != 1 or archive.getinfo(scenes[0]).file_size > _LARGEST:
                raise InputError(f"{bundle.name} holds no scene: save it again in 3D Slicer.")
            text = archive.read(scenes[0])
    except InputError:
        raise
    except Exception as error:  # decompressors raise many kinds of error
        raise InputError(f"{bundle.name} is damaged or no scene bundle: save it again in 3D Slicer.") from error
    place = Path(PurePosixPath(scenes[0]).parent)
    return _files(text, bundle.name, place, lambda path: path.as_posix() in names)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _files(text: bytes, name: str, place: Path, exists: Callable[[Path], bool]) -> SceneFiles:
    try:
        nodes = {node.get("id", ""): node for node in ElementTree.fromstring(text)}
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the last two of unknown encodings
        raise InputError(f"{name} is damaged: save the scene again in 3D Slicer.") from error
    volumes = {key: node for key, node in nodes.items() if node.tag == "Volume"}
    segmentations = [node for node in nodes.values() if node.tag == "Segmentation"]
    if not segmentations or not volumes:
        lacking = "segmentation" if volumes else "scan"
        raise InputError(f"{name} holds no {lacking}: save a scene with a scan and the segmentation of its teeth.")
    if len(segmentations) > 1:
        names = ", ".join(node.get("name", "") for node in segmentations[:3])
        raise InputError(f"{name} holds {len(segmentations)} segmentations ({names}): leave the one that is right.")
    labels = segmentations[0]
    reference = _references(labels).get("referenceImageGeometryRef", "")
    if reference not in volumes and len(volumes) > 1:
        raise InputError(f"{name} does not tell of which of {len(volumes)} scans its segmentation is: leave one.")
    image = volumes[reference] if reference in volumes else next(iter(volumes.values()))
    if _references(image).get("transform", "") != _references(labels).get("transform", ""):
        raise InputError(
            f"Scan and segmentation of {name} lie under different transforms: put both under the same, or harden them."
        )
    return SceneFiles(*(_file(node, nodes, name, place, exists) for node in (image, labels)))


def _references(node: ElementTree.Element) -> dict[str, str]:
    """Identifiers of the nodes that a node refers to, by role; the first one of each role."""
    pairs = (part.partition(":") for part in node.get("references", "").split(";"))
    found = {role.strip(): targets.split()[0] for role, _, targets in pairs if targets.split()}
    for role, attribute in (("storage", "storageNodeRef"), ("transform", "transformNodeRef")):  # before 4.11
        if node.get(attribute):
            found.setdefault(role, node.get(attribute, ""))
    return found


def _file(node, nodes, name: str, place: Path, exists: Callable[[Path], bool]) -> Path:
    storage = nodes.get(_references(node).get("storage", ""))
    stored = storage.get("fileName", "") if storage is not None else ""
    for text in (stored, unquote(stored)):
        if text and exists(place / text):
            return place / text
    raise InputError(f"{name} has no file of '{node.get('name', '')}': save the scene with all its data.")
