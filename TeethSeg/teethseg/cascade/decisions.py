"""The two fitted decisions: which pieces are one tooth, and which objects are teeth.

Both are logistic models. Their coefficients stand in the card of the weights whose outputs they were fitted on
(`scripts/fit_decisions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit, softmax

from .model_card import check_card
from .piece_features import MERGE_FEATURES, OBJECT_FEATURES

CARD_KEY = "decisions"


@dataclass(frozen=True)
class LogisticModel:
    """Probabilities of two or more classes by logistic regression.

    Attributes
    ----------
    bias : ndarray, shape (C,)
    weights : ndarray, shape (C, F)
        One class (C = 1): of its log odds. Several: of each class's log score.
    """

    bias: np.ndarray
    weights: np.ndarray

    def probability(self, values: np.ndarray) -> np.ndarray:
        """Of the one class (N,), or of each (N, C), for values (N, F)."""
        score = values @ self.weights.T + self.bias
        return expit(score[:, 0]) if len(self.bias) == 1 else softmax(score, axis=1)

    def to_json(self, features: Sequence[str]) -> dict:
        """Coefficients by the names of their features."""
        columns = zip(features, self.weights.T.round(4).tolist(), strict=True)
        return {"bias": self.bias.round(4).tolist(), "weights": dict(columns)}

    @classmethod
    def from_json(cls, content: Mapping, features: Sequence[str], classes: int) -> LogisticModel:
        """Raises KeyError, TypeError or ValueError if the content is damaged, or was fitted for other features."""
        table = np.array([content["bias"], *(content["weights"][name] for name in features)], dtype=float)
        if table.shape != (len(content["weights"]) + 1, classes) or not np.isfinite(table).all():
            raise ValueError("the decision lacks coefficients, or was fitted for other features")
        return cls(table[0], table[1:].T)


@dataclass(frozen=True)
class Decisions:
    """`merge`: whether two neighbours are one tooth; `kind`: whether an object is no tooth, a tooth, or metal."""

    merge: LogisticModel
    kind: LogisticModel

    def to_json(self) -> dict:
        """Content of the card."""
        return {"merge": self.merge.to_json(MERGE_FEATURES), "kind": self.kind.to_json(OBJECT_FEATURES)}

    @classmethod
    def from_card(cls, card: Mapping) -> Decisions:
        """Those of a card; of a card without any, those of the weights that ship.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the card does not say what it should.
        """
        if CARD_KEY not in card:
            return shipped_decisions()
        content = card[CARD_KEY]
        return cls(
            LogisticModel.from_json(content["merge"], MERGE_FEATURES, 1),
            LogisticModel.from_json(content["kind"], OBJECT_FEATURES, 3),
        )


@cache
def shipped_decisions() -> Decisions:
    """Decisions of the weights that ship."""
    return Decisions.from_card({CARD_KEY: check_card().content[CARD_KEY]})
