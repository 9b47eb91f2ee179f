"""Clicks into the views, and the keyboard in the chart."""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import pytest
import slicer
import vtk
from PySide6 import QtGui

from teethseg.mrml.segments import SURFACE
from teethseg.mrml.volumes import to_numpy


@pytest.fixture
def views(shown, module, desktop):
    """The module, entered where there are views."""
    manager = desktop.open_views()
    module.exit()
    module.enter()
    yield manager
    module.exit()
    del slicer.app.layoutManager


def words(menu) -> list[str]:
    return [QtGui.QAction.text(action) for action in menu.actions()]


def pixel_of(node, ras) -> tuple[float, float]:
    return tuple((np.linalg.inv(to_numpy(node.GetXYToRAS())) @ [*ras, 1.0])[:2])


def test_a_click_on_a_tooth_in_a_slice_chooses_it(views, shown, module):
    for (node, view), fdi in zip(views.slices.values(), (46, 13, 27), strict=True):
        centre = shown.case.centre(fdi)
        node.JumpSliceByOffsetting(*centre)
        view.click(*pixel_of(node, centre), moved=20)  # the view was turned or zoomed
        assert shown.case.selected != fdi
        view.click(*pixel_of(node, centre))
        assert shown.case.selected == fdi and shown.panel.teeth.chart.buttons[fdi].checked
    view.click(*pixel_of(node, (0.0, 60.0, 0.0)))  # beside all teeth
    assert shown.case.selected == fdi
    module.exit()
    node.JumpSliceByOffsetting(*shown.case.centre(46))
    view.click(*pixel_of(node, shown.case.centre(46)))
    assert shown.case.selected == fdi


def test_a_click_on_a_tooth_in_3d_chooses_it(views, shown):
    shown.panel.context.surfaces.finish()
    renderer = views.view.renderWindow().GetRenderers().GetFirstRenderer()
    for identity in shown.teeth.GetSegmentation().GetSegmentIDs():
        mapper, actor = vtk.vtkPolyDataMapper(), vtk.vtkActor()
        mapper.SetInputData(shown.teeth.GetSegmentation().GetSegment(identity).GetRepresentation(SURFACE))
        actor.SetMapper(mapper)
        renderer.AddActor(actor)
    camera, (x, y, z) = renderer.GetActiveCamera(), shown.case.centre(11)
    camera.SetFocalPoint(x, y, z)
    camera.SetPosition(x, y + 200.0, z)
    camera.SetViewUp(0, 0, 1)
    renderer.ResetCameraClippingRange()
    views.view.click(150, 150)
    assert shown.case.selected == 11
    views.view.click(2, 2)  # past all of them
    assert shown.case.selected == 11


def test_clicks_that_are_somebody_elses_choose_nothing(views, shown, desktop):
    node, view = views.slices["Red"]
    centre = shown.case.centre(46)
    node.JumpSliceByOffsetting(*centre)
    from teethseg.panel import view_clicks

    interaction = desktop.application_logic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.Place)
    view.click(*pixel_of(node, centre))
    assert shown.case.selected is None
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    shown.ui.editorSection.collapsed = False
    shown.ui.segmentEditor.setActiveEffectByName("Paint")
    view.click(*pixel_of(node, centre))
    assert shown.case.selected is None and view_clicks.menu_at(centre) is None
    shown.ui.segmentEditor.setActiveEffectByName("")
    view.click(*pixel_of(node, centre))
    assert shown.case.selected == 46


def test_views_of_another_layout_are_listened_to(views, shown):
    node, view = views.slices["Red"]
    fresh = type(view)((300, 300))
    views.slices["Red"] = (node, fresh)
    for slot in list(views.slots):
        slot(3)
    assert len(views.slots) == 1
    centre = shown.case.centre(46)
    node.JumpSliceByOffsetting(*centre)
    fresh.click(*pixel_of(node, centre))
    assert shown.case.selected == 46


def test_slicers_menu_in_views_has_that_of_the_tooth(views, shown, module, monkeypatch):
    base = types.ModuleType("AbstractScriptedSubjectHierarchyPlugin")
    base.AbstractScriptedSubjectHierarchyPlugin = object
    monkeypatch.setitem(sys.modules, base.__name__, base)
    kind = types.SimpleNamespace(SectionNode=100, setActionPosition=lambda action, place: None)
    monkeypatch.setattr(slicer, "qSlicerSubjectHierarchyAbstractPlugin", kind, raising=False)
    file = importlib.import_module("teethseg.panel.TeethSegSubjectHierarchyPlugin")
    import qt

    plugin = file.TeethSegSubjectHierarchyPlugin(qt.QObject())
    (action,) = plugin.viewContextMenuActions()
    assert not action.visible
    plugin.showViewContextMenuActionsForItem(3, {"ViewNodeID": "x", "WorldPosition": list(shown.case.centre(46))})
    assert action.visible and action.text == "Tooth 46" and shown.case.selected == 46
    texts = words(action.menu())
    assert texts == words(shown.panel.teeth.menu_for(46))
    plugin.showViewContextMenuActionsForItem(3, {"ViewNodeID": "x", "WorldPosition": [0.0, 60.0, 0.0]})
    assert not action.visible
    plugin.showViewContextMenuActionsForItem(3, {"ViewNodeID": "x"})
    assert not action.visible
    crosshair = shown.case.scene.AddNewNodeByClass(
        "vtkMRMLCrosshairNode"
    )  # without a point, the crosshair has the place of the mouse
    crosshair.SetCursorPositionRAS(shown.case.centre(36))
    plugin.showViewContextMenuActionsForItem(3, {"ViewNodeID": "x"})
    assert action.visible and action.text == "Tooth 36"
    module.exit()
    plugin.showViewContextMenuActionsForItem(3, {"WorldPosition": list(shown.case.centre(46))})
    assert not action.visible


def test_points_beside_a_tooth_belong_to_it_and_those_far_off_to_none(shown):
    centre = shown.case.centre(46)
    assert shown.case.tooth_near(np.add(centre, [0, 0, 4.6])) == 46  # the box is 8 mm high
    assert shown.case.tooth_near(np.add(centre, [0, 0, -7.0])) is None
    assert shown.case.tooth_near((500.0, 500.0, 500.0)) is None


# --- the keyboard ----------------------------------------------------------------------------------------------------


def test_the_chart_is_one_stop_of_the_tab_key_and_arrows_choose(shown, desktop):
    import qt

    chart = shown.panel.teeth.chart

    def stops() -> list[int]:
        return [fdi for fdi, button in chart.buttons.items() if button.focusPolicy & qt.Qt.TabFocus.value]

    assert stops() == [18]
    chart.go(1, 0)
    assert shown.case.selected == 17 and stops() == [17]
    chart.go(0, 1)
    assert shown.case.selected == 47
    chart.go(0, 1)  # there is no row below
    assert shown.case.selected == 47
    for _ in range(20):
        chart.go(1, 0)
    assert shown.case.selected == 38 and stops() == [38]  # a free place can be chosen, to mark it as missing
    chart.go(0, -1)
    assert shown.case.selected == 28
    shown.panel.teeth.choose(11)  # with the mouse
    assert stops() == [11]


def test_keys_in_the_chart_move_and_open_the_menu(shown, module, desktop):
    chart = shown.panel.teeth.chart
    keys = {shortcut.key.toString(): shortcut for shortcut in chart.keys}
    shown.panel.teeth.choose(46)
    keys["Right"].activated.emit()
    assert shown.case.selected == 45
    keys["Up"].activated.emit()
    assert shown.case.selected == 15
    keys["Menu"].activated.emit()
    menu = shown.panel.teeth.menu
    assert menu.visible and "Another number" in words(menu)
    menu.hide()


def test_a_button_is_not_framed_after_its_menu_has_closed(shown):
    import qt

    chart = shown.panel.teeth.chart
    chart.buttons[46].setAttribute(qt.Qt.WA_UnderMouse, True)
    chart.menu_wanted.emit(46, qt.QPoint(5, 5))
    shown.panel.teeth.menu.hide()
    assert not chart.buttons[46].testAttribute(qt.Qt.WA_UnderMouse)
