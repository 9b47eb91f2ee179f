"""The U-Net of the seed experiments and the table of its layers."""

from __future__ import annotations

import pytest
import torch

from teethseg.cascade.networks.summary import layer_table, parameter_count
from teethseg.cascade.networks.unet import UNet

SEED_MODELS = [(2, 4, 64, 1, 7_702_721), (3, 4, 64, 1, 22_400_321), (3, 3, 18, 1, 430_075), (3, 3, 9, 9, 108_036)]


@pytest.mark.parametrize(("dimensions", "levels", "filters", "out_channels", "parameters"), SEED_MODELS)
def test_seed_models_to_the_parameter(dimensions, levels, filters, out_channels, parameters):
    with torch.device("meta"):
        network = UNet(dimensions, levels, filters, out_channels=out_channels)
    assert parameter_count(network) == parameters
    shape = (1, 1, *[64] * dimensions)
    rows = layer_table(network, shape)
    assert sum(row.parameters for row in rows) == parameters
    assert rows[-1].output_shape == (1, out_channels, *shape[2:])


@pytest.mark.parametrize("size", [(16, 16, 16), (8, 12, 20), (7, 13, 5), (1, 1, 1)])
def test_output_lies_on_the_grid_of_the_input(size):
    network = UNet(3, 3, 2, in_channels=2, out_channels=5).eval()
    assert network(torch.zeros(1, 2, *size)).shape == (1, 5, *size)


def test_padding_adds_edge_values_at_the_far_end():
    torch.manual_seed(0)
    network = UNet(2, 3, 4).eval()
    image = torch.randn(1, 1, 12, 16)
    image[..., 10:, :] = image[..., 9:10, :]
    image[..., 15:] = image[..., 14:15]
    whole, cut = network(image), network(image[..., :10, :15])
    torch.testing.assert_close(cut, whole[..., :10, :15])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_gradients_reach_every_parameter(dimensions):
    torch.manual_seed(0)
    network = UNet(dimensions, 3, 3, out_channels=2)
    network(torch.randn(2, 1, *[8] * dimensions)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # Batch normalisation cancels the bias before it: that gradient is there, but zero up to rounding.
        if name.endswith(".weight"):
            assert parameter.grad.abs().max() > 1e-6, name


def test_it_can_learn():
    torch.manual_seed(0)
    network = UNet(2, 2, 4)
    image = torch.randn(4, 1, 16, 16)
    target = (image > 0.5).float()
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(image), target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="2 or 3 dimensions"):
        UNet(1)
    with pytest.raises(ValueError, match="at least 1"):
        UNet(3, levels=0)
    with pytest.raises(ValueError, match="axes"):
        UNet(3, 2, 2)(torch.zeros(1, 1, 8, 8))


def test_layer_table_computes_nothing_and_leaves_the_network_alone():
    network = UNet(3, 3, 4)
    rows = layer_table(network, (1, 1, 512, 512, 512))
    assert [rows[0].name, rows[0].type] == ["encoder.0.0", "Conv3d"]
    assert rows[0].output_shape == (1, 4, 512, 512, 512)
    assert rows[0].parameters == 4 * 27 + 4
    assert [r.output_shape[2] for r in rows if r.type == "MaxPool3d"] == [256, 128]
    assert network.training
    assert all(p.device.type == "cpu" for p in network.parameters())
    assert not any(m._forward_hooks for m in network.modules())  # noqa: SLF001  # torch has no public name for them


def test_layer_table_counts_a_shared_layer_once_and_takes_several_outputs():
    class Heads(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = torch.nn.Conv2d(2, 2, 1)
            self.scale = torch.nn.Parameter(torch.ones(3))

        def forward(self, x):
            return {"first": self.shared(self.shared(x)), "second": self.scale}

    network = Heads()
    rows = layer_table(network, (1, 2, 5, 5))
    assert [(r.type, r.parameters) for r in rows] == [("Conv2d", 6), ("Conv2d", 0), ("Heads", 3)]
    assert sum(r.parameters for r in rows) == parameter_count(network) == 9
    assert rows[-1].output_shape == (1, 2, 5, 5)
