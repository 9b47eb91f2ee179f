"""`Workspace`: the open case with all that windows ask about it and do to it; the base of the panel's and the page's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .case import Case
from .compute import Compute, at_once
from .finding_queue import FindingQueue
from .label_numbering import LabelNumbering
from .look import Look
from .question_cards import QuestionCards
from .questions import Ask
from .relabelling import Relabelling
from .review_queue import ReviewQueue


class Workspace:
    """See module.

    Parameters
    ----------
    scene : vtkMRMLScene
    ask : Ask
    later : callable
        Makes a function that has a handler called once, when the events of the scene are over.
    compute : Compute
        How the window does what takes its time.
    """

    def __init__(self, scene, ask: Ask, later: Callable[[Callable[[], Any]], Callable], compute: Compute = at_once):
        self.case = Case(scene, compute)
        self.relabelling = Relabelling(self.case)
        self.review = ReviewQueue(self.case, self.relabelling)
        self.findings = FindingQueue(self.case)
        self.look = Look(self.case, self.review)
        self.cards = QuestionCards(self.findings, self.review, self.relabelling, self.look)
        self.numbering = LabelNumbering(self.case, ask, later)
