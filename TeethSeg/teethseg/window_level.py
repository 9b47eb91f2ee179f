"""Window presets: the grey values of a scan that are displayed as black and as white.

The grey values of cone-beam CT are no Hounsfield units and differ from scanner to scanner, so the presets are percentiles of
the scan's own values.
"""

from __future__ import annotations

import numpy as np

from .padding import patient_greys

_PERCENTILES = {
    "Whole range": (0.0, 100.0),
    "Soft tissue": (2.0, 97.0),
    "Bone and teeth": (5.0, 99.8),
    "Teeth": (60.0, 99.97),
}
WINDOWS = tuple(_PERCENTILES)
DEFAULT_WINDOW = "Bone and teeth"
_SAMPLES = 2_000_000


def grey_windows(image: np.ndarray, padding: tuple[float, float] | None = None) -> dict[str, tuple[float, float]]:
    """Lowest and highest grey value to show, by name of the window.

    Parameters
    ----------
    image : ndarray, shape (Z, Y, X)
        Any intensities.
    padding : (float, float), optional
        Values that the file declares as padding (`Volume.padding`). Padding is ignored.

    Returns
    -------
    dict of str to (float, float)
        In the order of `WINDOWS`; the first value is always below the second.
    """
    step = max(1, round((image.size / _SAMPLES) ** (1 / 3)))
    values = image[::step, ::step, ::step]
    values = values[patient_greys(image, padding).covers(values)]
    if not values.size:
        values = np.zeros(1)
    windows = {}
    for name, ends in _PERCENTILES.items():
        low, high = (float(value) for value in np.percentile(values, ends))
        windows[name] = (low, high if high > low else low + 1.0)
    return windows
