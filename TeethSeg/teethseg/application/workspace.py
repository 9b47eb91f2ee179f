"""`Workspace`: the open case with its questions, corrections and views; base of the panel's `Context` and the page's `Host`."""

from __future__ import annotations

from .case import Case
from .compute import Compute, Later, at_once
from .finding_queue import FindingQueue
from .label_numbering import LabelNumbering
from .question_cards import QuestionCards
from .questions import Ask
from .relabelling import Relabelling
from .review_queue import ReviewQueue
from .surface_queue import SurfaceQueue
from .tooth_numbers import ToothNumbers
from .view_navigation import ViewNavigation


class Workspace:
    """See module.

    Parameters
    ----------
    scene : vtkMRMLScene
    ask : Ask
    later : callable
        Makes a function that has a handler called once, when the events of the scene are over.
    compute : Compute
        How the window does longer work.
    between : callable, optional
        As `later`, but the user comes first: for slices of work in the background. `later` unless given.
    at_rest : callable, optional
        As `later`, but once the user has paused for a fifth of a second. `later` unless given.
    """

    def __init__(
        self,
        scene,
        ask: Ask,
        later: Later,
        compute: Compute = at_once,
        between: Later | None = None,
        at_rest: Later | None = None,
    ):
        self.case = Case(scene, compute)
        self.relabelling = Relabelling(self.case)
        self.review = ReviewQueue(self.case, self.relabelling)
        self.findings = FindingQueue(self.case)
        self.navigation = ViewNavigation(self.case, self.review)
        self.cards = QuestionCards(self.findings, self.review, self.relabelling, self.navigation)
        self.label_numbering = LabelNumbering(self.case, ask, later)
        self.tooth_numbers = ToothNumbers(self.case, later, at_rest or later)
        self.surfaces = SurfaceQueue(scene, between or later)
