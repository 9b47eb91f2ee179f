"""Parameters of the numbering: the weight of each kind of evidence.

Most values were fitted on simulated mouths by `scripts/fit_numbering.py` (most likely true numbers, one parameter after
the other). Eight were tried singly later, for fewer wrong numbers: `volume_sd`, `volume_outlier`, `step_weight`,
`lateral_weight`, `closed`, `missing`, `losing` and `first_premolar`. The shares of patterns of losses are rounded from those
of the simulated mouths, and the depths allow for real scans. `scripts/check_numbering.py` judges all of them on other
mouths. The comments name their meaning and unit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NumberingParameters:
    """Parameters of the model; the defaults are the fitted ones."""

    # Positions that the networks predict.
    looks_slope: float = 2.7  # nats by which the log-probabilities fall from one position to the next
    looks_spread: float = 0.3  # places², usual variance of the position; with more, the predicted position is vague
    seen_sd: float = 0.3  # places, standard deviation of the predicted position ...
    seen_together: float = 0.714  # ... and the correlation of its error with the neighbour's
    seen_outlier: float = 0.0316  # likelihood, relative to the best, of any position
    pull: float = 0.5  # largest share of a tooth's displacement by which its predicted position moves
    third_seen_upper: float = (
        -0.65
    )  # places by which the predicted position of third molars is off: upper ones are the smallest of ...
    third_sd_upper: float = 0.25  # ... the molars, have fused roots, and differ most, ...
    third_seen_lower: float = -0.35  # ... lower ones are as large as second ones and hardly differ
    third_sd_lower: float = 0.2
    looks_weight: float = 0.1875  # of the position probabilities themselves, beside the predicted position
    looks_near: float = 0.05  # share of teeth that are predicted as their neighbour without a known cause
    looks_far: float = 0.01  # share of teeth that are predicted as any position
    # Volumes.
    volume_sd: float = 0.18  # of the logarithm, within a mouth
    volume_outlier: float = 0.03  # likelihood, relative to the usual volume, of any: worn, crowned, half-found teeth
    # Depth below the occlusal plane.
    depth_sd: float = 1.5  # mm, of erupted teeth about the median; in four real scans only a third molar is 5 mm off
    impacted: float = 0.25  # share of third molars that lie deeper, at any depth with the same likelihood
    depth_outlier: float = 0.01  # likelihood, relative to the usual depth, of any for the other teeth
    # Step from tooth to tooth.
    along_sd: float = 0.9  # mm, in the expected direction ...
    along_sd_per_place: float = 0.7  # mm more for each empty place (as independent steps)
    along_sd_per_mm: float = 0.04
    across_sd: float = 0.8  # mm, perpendicular to it ...
    across_angle: float = 0.2  # radians; allows for narrow and wide arches
    step_outlier: float = 1e-3  # density, relative to the best step, of any step at all
    step_weight: float = 0.72
    closed: float = 0.55  # share of one-tooth gaps that have closed, as after orthodontic treatment, ...
    part_closed: float = 0.2  # ... or closed in part
    closed_molar: float = 0.27  # the same where a molar is missing and the one behind it has drifted
    part_closed_molar: float = 0.4
    closed_several: float = 0.03  # the same where several teeth are missing side by side
    part_closed_several: float = 0.4
    lateral_sd: float = 5.0  # mm, standard deviation of a tooth's distance from the midline about that of its place
    lateral_weight: float = 0.4
    midline_apart: float = 1.5  # mm, standard deviation of each arch's midline about the common one
    turn_sd: float = 0.17  # radians
    size_sd: float = 0.06
    size_apart: float = 0.05  # standard deviation of each arch's size about the common one
    # Presence of teeth.
    third_missing: float = 0.85  # share of third molars missing in mouths without them, and present in mouths with them
    third_mixed: float = 0.1  # share of mouths in which the arches differ in this
    # Rates of being missing, positions 1-7: in mouths without losses and without one of the patterns below, ...
    rates: tuple[float, ...] = (0.003, 0.006, 0.002, 0.004, 0.004, 0.012, 0.01)
    losing_rates: tuple[float, ...] = (0.05, 0.06, 0.04, 0.09, 0.12, 0.2, 0.15)  # ... and in mouths with losses
    missing: float = 1.3  # multiplies these rates
    losing: float = 0.33  # share of other mouths with single losses: who has lost one tooth has often lost more
    losing_mixed: float = 0.1  # share of these in which one arch is without losses
    few: float = 0.05  # share of arches with few teeth ...
    few_missing: float = 0.7  # ... and of places that are empty in these
    run: float = 0.004  # prior of an edentulous stretch of any length ...
    run_on: float = 0.75  # ... and for each further place
    end: float = 0.02  # the same at the end of an arch, where the scan may end too
    end_on: float = 0.9
    extracted: float = 0.14  # share of mouths with a premolar extracted on both sides of an arch or of both
    first_premolar: float = 0.7  # share of first ones among these
    laterals: float = 0.05  # share of mouths without upper lateral incisors, ...
    lateral_rate: float = 0.8  # ... of each of these
    incisor: float = 0.03  # share of mouths with a lower incisor extracted, ...
    incisor_rate: float = 0.25  # ... of each of the four
    first_molars: float = 0.06  # share of mouths that have lost first molars, ...
    first_molar_rate: float = 0.6  # ... of each
    second_molars: float = 0.03  # share of mouths with second molars extracted for the third ones, ...
    second_molar_rate: float = 0.5  # ... of each
    extra: float = 1e-5  # likelihood of a tooth without a place, relative to a perfect one
    transposed: float = 0.003  # prior of a transposed canine, where the predicted positions of two teeth are exchanged


FITTED = NumberingParameters()
