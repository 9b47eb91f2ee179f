"""Stage 1: the whole scan at 1.5 mm. Is there a tooth, and where are the arches?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage
from scipy.special import log_softmax, softmax

from ..padding import PatientGreys, patient_greys
from ..resampling import resample_to_region
from ..volume import Volume
from .field_of_view import region_has_patient
from .inference import InferenceConfig, run_tiled
from .networks.ensemble import StageNetwork
from .normalisation import first_levels, normalise, tooth_levels
from .region import Region

MARGIN = 9.0  # mm around the teeth of stage 1, which misses thin apices
SMALL = 60.0**3  # mm³; stage 1 misses whole teeth of a scan this small, so stage 2 sees all of it
LEAST_TOOTH = 120.0  # mm³; a smaller component, less than half a lower incisor, is no tooth
REACH = 14.0  # mm; components nearer to each other than this form one group
SHARE = 0.25  # of the best group's score, or one tooth's volume; groups with a lower score are ignored
MOST_OF_ONE = 2500.0  # mm³; four teeth of one position seldom have more
FARTHEST = 45.0  # mm between groups of one dentition
TOOTH_MM3 = 550.0  # mean volume of a tooth; its voxels count as one observation
TOOTH_LIKE = (0.9, 3.0)  # range of normalised grey values of teeth, for scans in which the network finds none
BRIGHT_SHARE = 0.05  # weight of such voxels beside the network's probability
LARGEST = (75.0, 80.0, 100.0)  # mm (z, y, x); the largest extent of two groups of one dentition


@dataclass(frozen=True)
class CoarseResult:
    """Result of stage 1.

    Attributes
    ----------
    region : Region
        The grid of the arrays: the whole scan at 1.5 mm.
    upper, lower : ndarray float32, shape (Z, Y, X)
        Probability of tooth, by jaw.
    position : ndarray float32, shape (8, Z/2, Y/2, X/2)
        Log-probabilities of the positions 1-8.
    greys : PatientGreys
        Which grey values are the patient's.
    levels : (float, float)
        Grey values of soft tissue and of tooth.
    box : (ndarray, ndarray) or None
        Lowest and highest LPS corner (x, y, z) of the region for stage 2; None if there is no tooth.
    image : ndarray float32, shape (Z, Y, X)
        Input of the network.
    """

    region: Region
    upper: np.ndarray
    lower: np.ndarray
    position: np.ndarray
    greys: PatientGreys
    levels: tuple[float, float]
    box: tuple[np.ndarray, np.ndarray] | None
    image: np.ndarray

    @property
    def information(self) -> float:
        """As `information`, of the whole scan."""
        return information(self.upper + self.lower, self.position, self.region.spacing)

    @property
    def far_objects(self) -> int:
        """Number of objects like teeth outside the box, which stage 2 does not see.

        Those farther than `FARTHEST` from the box do not count: they are no teeth of this mouth.
        """
        if self.box is None:
            return 0
        tooth = self.upper + self.lower > 0.5
        tooth[self._slices(self.box, 0.0)] = False
        tooth = tooth[self._slices(self.box, FARTHEST)]
        sizes = np.bincount(cc3d.connected_components(tooth, connectivity=26).ravel())[1:]
        return int(np.count_nonzero(sizes * self.region.spacing**3 >= LEAST_TOOTH))

    def _slices(self, box: tuple[np.ndarray, np.ndarray], margin: float) -> tuple[slice, ...]:
        """The part of the arrays within `margin` mm of a box."""
        low, high = np.subtract(box, self.region.origin)[:, ::-1] / self.region.spacing
        starts, ends = np.floor(low - margin / self.region.spacing), np.ceil(high + margin / self.region.spacing) + 1
        return tuple(map(slice, starts.astype(int).clip(0), ends.astype(int)))

    def likely_tooth_cube(self, edge: float) -> np.ndarray:
        """The cube of `image`, `edge` mm wide, that most likely holds the teeth, even if stage 1 found none."""
        tooth = self.upper + self.lower
        bright = (self.image > TOOTH_LIKE[0]) & (self.image < TOOTH_LIKE[1])
        heat = ndimage.gaussian_filter(
            np.where(tooth > 0.3, tooth, 0) + BRIGHT_SHARE * bright, edge / 12 / self.region.spacing
        )
        middle = np.unravel_index(heat.argmax(), heat.shape)
        count = int(edge / self.region.spacing) // 16 * 16  # the divisor of every network here divides 16
        starts = [int(np.clip(m - count // 2, 0, max(n - count, 0))) for m, n in zip(middle, heat.shape, strict=True)]
        return self.image[tuple(slice(start, start + count) for start in starts)]


def run_coarse(
    volume: Volume,
    network: StageNetwork,
    config: InferenceConfig,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> CoarseResult:
    """Run stage 1 on a whole scan.

    Parameters
    ----------
    volume : Volume
        A scan in any orientation; grey values of any device.
    """
    spacing, divisor = network.architecture.spacing, network.architecture.divisor
    region = Region.covering(volume, spacing, divisor)
    greys = patient_greys(volume.array, volume.padding)
    grey = resample_to_region(volume, region.origin, spacing, region.shape, greys.darkest, greys)
    patient = region_has_patient(volume, region, greys)  # the region is larger than the scan
    levels = first_levels(grey[patient])
    image = normalise(grey, *levels)
    upper, lower, position = _probabilities(run_tiled(network, image, config, progress))
    tooth = upper + lower
    box = _dentition_box(tooth > 0.5, expected_position(position), region)
    if box is not None:
        box = _stage_2_box(box, volume)
    levels = tooth_levels(grey, tooth > 0.8, levels, patient)
    return CoarseResult(region, upper, lower, position, greys, levels, box, image)


def coarse_information(image: np.ndarray, network: StageNetwork, config: InferenceConfig) -> float:
    """`information` of stage 1 about another image on its grid, normalised as `CoarseResult.image`."""
    upper, lower, position = _probabilities(run_tiled(network, np.ascontiguousarray(image), config))
    return information(upper + lower, position, network.architecture.spacing)


def information(tooth: np.ndarray, position: np.ndarray, spacing: float) -> float:
    """Information of stage 1 about the teeth, in nats: divergence of their positions from a uniform prior, summed over teeth.

    It is highest where the head is upright and faces forwards, as in training: the network then finds more of the teeth, with
    higher confidence.

    Parameters
    ----------
    tooth : ndarray, shape (Z, Y, X)
        Probability of tooth.
    position : ndarray, shape (8, Z/2, Y/2, X/2)
        Log-probabilities.
    spacing : float
        Of `tooth`, mm.
    """
    z, y, x = tooth.shape
    share = tooth.reshape(z // 2, 2, y // 2, 2, x // 2, 2).mean(axis=(1, 3, 5))
    seen = share > 0.5
    known = np.log(8) + np.sum(np.exp(position[:, seen]) * position[:, seen], axis=0)
    return float(np.sum(share[seen] * known) * (2 * spacing) ** 3 / TOOTH_MM3)


def _probabilities(logits: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability of an upper and of a lower tooth, and log-probabilities of the positions."""
    _, upper, lower = softmax(logits["jaw"], axis=0)
    return upper, lower, log_softmax(logits["position"], axis=0)


def _stage_2_box(box: tuple[np.ndarray, np.ndarray], volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """A dentition's box for stage 2: larger by the margin within the scan, or all of a small scan."""
    low, high = volume.extent
    if volume.voxel_volume * volume.array.size <= SMALL:
        return low, high
    return np.maximum(box[0] - MARGIN, low), np.minimum(box[1] + MARGIN, high)


def _dentition_box(tooth: np.ndarray, place: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray] | None:
    """LPS corners of the dentition; None if there is none.

    The tooth voxels of stage 1 form groups, which are scored by their volume. Dense bone taken for teeth has one position
    throughout, while a dentition has many; so each position scores no more than the volume of its four teeth. Groups near
    the best one with a sufficient score join it, for example the two sides of an arch without front teeth. The volume of one
    tooth is enough: a small field of view shows most of one side, and little of the other.
    """
    # Half resolution is enough to find groups.
    sparse = halved_mask(tooth)
    step = 2 * region.spacing
    if np.count_nonzero(sparse) * step**3 < LEAST_TOOTH:
        return None
    reach = ndimage.distance_transform_edt(~sparse, sampling=step) < REACH / 2
    groups, count = cc3d.connected_components(reach, connectivity=26, return_N=True)
    voxels = np.argwhere(sparse)
    group = groups[sparse]
    table = np.zeros((count + 1, 9))
    np.add.at(table, (group, np.clip(np.rint(place[sparse]), 1, 8).astype(int)), step**3)
    score = np.minimum(table, MOST_OF_ONE).sum(axis=1)
    best = int(score.argmax())
    low, high = (getattr(voxels[group == best], end)(axis=0) for end in ("min", "max"))
    kept, least = [best], min(SHARE * score[best], TOOTH_MM3)
    for other in range(1, count + 1):
        if other == best or score[other] < least or not (group == other).any():
            continue
        first, last = (getattr(voxels[group == other], end)(axis=0) for end in ("min", "max"))
        gap = np.maximum(0, np.maximum(first - high, low - last)) * step
        union = (np.maximum(last, high) - np.minimum(first, low)) * step
        if np.linalg.norm(gap) < FARTHEST and np.all(union < LARGEST):
            kept.append(other)
    inside = voxels[np.isin(group, kept)]
    if len(inside) * step**3 < LEAST_TOOTH:
        return None
    origin = np.asarray(region.origin)
    low, high = 2 * inside.min(axis=0)[::-1], 2 * inside.max(axis=0)[::-1] + 1
    return origin + low * region.spacing, origin + high * region.spacing


def expected_position(position: np.ndarray) -> np.ndarray:
    """Mean position, 1 to 8, of log-probabilities (8, ...)."""
    return np.tensordot(np.arange(1, 9, dtype=np.float32), np.exp(position), axes=1)


def halved_mask(mask: np.ndarray) -> np.ndarray:
    """The mask at half resolution: blocks of 2x2x2 voxels with at least two voxels of the mask."""
    z, y, x = mask.shape
    return mask.reshape(z // 2, 2, y // 2, 2, x // 2, 2).sum(axis=(1, 3, 5)) >= 2


def sample(values: np.ndarray, source: Region, target: Region) -> np.ndarray:
    """Resample an array of one region onto the grid of another: linear, edges repeated, float32."""
    step = target.spacing / source.spacing
    offset = (np.asarray(target.origin) - source.origin)[::-1] / source.spacing
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The behavior of affine_transform")  # SciPy 1.15 of any diagonal matrix
        return ndimage.affine_transform(
            values, np.full(3, step), offset, target.shape, order=1, mode="nearest", output=np.float32
        )
