#!/usr/bin/env python3
"""Mean of stage 2 of two files of weights: between a network that knows more and one that has forgotten less.

    python scripts/mix_weights.py BEFORE.safetensors AFTER.safetensors SHARE OUT.safetensors [--card CARD.json]

SHARE is that of AFTER. Stage 1 and the decisions in the card are those of BEFORE. Heads that BEFORE lacks (those for deciduous
and unerupted teeth) come from AFTER alone, or are left out with `--permanent`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from teethseg.cascade.decisions import CARD_KEY
from teethseg.cascade.networks.cascade_net import LATER_HEADS, CascadeNet
from teethseg.cascade.networks.ensemble import members_of
from teethseg.cascade.weights import load_weights, save_weights

_HEADS = ("half_head.weight", "half_head.bias")


def mixed(before: CascadeNet, after: CascadeNet, share: float, permanent: bool) -> CascadeNet:
    """The network whose parameters are the means of both."""
    known, learned = before.state_dict(), after.state_dict()
    values = {}
    for name, value in learned.items():
        common = len(known[name]) if name in _HEADS else len(value)  # later heads come last
        value = value.clone()
        value[:common] = (1 - share) * known[name] + share * value[:common]
        values[name] = value[:common] if permanent else value
    network = CascadeNet((before if permanent else after).architecture)
    network.load_state_dict(values)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    parser.add_argument("--card", type=Path, help="JSON file with more entries of the card")
    parser.add_argument("--permanent", action="store_true", help=f"leave out the heads {' and '.join(LATER_HEADS)}")
    options = parser.parse_args()
    before, after = load_weights(options.before), load_weights(options.after)
    (known,), (learned,) = members_of(before.fine), members_of(after.fine)
    network = mixed(known, learned, options.share, options.permanent)
    more = json.loads(options.card.read_text(encoding="utf-8")) if options.card else {}
    decisions = {CARD_KEY: before.card[CARD_KEY]} if CARD_KEY in before.card else {}
    save_weights(options.out, before.coarse, network, {**more, **decisions})


if __name__ == "__main__":
    main()
