"""The tissues of a simulated head and their grey values in cone-beam CT.

References
----------
Means lie around textbook CT values in HU; grey values of cone-beam devices differ by gain and offset
(Dentomaxillofac Radiol 2025;54:140 compares nine machines), which `scanner` randomises.
"""

from __future__ import annotations

from enum import IntEnum


class Tissue(IntEnum):
    """Label values of a simulated head."""

    AIR = 0
    SOFT = 1
    FAT = 2
    CANCELLOUS = 3
    CORTICAL = 4
    DENTINE = 5
    ENAMEL = 6
    PULP = 7
    LIGAMENT = 8
    METAL = 9
    ROOT_FILLING = 10
    PLASTIC = 11
    RESTORATION = 12
    DENSE_BONE = 13  # of the vault and base of the skull, may be as bright as teeth
    ALVEOLAR = 14  # a thin ridge without marrow around front teeth; grey value relative to dentine: `ALVEOLAR_SHARE`


# Range of the mean of each tissue, similar to HU.
MEAN_RANGE: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (-1000, -950),
    Tissue.SOFT: (0, 120),
    Tissue.FAT: (-120, -20),
    Tissue.CANCELLOUS: (150, 650),
    Tissue.CORTICAL: (900, 1600),
    Tissue.DENTINE: (1150, 1900),
    Tissue.ENAMEL: (1900, 3000),
    Tissue.PULP: (50, 450),
    Tissue.LIGAMENT: (50, 500),
    Tissue.METAL: (4000, 12000),
    Tissue.ROOT_FILLING: (3000, 7000),
    Tissue.PLASTIC: (-50, 350),
    Tissue.RESTORATION: (1500, 4000),
    Tissue.DENSE_BONE: (1100, 2300),
}
# Range of the mean of the ridge, where soft tissue is 0 and dentine 1. Medians around roots of lower incisors in three
# labelled real cone-beam scans: bone 0.42 to 0.82, roots 1.11 to 1.36, difference 0.47 to 0.69.
ALVEOLAR_SHARE = (0.38, 0.85)
