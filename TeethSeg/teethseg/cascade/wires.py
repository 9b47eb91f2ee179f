"""Wires and walls of tubes, cut off teeth."""

from __future__ import annotations

import cc3d
import edt
import numpy as np
from scipy import ndimage

from ..boxes import label_boxes

# A root's tip may be thin; a tube's wall or a wire runs on. A part thinner than the first value (mm) is cut where it reaches
# farther than the second from a thicker part (real and simulated roots of 1.7 mm reach 3 mm, those that networks draw 4,
# of 2 mm 9.6).
_THIN = ((1.2, 2.0), (1.7, 6.0), (2.0, 12.0))
_STUB = 1.0  # mm that stay of a thin part, as the ends of roots and crowns are thin too


def without_wires(labels: np.ndarray, spacing: float) -> np.ndarray:
    """Cut wires and walls of tubes off teeth; a tooth that is thin all over stays as it is."""
    cubes = (spacing,) * 3
    for thin, longest in _THIN:
        thick = edt.edt(labels, anisotropy=cubes, black_border=False, parallel=0) > thin / 2
        if not thick.any():
            continue
        away = edt.edt(~thick, anisotropy=cubes, black_border=False, parallel=0)
        body = np.bincount(labels[thick], minlength=int(labels.max()) + 1) > 0
        ends = np.where((away > _STUB) & body[labels], labels, 0).astype(np.uint16)
        pieces = cc3d.connected_components(ends, connectivity=26)
        far = np.zeros(int(pieces.max()) + 1, bool)
        far[pieces[(away > longest) & (ends > 0)]] = True
        labels = np.where(far[pieces], 0, labels).astype(labels.dtype)
    return _one_piece_each(labels)


def _one_piece_each(labels: np.ndarray) -> np.ndarray:
    """Keep the largest 6-connected piece of every label; other pieces go to the neighbour that they touch most, or vanish."""
    pieces = cc3d.connected_components(labels.astype(np.uint16), connectivity=6)
    size = np.bincount(pieces.ravel())
    owner = np.zeros(len(size), np.int32)
    owner[pieces.ravel()] = labels.ravel()
    largest = np.zeros(int(labels.max()) + 1, np.int64)
    for piece in np.argsort(size):
        largest[owner[piece]] = piece
    main = np.zeros(len(size), bool)
    main[largest] = True
    main |= owner == 0
    table = np.where(main, owner, 0)
    kept = table[pieces]
    for piece, box in label_boxes(pieces).items():
        if main[piece]:
            continue
        wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        ring = ndimage.binary_dilation(pieces[wide] == piece)
        around = np.bincount(kept[wide][ring], minlength=2)
        around[0] = 0
        table[piece] = around.argmax() if around.any() else 0
    return table[pieces]
