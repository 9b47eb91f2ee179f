"""The two fitted decisions: which pieces are one tooth, and which objects are teeth.

Both are logistic models. `scripts/fit_decisions.py` fits their coefficients on the outputs of a set of weights and
stores them in the card of these weights.
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
        Coefficients of the log odds for one class (C = 1), of each class's log score for several.
    """

    bias: np.ndarray
    weights: np.ndarray

    def probability(self, values: np.ndarray) -> np.ndarray:
        """Probability of the one class (N,), or of each class (N, C), for features (N, F)."""
        score = values @ self.weights.T + self.bias
        return expit(score[:, 0]) if len(self.bias) == 1 else softmax(score, axis=1)

    def to_json(self, features: Sequence[str]) -> dict:
        """Coefficients by feature name."""
        columns = zip(features, self.weights.T.round(4).tolist(), strict=True)
        return {"bias": self.bias.round(4).tolist(), "weights": dict(columns)}

    @classmethod
    def from_json(cls, content: Mapping, features: Sequence[str], classes: int) -> LogisticModel:
        """The model from the content of `to_json`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the content is damaged, or was fitted for other features.
        """
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
        """Decisions of a card; if the card has none, those of the shipped weights.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the card's content is damaged.
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
    """Decisions of the shipped weights."""
    return Decisions.from_card({CARD_KEY: check_card().content[CARD_KEY]})
