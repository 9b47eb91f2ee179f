"""The section "Many scans"."""

from __future__ import annotations

from pathlib import Path


class Batch:
    """Reports the messages of a process, step by step."""

    def __init__(self, task):
        from teethseg.worker.protocol import Progress

        self.arguments, self.state = task.arguments, "running"
        self.messages = [
            [Progress("look for scans", 0, 1)],
            [Progress("segment", 1, 4)],
            [Progress("segment", 3, 4)],
        ]

    def poll(self):
        if not self.messages:
            self.state = "done"
            return []
        return self.messages.pop(0)

    def result(self):
        return {
            "index": str(Path(self.arguments["output"]) / "index.html"),
            "scans": 4,
            "failed": 1,
            "kept": 1,
            "corrected": 0,
        }

    def details(self):
        return ""

    def close(self):
        pass

    def cancel(self):
        self.state = "cancelled"


def test_a_folder_is_segmented_while_the_user_goes_on(shown, answers, picture, tmp_path):
    panel, ui, begun = shown.panel, shown.ui, []
    panel.batch.run.tasks.launch = lambda task: begun.append(Batch(task)) or begun[-1]
    ui.batchButton.click()
    assert ui.batchMessage.text == "Choose the folder that holds the scans." and not begun
    ui.batchFolderPath.currentPath, ui.batchOutputPath.currentPath = str(tmp_path), str(tmp_path / "out")
    ui.batchSurfacesCheckBox.checked = True
    ui.batchDentitionCombo.currentIndex = 2
    ui.batchButton.click()
    assert begun[0].arguments["folder"] == str(tmp_path) and begun[0].arguments["surfaces"] is True
    assert begun[0].arguments["dentition"] == "mixed" and not ui.batchDentitionCombo.enabled
    assert ui.batchButton.text == "Cancel" and ui.batchMessage.text == "Looking for scans …"
    assert ui.exportButton.enabled is bool(ui.exportPath.currentPath)  # exports need not wait for it
    panel.batch.run.poll()
    assert ui.batchMessage.text == "1 of 4 scans" and ui.batchProgress.value == 250
    panel.batch.run.poll()
    assert ui.batchMessage.text.startswith("3 of 4 scans · about")
    picture("many-scans", "batch")
    panel.batch.run.poll()
    assert ui.batchMessage.text == "3 of 4 scans are segmented. 1 failed: the page of results says why."
    assert answers.opened == [str(tmp_path / "out" / "index.html")]
    assert ui.batchButton.text == "Segment all scans of the folder" and not ui.batchProgress.visible


def test_cancel_says_that_what_is_done_stays(shown, tmp_path, answers):
    panel, ui = shown.panel, shown.ui
    panel.batch.run.tasks.launch = Batch
    ui.batchFolderPath.currentPath, ui.batchOutputPath.currentPath = str(tmp_path), str(tmp_path / "out")
    ui.batchButton.click()
    ui.batchButton.click()
    assert ui.batchMessage.text.startswith("Cancelled. The scans that are done stay")
    assert not panel.batch.run.running and not answers.opened
