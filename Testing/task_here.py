"""Background tasks without another process, for tests of both windows."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from teethseg.io.json_text import read_json
from teethseg.worker.failure_messages import failure_of
from teethseg.worker.files import RESULT


class TaskHere:
    """Runs a task at once, in this process, by the same files that another process gets; see `application.background_tasks`."""

    def __init__(self, task):
        from teethseg.application import background_tasks, task_process

        self.state = "done"
        self._messages: list = []
        self._place = tempfile.TemporaryDirectory()
        self.folder = Path(self._place.name)
        self._details = ""
        try:
            for _ in background_tasks.hand_over(task, self.folder):
                pass
            task_process.run(self.folder, self._messages.append)
        except Exception as error:
            self.state, self._details = "failed", traceback.format_exc()
            self._messages.append(failure_of(error, "here"))

    def poll(self) -> list:
        messages, self._messages = self._messages, []
        return messages

    def result(self):
        return read_json(self.folder / RESULT)

    def details(self) -> str:
        return self._details

    def close(self) -> None:
        self._place.cleanup()

    cancel = close
