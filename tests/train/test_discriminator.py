"""The discriminator: its published size, any size of picture, bounded slopes, and that it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.train.discriminator import UNetDiscriminator
from anyzoom.train.losses import discriminator_loss


def small() -> UNetDiscriminator:
    torch.manual_seed(0)
    return UNetDiscriminator(width=4)


def pictures(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_it_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        published = sum(parameter.numel() for parameter in UNetDiscriminator().parameters())
    assert published == 4_376_897


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (9, 13), (15, 8), (8, 33)])
def test_one_logit_per_pixel_at_any_size(height: int, width: int) -> None:
    logits = small()(pictures(height, width, 2))
    assert logits.shape == (2, 1, height, width)
    assert logits.isfinite().all()


def test_all_levels_are_seen() -> None:
    """A pixel's logit depends on pixels that only the deepest level can reach, and on its own neighbourhood."""
    judge = small().eval()
    picture = pictures(64, 64).requires_grad_()
    judge(picture)[0, 0, 32, 32].backward()
    assert picture.grad is not None
    seen = picture.grad.abs().sum(dim=1)[0] > 0
    assert seen[32, 32]
    assert seen[32, 10]  # 22 pixels away: the convolutions at full size reach 4


class Silent(nn.Module):
    """In place of a convolution on the way up."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.zeros_like(features[:, : features.shape[1] // 2])


def test_skips_are_added() -> None:
    """With nothing coming up from below, the finest features are all that is judged."""
    judge = small().eval()
    judge.up = nn.ModuleList(Silent() for _ in judge.up)
    shallow = F.leaky_relu(judge.head(pictures(9, 11)), 0.2)
    assert torch.equal(judge(pictures(9, 11)), judge.tail(shallow))


def test_spectral_norms_are_one() -> None:
    judge = small()
    for _ in range(30):  # each call refines the estimates
        judge(pictures(8, 8))
    judge.eval()
    bounded = [*judge.down, *judge.up, judge.tail[0], judge.tail[2]]
    for layer in bounded:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    assert {name.split(".parametrizations")[0] for name, _ in judge.named_buffers()} == {
        *(f"down.{i}" for i in range(3)),
        *(f"up.{i}" for i in range(3)),
        "tail.0",
        "tail.2",
    }


def test_its_state_goes_on() -> None:
    """The estimates of the norms are saved too: a loaded discriminator takes the same next step."""
    one = small()
    one(pictures(8, 8))
    torch.manual_seed(7)
    other = UNetDiscriminator(width=4)
    other.load_state_dict(one.state_dict())
    for _ in range(2):
        assert torch.equal(one(pictures(9, 11)), other(pictures(9, 11)))


def test_it_learns_to_tell() -> None:
    torch.manual_seed(0)
    judge = UNetDiscriminator(width=8)
    optimiser = torch.optim.Adam(judge.parameters(), lr=3e-3)
    bright = pictures(16, 16, 4)
    dark = bright / 5
    before = discriminator_loss("vanilla", judge(dark), judge(bright)).item()
    for _ in range(30):
        loss = discriminator_loss("vanilla", judge(dark), judge(bright))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    assert loss.item() < before / 4
    assert judge(bright).mean() > 0 > judge(dark).mean()


def test_it_works_in_mixed_precision() -> None:
    judge = small()
    with torch.autocast("cpu", torch.bfloat16):
        logits = judge(pictures(9, 13))
    torch.autograd.backward(discriminator_loss("hinge", logits, -logits))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in judge.parameters())
    assert all(buffer.dtype == torch.float32 for buffer in judge.buffers())
