"""ArbSR against the authors' own network; the fast `render` against the plain `query`; sides that theirs refuses."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.models.test_parity import golden, in_unit_range, state_of
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import Encoded, arbsr_grid
from anyzoom.models.arbsr import TRUNK, ArbSr, ArbSrConfig, BatchNorm, Mask, cells, sampled

small_sides = st.integers(1, 6)
scales = st.sampled_from([1.0, 1.03, 1.5, 2.0, 2.5, 3.0, 3.7, 4.0])


def a_network(width: int = 8, groups: int = 1) -> ArbSr:
    """Random weights whose offsets, masks and kernels show in the result."""
    torch.manual_seed(7)
    network = ArbSr(ArbSrConfig(width=width, groups=groups, blocks=1, reduction=4, experts=3))
    with torch.no_grad():
        for parameter in (*network.upsampling.parameters(), *network.adaptions.parameters()):
            parameter.mul_(2)
        for parameter in network.tail.parameters():
            parameter.mul_(5)
        for norm in network.modules():
            if isinstance(norm, BatchNorm):
                norm.running_mean.uniform_(-0.5, 0.5)
                norm.running_var.uniform_(0.5, 4)
    return network.eval()


def a_picture(size: Size, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(size.height * 100 + size.width))


def asked(network: ArbSr, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
    """A window of the grid, `b 3 H W`, through the plain `query`."""
    window = window or Window.whole(size)
    batch = len(encoded.lr)
    points = pixel_centres(size, encoded.lr, window).view(1, -1, 2).expand(batch, -1, -1)
    with torch.no_grad():
        colours = network.query(encoded, points, cell_of(size, encoded.lr).expand(batch, -1))
    return colours.transpose(1, 2).reshape(batch, 3, *window.size)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["arbsr-a", "arbsr-b"])
def test_equals_the_authors_network(case: str, shared: Path) -> None:
    """b: 14x10, scales 3.5 and 2.25 down and across, so the authors make 31.5 columns 32 and keep the scale.

    Our scales are those of the sizes, but points and cells may be those of any others.
    """
    facts, tensors = golden(shared, case)
    network = load_upstream("arbsr", json.loads(facts["constructor_args"]), state_of(tensors))
    assert isinstance(network, ArbSr)
    lr, size = Size(*json.loads(facts["lr_size"])), Size(*json.loads(facts["out_size"]))
    scale = torch.tensor([tensors["in.scale"].item(), tensors["in.scale2"].item()])
    places = (torch.stack(torch.meshgrid(*(torch.arange(s) for s in size), indexing="ij"), dim=-1) + 0.5) / scale
    sides = torch.tensor(lr)
    with torch.no_grad():
        encoded = network.encode(tensors["in.lr"])
        colours = network.query(encoded, (places * 2 / sides - 1).view(1, -1, 2), (2 / (scale * sides)).unsqueeze(0))
        offsets, routing = network.upsampling.decided((1 / scale).expand_as(places), cells(places)[1])
    assert_close = partial(torch.testing.assert_close, atol=float(facts["tol_atol"]) / 255, rtol=1e-4)
    assert_close(colours.transpose(1, 2).view(1, 3, *size), in_unit_range("arbsr", tensors["out.rgb"], size))
    assert_close(offsets.flip(-1).permute(2, 0, 1), tensors["mid.offset"][0])
    assert_close(routing.permute(2, 0, 1), tensors["mid.routing"][0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": 2}, "with K = 2 is not known"),
        ({"rgb_range": 1}, "with rgb_range = 1"),
        ({"n_resgroups": 3}, "lacks groups|lacks body.2"),
        ({"num_experts": 5}, "expected"),
        ({"n_feats": 4}, "cannot be used"),
    ],
)
def test_refuses_what_was_never_published(change: dict[str, Any], message: str, shared: Path) -> None:
    facts, tensors = golden(shared, "arbsr-a")
    with pytest.raises(CheckpointError, match=message):
        load_upstream("arbsr", json.loads(facts["constructor_args"]) | change, state_of(tensors))


def test_refuses_another_mean_colour(shared: Path) -> None:
    facts, tensors = golden(shared, "arbsr-a")
    state = state_of(tensors) | {"sub_mean.bias": torch.tensor([-119.6, -114.5, -102.9])}
    with pytest.raises(CheckpointError, match="DIV2K's mean colour"):
        load_upstream("arbsr", json.loads(facts["constructor_args"]), state)


def test_parameter_counts() -> None:
    """The released network holds 24 mean shifts more."""

    def count(*parts: nn.Module) -> int:
        return sum(p.numel() for part in parts for p in part.parameters())

    with torch.device("meta"):
        network = ArbSr()
    assert count(network) == 16_926_151 - 24
    assert count(network.adaptions, network.upsampling) == 1_629_196
    assert (count(network.adaptions[0]), count(network.upsampling)) == (162_023, 8_966)
    assert count(network.groups, network.body) == 15_293_408
    with pytest.raises(ValidationError, match="leaves nothing"):
        ArbSrConfig(width=8)


def test_nothing_counts_batches() -> None:
    """A counter would outgrow the half precision of checkpoints."""
    buffers = {name.rpartition(".")[2] for name, _ in a_network().named_buffers()}
    assert buffers == {"running_mean", "running_var"}


def test_cells_in_numbers() -> None:
    """A thousandth of an LR pixel before a border counts as beyond it, so rounding decides nothing there."""
    places = torch.tensor([0.0, 0.25, 0.5, 0.998, 0.9995, 1.0, 2.25])
    under, phases = cells(places)
    assert under.tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert phases.tolist() == pytest.approx([-0.5, -0.25, 0.0, 0.498, -0.5005, -0.5, -0.25], abs=1e-6)


def test_sampling_in_numbers() -> None:
    """Places count from the centre of the first pixel; outside is zero; a single row divides by nothing."""
    features = torch.tensor([1.0, 2.0, 4.0, 8.0]).view(1, 1, 1, 4)
    places = [(0.0, 0.0), (0.0, 1.25), (0.0, 3.25), (0.0, -0.5), (0.25, 2.0), (-0.5, 0.5), (0.0, 4.5), (1.0, 0.0)]
    found = sampled(features, torch.tensor([places]))
    assert found[0, :, 0].tolist() == pytest.approx([1.0, 2.5, 6.0, 0.5, 3.0, 0.75, 0.0, 0.0])


def test_sampling_equals_grid_sample_with_corners_aligned() -> None:
    features, places = torch.rand(2, 3, 5, 4), torch.rand(2, 50, 2) * 8 - 2
    normalised = places.flip(-1) * 2 / torch.tensor([3, 4]) - 1
    expected = F.grid_sample(features, normalised.unsqueeze(1), align_corners=True)[:, :, 0]
    torch.testing.assert_close(sampled(features, places), expected.transpose(1, 2))


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4), (4, 5), (5, 7)])
def test_an_odd_side_is_padded_where_the_mask_halves_it(size: tuple[int, int]) -> None:
    torch.manual_seed(7)
    mask = Mask(8).eval()
    features = torch.randn(2, 8, *size)
    height, width = size
    first, second, third, last = (nn.Sequential(*layers) for layers in zip(mask.convolutions, mask.norms, strict=True))
    padded = F.pad(first(features).relu(), [0, width % 2, 0, height % 2], mode="replicate")
    halved = third(second(F.avg_pool2d(padded, 2)).relu()).relu()
    doubled = F.interpolate(halved, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(mask(features), last(doubled[..., :height, :width]).sigmoid())


@settings(deadline=None, max_examples=25)
@given(st.tuples(small_sides, small_sides), scales, scales, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_render_equals_query(lr: tuple[int, int], down: float, across: float, corners: list[float]) -> None:
    """On any window of any grid, also of thin pictures."""
    size = size_for(Size(*lr), (down, across))
    top, bottom = sorted(round(share * size.height) for share in corners[:2])
    left, right = sorted(round(share * size.width) for share in corners[2:])
    window = Window(min(top, size.height - 1), min(left, size.width - 1), bottom, right)
    window = window._replace(bottom=max(bottom, window.top + 1), right=max(right, window.left + 1))
    network = a_network()
    with torch.no_grad():
        encoded = network.prepare(network.encode(a_picture(Size(*lr))), size)
    close(network.render(encoded, size, window), asked(network, encoded, size, window))


@pytest.mark.parametrize("scale", [1.0, 3.0, (3.7, 2.13), (1.03, 8.0), (8.0, 8.0)])
@pytest.mark.parametrize("few", [True, False], ids=["table", "per block"])
def test_render_equals_query_over_many_blocks(
    scale: float | tuple[float, float], few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a batch, with and without the table of distinct phases."""
    monkeypatch.setattr(arbsr_grid, "MOST_PHASES", 4096 if few else 0)
    network, lr = a_network(), Size(9, 11)
    size = size_for(lr, scale)
    with torch.no_grad():
        encoded = network.encode(a_picture(lr, batch=2))
    expected = asked(network, encoded, size)
    assert expected.std() > 0.2  # else 1e-5 would say little
    close(network.render(encoded, size), expected)


def test_render_equals_query_at_the_papers_width() -> None:
    torch.manual_seed(7)
    network = ArbSr(ArbSrConfig(groups=1, blocks=1)).eval()
    with torch.no_grad():
        encoded, size = network.encode(a_picture(Size(5, 6))), Size(18, 22)
        close(network.render(encoded, size), asked(network, encoded, size))


def test_windows_join_into_the_whole() -> None:
    """Zeros stand around the whole output only, not around windows and blocks."""
    network, size = a_network(), Size(23, 37)
    with torch.no_grad():
        encoded = network.prepare(network.encode(a_picture(Size(9, 10))), size)
    whole = network.render(encoded, size)
    for top in range(0, size.height, 9):
        for left in range(0, size.width, 14):
            window = Window(top, left, top + 9, left + 14).grown(0, size)
            close(network.render(encoded, size, window), whole[..., window.slices[0], window.slices[1]])


def test_prepare_is_done_once_for_a_size() -> None:
    network = a_network()
    with torch.no_grad():
        encoded = network.encode(a_picture(Size(6, 7)))
        assert TRUNK not in encoded.extra
        prepared = network.prepare(encoded, Size(12, 15))
        assert network.prepare(prepared, Size(12, 15)) is prepared
        other = network.prepare(prepared, Size(12, 16))
        assert (other.extra[TRUNK] - prepared.extra[TRUNK]).abs().max() > 1e-4
        close(network.render(prepared, Size(12, 16)), network.render(encoded, Size(12, 16)))
        close(asked(network, prepared, Size(12, 16)), asked(network, encoded, Size(12, 16)))
    facts = network.facts
    assert (facts.halo, facts.scale_aware, facts.pointwise, facts.axes) == (None, True, True, 2)


def test_a_crop_needs_the_trunk_of_the_whole() -> None:
    network, whole, size = a_network(), Size(8, 9), Size(20, 27)
    tile = Window(3, 4, 6, 7)
    owned = owned_window(tile, whole, size)
    with torch.no_grad():
        encoded = network.encode(a_picture(whole))
        prepared = network.prepare(encoded, size)
        expected = network.render(encoded, size, owned)
        cropped = prepared.cropped(tile)
        close(network.render(cropped, size, owned), expected)
        close(asked(network, cropped, size, owned), expected)
        for refused in (encoded.cropped(tile), cropped):
            with pytest.raises(ValueError, match="prepare that, then crop"):
                network.render(refused, Size(21, 27), owned)


def test_both_scales_matter_apart() -> None:
    """A transposed network would need transposed kernels: here only the scales trade places."""
    network, lr = a_network(), a_picture(Size(6, 6))
    with torch.no_grad():
        tall, wide = (network.prepare(network.encode(lr), size).extra[TRUNK] for size in (Size(24, 12), Size(12, 24)))
        inverse, phase = torch.tensor([[0.2, 0.5]]), torch.zeros(1, 2)
        down, across = (network.upsampling.decided(pair, phase) for pair in (inverse, inverse.flip(1)))
    assert (tall - wide).abs().max() > 1e-4
    for one, another in zip(down, across, strict=True):
        assert (one - another).abs().max() > 1e-4


def test_every_picture_of_a_batch_has_its_own_points_and_scales() -> None:
    network, lr = a_network(groups=2), a_picture(Size(5, 6), batch=2)
    points, cells_of_pictures = torch.rand(2, 30, 2) * 2 - 1, torch.tensor([[0.1, 0.1], [0.3, 0.2]])
    with torch.no_grad():
        together = network.query(network.encode(lr), points, cells_of_pictures)
        for i in range(2):
            alone = network.encode(lr[i : i + 1])
            close(together[i : i + 1], network.query(alone, points[i : i + 1], cells_of_pictures[i : i + 1]))


def test_between_pixels_colours_are_continuous() -> None:
    """Away from the borders of LR pixels, where the phase jumps."""
    network, lr = a_network(), a_picture(Size(5, 6))
    points, cell = (torch.rand(1, 40, 2) - 0.5) * 1.2, torch.tensor([[0.15, 0.11]])
    sides = torch.tensor([5, 6])
    around = torch.cartesian_prod(*[torch.arange(-1.0, 2.0)] * 2) * cell
    places = (points.unsqueeze(2) + around + 1) * sides / 2  # of the points and their neighbours
    smooth = ((places - places.round()).abs() > 0.01).flatten(2).all(-1)
    with torch.no_grad():
        here, there = (network.query(network.encode(lr), points + step, cell) for step in (0.0, 1e-5))
    assert smooth.sum() > 10
    assert (here - there).abs()[smooth].max() < 1e-3


def test_bfloat16_stays_close() -> None:
    """Eight significant bits round by up to 0.2 %, at each of about twenty places between features and colours."""
    network, size = a_network(), Size(29, 31)
    with torch.no_grad():
        encoded = network.encode(a_picture(Size(7, 9)))
    exact = network.render(encoded, size)
    rough = network.render(encoded._replace(features=encoded.features.bfloat16()), size)
    assert rough.dtype == torch.float32
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.02
    assert error.max() < 0.1


def test_query_under_autocast_stays_close() -> None:
    """As it is trained: scales and phases in float32."""
    network, size = a_network(), Size(29, 31)
    exact = asked(network, network.encode(a_picture(Size(7, 9))), size)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rough = asked(network, network.encode(a_picture(Size(7, 9))), size)
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.02
    assert error.max() < 0.1


def test_gradients_reach_all_parameters() -> None:
    network = a_network(groups=2)
    points = pixel_centres(Size(11, 13), torch.empty(0)).view(1, -1, 2)
    colours = network.query(network.encode(a_picture(Size(5, 6))), points, torch.tensor([[0.2, 0.2]]))
    torch.autograd.backward([colours.square().sum()])
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_it_learns() -> None:
    torch.manual_seed(1)
    network, lr, size = a_network().train(), a_picture(Size(6, 6), batch=2), Size(15, 12)
    points = pixel_centres(size, lr).view(1, -1, 2).expand(2, -1, -1)
    cell, target = cell_of(size, lr).expand(2, -1), F.interpolate(lr, size, mode="bicubic").flatten(2).transpose(1, 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    losses = []
    for _ in range(25):
        loss = (network.query(network.encode(lr), points, cell) - target).abs().mean()
        optimizer.zero_grad()
        torch.autograd.backward([loss])
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert all((buffer != before[name]).any() for name, buffer in network.named_buffers())
