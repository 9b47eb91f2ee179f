"""Questions about the dentition as a whole: one at a time, the worst first; both windows share them."""

from __future__ import annotations

from ..cascade.dentition import UNCERTAIN_NUMBER
from ..cascade.findings import EXTRACTED, MIXED, SHIFTED, Answer, Finding, find
from .case import MISSING, Case
from .finding_texts import answer_text, finding_text
from .i18n import _
from .signals import Signal

ANSWERED = "TeethSeg.answered"  # attribute of the segmentation: findings that the user has dealt with


class FindingQueue:
    """Open findings; an answer changes all numbers that depend on it, as one step to undo.

    Attributes
    ----------
    changed : Signal
        There are other findings.
    again : Signal
        The scan is to be segmented again, with the networks for such a dentition ("mixed").
    """

    def __init__(self, case: Case):
        self._case = case
        self._open: tuple[Finding, ...] = ()
        self._known: tuple | None = None  # the state that the findings depend on
        self.changed = Signal()
        self.again = Signal()
        case.changed.connect(self.update)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def current(self) -> Finding | None:
        """The one to ask now."""
        return self._open[0] if self._open else None

    def update(self) -> None:
        """Take over the teeth as they are now."""
        case, node = self._case, self._case.teeth_node
        present = [place for place in case.chart() if place.present] if case.editable and not case.by_hand else []
        marks = case.attribute(MISSING), case.attribute(ANSWERED)
        known = (node, marks, [(place.fdi, place.flags, place.second_fdi) for place in present])
        if known == self._known:
            return
        self._known = known
        found: tuple[Finding, ...] = ()
        if present:
            from ..mrml.teeth import found_teeth

            answered = marks[1].split()
            found = tuple(
                one for one in find(found_teeth(node), case.missing()) if not self._was_answered(one, answered)
            )
        if found != self._open:
            self._open = found
            self.changed.emit()

    def _was_answered(self, finding: Finding, answered: list[str]) -> bool:
        """Whether the user has dealt with a finding, or with one of the same kind about these teeth and others.

        Closed gaps are answered one at a time, so what is left of such a finding is asked for. Of deciduous teeth those do not
        count that the user has called so.
        """
        if finding.kind == EXTRACTED:
            return _key(finding) in answered
        teeth = set(map(str, finding.teeth))
        lists = [set(key.partition(":")[2].split("-")) for key in answered if key.startswith(f"{finding.kind}:")]
        if finding.kind == MIXED and lists:
            teeth -= set(map(str, self._case.corrected()))
        return any(teeth <= one for one in lists)

    def text(self) -> str:
        """How many findings there are, and the current one."""
        if self.current is None:
            return ""
        count = len(self)
        head = _("The whole dentition") if count == 1 else _("The whole dentition, 1 of {count}").format(count=count)
        return f"<b>{head}:</b> {finding_text(self.current, self._case.notation)}"

    def answers(self) -> list[str]:
        """Texts of the buttons, the last of them for leaving all as it is."""
        if self.current is None:
            return []
        texts = [answer_text(self.current, one, self._case.notation) for one in self.current.answers]
        if self.current.kind == SHIFTED:  # each of them is asked for then
            return [*texts, _("Decide tooth by tooth")]
        return [*texts, _("Leave it as it is") if texts else _("I have seen it")]

    def answer(self, index: int) -> None:
        """Take an answer, or leave all as it is, by its place in `answers`."""
        finding, name = self._open[0], self.answers()[index]
        if index >= len(finding.answers):
            name = _("a finding seen")
        chosen = finding.answers[index] if index < len(finding.answers) else Answer(name, {})
        if chosen.again:
            self.again.emit(chosen.again)
            return
        attributes = {
            ANSWERED: " ".join(sorted({*self._case.attribute(ANSWERED).split(), _key(finding)})),
            MISSING: " ".join(map(str, sorted(self._case.missing() | set(chosen.missing)))) or None,
        }
        if chosen.renumbering:
            self._renumber(chosen.renumbering, name, attributes)
        else:
            self._mark(_settled(finding, chosen) if index < len(finding.answers) else [], name, attributes)

    @property
    def first(self) -> int | None:
        """The first of the current finding's teeth that is there, for views to go to."""
        there = set(self._case.present())
        return next((fdi for fdi in (self.current.teeth if self.current else ()) if fdi in there), None)

    def _renumber(self, numbers: dict[int, int], name: str, attributes: dict[str, str | None]) -> None:
        from ..correction import renumber

        chosen = self._case.selected
        select = numbers.get(chosen, chosen) if chosen is not None else None
        self._case.edit(lambda labels, scan: renumber(labels, numbers), name, attributes=attributes, select=select)

    def _mark(self, teeth: list[int], name: str, attributes: dict[str, str | None]) -> None:
        """The numbers stay, and those of these teeth are sure now."""
        from ..mrml import segments
        from ..mrml import teeth as scene_teeth

        node = self._case.teeth_node
        teeth = [fdi for fdi in teeth if fdi in self._case.present()]
        with self._case.marking(name, teeth, attributes):
            for attribute, value in attributes.items():
                node.SetAttribute(attribute, value)
            for fdi in teeth:
                flags = scene_teeth.evidence_of(node, fdi).flags
                segment = node.GetSegmentation().GetSegment(scene_teeth.segment_of(node, fdi))
                known = segments.Evidence(flags=tuple(flag for flag in flags if flag != UNCERTAIN_NUMBER))
                segments.set_evidence(segment, known)


def _key(finding: Finding) -> str:
    return f"{finding.kind}:{'-'.join(map(str, finding.teeth))}"


def _settled(finding: Finding, answer: Answer) -> list[int]:
    """Teeth whose numbers an answer that changes none has confirmed: of the quadrants that it speaks of."""
    quadrants = {fdi // 10 for fdi in answer.missing} or {fdi // 10 for fdi in finding.teeth}
    return [fdi for fdi in finding.teeth if fdi // 10 in quadrants]
