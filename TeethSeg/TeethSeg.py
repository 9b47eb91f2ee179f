"""TeethSeg in 3D Slicer: the module, its panel, the functions for scripts, and the tests that run inside Slicer."""

from __future__ import annotations

import time
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class TeethSeg(ScriptedLoadableModule):
    """The module's entry in Slicer's menus."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("TeethSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "SegmentEditor", "SubjectHierarchy"]
        parent.contributors = ["TeethSeg contributors"]
        parent.helpText = _(
            "Finds, outlines and numbers every tooth in a dental cone-beam CT, helps to correct them and to annotate by "
            "hand, and writes surfaces for printing. Choose a scan and press 'Segment teeth'."
        )
        notice = _("Research use, not a medical device.")
        parent.helpText += f"<p><b>{notice}</b></p>"
        parent.acknowledgementText = _("TeethSeg is free software under the Apache License 2.0.")
        slicer.app.connect("startupCompleted()", self.on_startup)

    def on_startup(self) -> None:
        """Register sample data, tooth names and the menu in views with Slicer; nothing is downloaded."""
        from teethseg.application import i18n, samples
        from teethseg.mrml import terminology
        from teethseg.panel.sample_data import load_simulated

        i18n.use(translate)
        terminology.load(slicer.modules.terminologies.logic())
        if slicer.app.commandOptions().noMainWindow:
            return
        import SampleData

        from teethseg.panel import TeethSegSubjectHierarchyPlugin

        register = SampleData.SampleDataLogic.registerCustomSampleDataSource
        samples.register_samples(register, Path(__file__).parent / "Resources" / "Icons", load_simulated)
        self.view_menu = TeethSegSubjectHierarchyPlugin.register()


class TeethSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel in Slicer: brings scene events to `teethseg.panel`."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self) -> None:
        from teethseg.application import i18n

        i18n.use(translate)
        from teethseg.panel.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/TeethSeg.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = TeethSegLogic()
        self.panel = Panel(widget, slicer.mrmlScene)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.on_scene_closing)
        self.addObserver(scene, scene.EndCloseEvent, self.on_scene_changed)
        self.addObserver(scene, scene.StartImportEvent, self.on_scene_importing)
        self.addObserver(scene, scene.EndImportEvent, self.on_scene_changed)
        self.addObserver(scene, scene.NodeAddedEvent, self.on_node_added)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.on_node_removed)
        self.on_scene_changed()

    def cleanup(self) -> None:
        self.removeObservers()
        self.panel.close()

    def enter(self) -> None:
        if self.panel.context.parameters is None:
            self.on_scene_changed()
        self.panel.enter()

    def exit(self) -> None:
        self.panel.exit()

    def on_scene_closing(self, _caller=None, _event=None) -> None:
        self.panel.segment.run.stop()
        self.panel.exit()
        self.panel.set_parameters(None)

    def on_scene_importing(self, _caller=None, _event=None) -> None:
        # Else the selectors take the first nodes that arrive, and write them over those of the scene that is read.
        self.panel.set_parameters(None)

    def on_scene_changed(self, _caller=None, _event=None) -> None:
        if not slicer.mrmlScene.IsClosing():
            self.panel.set_parameters(self.logic.getParameterNode())

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_added(self, _caller, _event, node) -> None:
        self.panel.node_added(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_removed(self, _caller, _event, node) -> None:
        self.panel.segment.run.node_removed(node)


class TeethSegLogic(ScriptedLoadableModuleLogic):
    """For scripts: segment a volume without the panel."""

    def getParameterNode(self):
        from teethseg.panel.parameters import Parameters

        return Parameters(super().getParameterNode())

    def segment(
        self,
        volumeNode,
        notation: str = "fdi",
        labels: str = "fdi",
        device: str = "auto",
        weights=None,
        dentition: str = "auto",
    ):
        """Find the teeth of a scan and put them into the scene; waits for the end, while Slicer stays responsive.

        Parameters
        ----------
        volumeNode : vtkMRMLScalarVolumeNode
        notation : {'fdi', 'universal', 'palmer'}
        labels : {'fdi', 'position'}
        device : {'auto', 'cpu', 'cuda', 'mps'}
        weights : path, optional
        dentition : {'auto', 'permanent', 'mixed'}
            Which of TeethSeg's networks; 'auto' goes by the patient's age, where it is known.

        Returns
        -------
        vtkMRMLSegmentationNode

        Raises
        ------
        teethseg.errors.TeethSegError
            One line with the cause and the remedy.
        """
        from teethseg.application.packages import worker_python
        from teethseg.errors import TeethSegError
        from teethseg.mrml.teeth import write_teeth
        from teethseg.mrml.volumes import volume_of
        from teethseg.worker.client import Job, Run
        from teethseg.worker.protocol import Failure

        with Run(Job(volume_of(volumeNode), device, weights, dentition), python=worker_python()) as run:
            while run.state == "running":
                for message in run.poll():
                    if isinstance(message, Failure):
                        raise TeethSegError(message.text)
                slicer.app.processEvents()
                time.sleep(0.05)
            return write_teeth(slicer.mrmlScene, run.result().dentition, volumeNode, notation, labels)


class TeethSegTest(ScriptedLoadableModuleTest):
    """The whole job inside Slicer: segments a simulated scan and corrects it."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_panel_opens()
        self.setUp()
        self.test_segments_a_simulated_scan()

    def test_panel_opens(self):
        slicer.util.selectModule("TeethSeg")
        panel = slicer.util.getModuleWidget("TeethSeg").panel
        self.assertFalse(panel.ui.segmentButton.enabled)
        self.assertIn("not a medical device", panel.ui.noticeLabel.text)

    def test_segments_a_simulated_scan(self):
        from teethseg.application.packages import missing_packages, worker_python

        missing = missing_packages()
        if missing:
            self.delayDisplay(f"Skipped, not installed: {', '.join(str(package) for package in missing)}")
            return
        import tempfile

        from teethseg.application.simulated_scan import simulated_case
        from teethseg.correction import remove_tooth
        from teethseg.mrml.teeth import apply_edit, read_labels, undo

        with tempfile.TemporaryDirectory() as folder:
            case = simulated_case(Path(folder), worker_python(), lambda: True)
            volume = slicer.util.loadVolume(str(case / "image.nrrd"))
        node = TeethSegLogic().segment(volume)
        count = node.GetSegmentation().GetNumberOfSegments()
        self.assertGreater(count, 10)
        labels = read_labels(node, volume)
        fdi = int(labels[labels > 0][0])
        apply_edit(node, volume, remove_tooth(labels, fdi))
        self.assertEqual(node.GetSegmentation().GetNumberOfSegments(), count - 1)
        undo(node)
        self.assertEqual(node.GetSegmentation().GetNumberOfSegments(), count)
