"""Rules for instances that are no teeth: metal alone, and small pieces with a low probability."""

from __future__ import annotations

from .instance_features import InstanceEvidence

# A tooth with a crown and root fillings is dentine in good part: up to 0.75 of a simulated one was as bright as metal, of a
# real one with a bracket 0.56.
ONLY_METAL = 0.9
# Islands of dense bone, crowns of implants. In 56 simulated scans false ones that were so doubted had 61 to 145 mm³; the one
# true one, a piece of a molar, had 223, and an unerupted third molar of a real CT 212.
SMALL, DOUBTED = 0.5, 0.92  # of the usual volume of its position; mean probability of tooth
LARGEST_DOUBTED = 200.0  # mm³


def is_metal(evidence: InstanceEvidence) -> bool:
    """Whether an instance is metal alone, e.g. an implant. At the border it may be the crown of a tooth, so it is kept."""
    return evidence.metal_share >= ONLY_METAL and not evidence.touches_border


def is_doubtful(evidence: InstanceEvidence) -> bool:
    """Whether an instance is whole, far too small for its position, and less probable than even small teeth are."""
    small = evidence.volume_mm3 < min(SMALL * evidence.usual_mm3, LARGEST_DOUBTED)
    return small and evidence.tooth_probability < DOUBTED and not evidence.touches_border
