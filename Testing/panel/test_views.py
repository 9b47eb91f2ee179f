"""The views of the desktop follow the panel."""

from __future__ import annotations

import numpy as np

from panel_harness.widgets import nodes_of


def crossing(scene) -> np.ndarray:
    """Where the three slices meet, RAS mm."""
    planes = [node.GetSliceToRAS() for node in nodes_of(scene, "vtkMRMLSliceNode")]
    normals, origins = (np.array([[one.GetElement(row, n) for row in range(3)] for one in planes]) for n in (2, 3))
    return np.linalg.solve(normals, (normals * origins).sum(axis=1))


def test_a_chosen_tooth_is_centred_and_marked_and_the_whole_scan_comes_back(shown):
    shown.panel.teeth.choose(46)
    np.testing.assert_allclose(crossing(shown.case.scene), shown.case.centre(46), atol=0.5)
    display = shown.teeth.GetDisplayNode()
    assert display.GetSegmentOpacity3D("tooth_46") == 1 > display.GetSegmentOpacity3D("tooth_45")
    fields = [node.GetFieldOfView()[0] for node in nodes_of(shown.case.scene, "vtkMRMLSliceNode")]
    shown.panel.teeth.choose(46)  # a double click
    closer = [node.GetFieldOfView()[0] for node in nodes_of(shown.case.scene, "vtkMRMLSliceNode")]
    assert max(closer) < min(fields)
    shown.ui.wholeScanButton.click()
    bounds = [0.0] * 6
    shown.volume.GetRASBounds(bounds)
    np.testing.assert_allclose(crossing(shown.case.scene), np.reshape(bounds, (3, 2)).mean(axis=1), atol=0.5)


def test_the_next_question_takes_the_views_along(shown):
    shown.ui.doubtLaterButton.click()
    assert shown.case.selected == shown.panel.context.review.current.fdi
    np.testing.assert_allclose(crossing(shown.case.scene), shown.case.centre(shown.case.selected), atol=0.5)


def test_the_next_tooth_to_annotate_takes_the_views_along(shown):
    shown.ui.annotateStartButton.click()
    first = shown.case.selected
    np.testing.assert_allclose(crossing(shown.case.scene), shown.panel.context.look.place(first), atol=0.5)
    shown.ui.missingToothButton.click()
    assert shown.case.selected != first
    place = shown.panel.context.look.place(shown.case.selected)
    np.testing.assert_allclose(crossing(shown.case.scene), place, atol=0.5)


def test_numbers_stand_at_the_teeth_and_can_be_switched_off(shown, desktop):
    shown.panel.teeth.choose(46)
    desktop.process_events()
    lists = nodes_of(shown.case.scene, "vtkMRMLMarkupsFiducialNode")
    texts = [one.GetNthControlPointLabel(n) for one in lists for n in range(one.GetNumberOfControlPoints())]
    assert texts.count("46") == 4  # in three slices and in 3D
    shown.ui.numbersCheckBox.click()
    desktop.process_events()
    assert not nodes_of(shown.case.scene, "vtkMRMLMarkupsFiducialNode")
    assert shown.panel.parameters().numbers is False  # kept with the scene


def test_the_panel_fits_a_laptop(shown, module):
    from PySide6 import QtWidgets

    for section in ("segment", "teeth", "correct", "annotate", "export", "computer"):
        for other in ("segment", "teeth", "correct", "annotate", "export", "computer"):
            getattr(shown.ui, f"{other}Section").collapsed = other != section
        assert QtWidgets.QWidget.minimumSizeHint(module.parent).width() <= 440, section


def test_the_head_is_straightened_and_turned_back(panel, desktop):
    from arch_phantom import TURNED, phantom
    from teethseg.arch_views.frame import dentition_frame, tooth_voxels
    from teethseg.cascade.dentition import Dentition, FoundTooth
    from teethseg.mrml.teeth import write_teeth
    from teethseg.mrml.volumes import node_of

    head = phantom(TURNED)
    volume = node_of(panel.case.scene, head.scan, "scan")
    found = tuple(FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre)) for one in tooth_voxels(head.labels))
    panel.parameters().volume = volume
    panel.parameters().segmentation = write_teeth(panel.case.scene, Dentition(head.labels, found), volume)

    def tilt() -> float:
        frame = dentition_frame(tooth_voxels(panel.case.scan().with_array(panel.case.labels())))
        return float(np.degrees(np.arccos(np.clip(np.diag(frame.axes), -1, 1))).max())

    assert tilt() > 10
    panel.ui.straightenButton.click()
    assert panel.ui.straightenButton.checked and tilt() < 0.5
    panel.ui.straightenButton.click()
    assert not panel.ui.straightenButton.checked and tilt() > 10


def test_the_place_tool_is_left_as_it_was_found(shown, desktop):
    logic = desktop.application_logic()
    selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsROINode")
    interaction.SetPlaceModePersistence(0)
    shown.panel.teeth.choose(46)
    shown.ui.regrowButton.click()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsFiducialNode"
    shown.ui.dismissButton.click()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsROINode"
    assert interaction.GetPlaceModePersistence() == 0
