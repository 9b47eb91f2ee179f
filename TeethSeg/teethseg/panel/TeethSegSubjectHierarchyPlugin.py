"""TeethSeg's entry in the menu that Slicer opens by a right click into a view: the menu of the tooth there.

Slicer runs this file by itself, outside the package. It requires the file to have the name of its class.
"""  # noqa: N999

from __future__ import annotations

from typing import Any

import qt
import slicer
from AbstractScriptedSubjectHierarchyPlugin import AbstractScriptedSubjectHierarchyPlugin


class TeethSegSubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
    """See module."""

    filePath = __file__

    def __init__(self, scriptedPlugin):
        # Not the base class's, which would register it before Slicer can ask it anything.
        scriptedPlugin.name = "TeethSeg"
        self.scriptedPlugin = scriptedPlugin
        self.action = qt.QAction("", scriptedPlugin)
        self.action.objectName = "TeethSegToothAction"
        self.action.visible = False
        kind: Any = getattr(slicer, "qSlicerSubjectHierarchyAbstractPlugin", None)
        if hasattr(kind, "setActionPosition"):
            kind.setActionPosition(self.action, kind.SectionTop if hasattr(kind, "SectionTop") else kind.SectionNode)

    def viewContextMenuActions(self):
        """The actions that may be shown."""
        return [self.action]

    def showViewContextMenuActionsForItem(self, _item, eventData=None):
        """Show the action if there is a tooth where the mouse is; Slicer hides it before."""
        from teethseg.application.i18n import _
        from teethseg.panel.view_clicks import menu_at

        found = menu_at((eventData or {}).get("WorldPosition"))
        self.action.visible = found is not None
        if found is not None:
            _fdi, name, menu = found
            self.action.text = _("Tooth {name}").format(name=name)
            self.action.setMenu(menu)


def register():
    """Register the plugin with Slicer.

    Returns
    -------
    qSlicerSubjectHierarchyScriptedPlugin
        The caller keeps it: Slicer does not.
    """
    plugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
    plugin.setPythonSource(TeethSegSubjectHierarchyPlugin.filePath)
    slicer.qSlicerSubjectHierarchyPluginHandler.instance().registerPlugin(plugin)
    return plugin
