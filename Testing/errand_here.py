"""Errands without another process, for tests of both windows."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from teethseg.io.json_text import read_json
from teethseg.worker.failure_messages import failure_of
from teethseg.worker.files import RESULT


class ErrandHere:
    """Runs an errand at once, in this process, by the same files that another process gets; see `application.errands`."""

    def __init__(self, errand):
        from teethseg.application import errand_process, errands

        self.state = "done"
        self._messages: list = []
        self._place = tempfile.TemporaryDirectory()
        self.folder = Path(self._place.name)
        self._details = ""
        try:
            for _ in errands._hand_over(errand, self.folder):
                pass
            errand_process.run(self.folder, self._messages.append)
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
