"""The flow, backwards: it undoes what the forward couplings do."""

import pytest

pytest.importorskip("torch")

import torch

from models.convert.rvc_flow import Flow


def filled() -> Flow:
    """Random weights."""
    torch.manual_seed(1)
    made = Flow(8, 12, 4)
    made.requires_grad_(False)
    return made


def forwards(flow: Flow, x: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
    """As in training: coupling (the mean is added), then a flip of the channels, four times."""
    for place in range(0, 8, 2):
        first, second = x.chunk(2, dim=1)
        coupling = flow.flows[place]
        mean = coupling.post(coupling.enc(coupling.pre(first), speaker))
        x = torch.cat([first, second + mean], dim=1).flip(1)
    return x


def test_backwards_undoes_forwards() -> None:
    """For any latent and speaker."""
    flow, random = filled(), torch.Generator().manual_seed(2)
    x, speaker = torch.randn(1, 8, 30, generator=random), torch.randn(1, 4, 1, generator=random)
    there = forwards(flow, x, speaker)
    assert not torch.allclose(there, x, atol=0.1)
    assert torch.allclose(flow(there, speaker), x, atol=1e-5)


def test_the_speaker_matters() -> None:
    """It conditions every layer."""
    flow, x = filled(), torch.ones(1, 8, 30)
    assert not torch.allclose(flow(x, torch.zeros(1, 4, 1)), flow(x, torch.ones(1, 4, 1)), atol=1e-3)


def test_only_every_second_flow_has_numbers() -> None:
    """The names of the file: flows 0, 2, 4 and 6."""
    places = {name.split(".")[1] for name in filled().state_dict()}
    assert places == {"0", "2", "4", "6"}


def test_it_sees_24_frames_to_each_side() -> None:
    """A frame changes what is at most 24 away: what the streaming window counts on."""
    flow, speaker = filled().double(), torch.zeros(1, 4, 1).double()
    x = torch.zeros(1, 8, 81).double()
    changed = x.clone()
    changed[:, :, 40] = 50
    reach = (flow(x, speaker) - flow(changed, speaker)).abs().sum(1)[0].nonzero().flatten() - 40
    assert (int(reach.min()), int(reach.max())) == (-24, 24)
