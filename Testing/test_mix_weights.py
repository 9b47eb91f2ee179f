"""Mean of two networks' weights (`scripts/mix_weights.py`)."""

from __future__ import annotations

from dataclasses import replace

import torch

from mix_weights import mixed
from teethseg.cascade.networks.cascade_net import FINE, LATER_HEADS, CascadeNet

LATER = replace(FINE, features=(4, 8))
EARLIER = LATER.without(LATER_HEADS)


def network(architecture, value: float) -> CascadeNet:
    """A network whose parameters all have one value."""
    made = CascadeNet(architecture)
    made.load_state_dict({name: torch.full_like(tensor, value) for name, tensor in made.state_dict().items()})
    return made


def test_parameters_are_means_and_later_heads_stay_those_of_the_second_network():
    both = mixed(network(EARLIER, 1.0), network(LATER, 5.0), 0.25, permanent=False)
    assert both.architecture == LATER
    heads = both.half_head.bias
    assert torch.equal(heads, torch.tensor([2.0] * (len(heads) - len(LATER_HEADS)) + [5.0] * len(LATER_HEADS)))
    assert all(torch.all(tensor == 2.0) for tensor in both.backbone.state_dict().values())


def test_later_heads_are_left_out_on_request():
    both = mixed(network(EARLIER, 1.0), network(LATER, 5.0), 0.25, permanent=True)
    assert both.architecture == EARLIER
    assert all(torch.all(tensor == 2.0) for tensor in both.state_dict().values())
