"""CLIT and LIT: the fast `render` against the plain `query`, tiles, the cascade's grids, ties."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import Encoded
from anyzoom.models.decoders import clit_grid
from anyzoom.models.decoders.clit import (
    ClitConfig,
    ClitDecoder,
    LitConfig,
    LitDecoder,
    between,
    nearest,
    resampled,
    taps,
    waves,
)

WIDTH = 6


def a_decoder(stages: int = 2) -> ClitDecoder:
    """Random weights of twice the usual size, so that every part shows in the result."""
    torch.manual_seed(2)
    decoder = ClitDecoder(WIDTH, ClitConfig(width=12, heads=3, hidden=(20, 14), stages=stages))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(2)
    return decoder.eval()


def a_picture(size: Size, batch: int = 1) -> Encoded:
    generator = torch.Generator().manual_seed(size.height * 100 + size.width)
    features = torch.randn(batch, WIDTH, *size, generator=generator)
    return Encoded(torch.rand(batch, 3, *size, generator=generator), features, Window.whole(size), size)


def asked(decoder: ClitDecoder, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
    """A window of the grid, `b 3 H W`, through the plain `query`."""
    window, batch = window or Window.whole(size), len(encoded.lr)
    points = pixel_centres(size, encoded.lr, window).view(1, -1, 2).expand(batch, -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, encoded.lr).expand(batch, -1))
    return colours.transpose(1, 2).reshape(batch, 3, *window.size)


def exact(decoder: ClitDecoder, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
    """The same in float64: 1023 waves to half a pixel multiply the rounding of positions in float32."""
    wide = encoded._replace(lr=encoded.lr.double(), features=encoded.features.double())
    return asked(deepcopy(decoder).double(), wide, size, window).float()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("lr", [Size(1, 1), Size(1, 4), Size(3, 2)], ids=str)
@pytest.mark.parametrize(
    ("stages", "scale"),
    [(1, scale) for scale in (1.0, 1.03, 1.5, 2.5, 3.0, (3.7, 2.13), 4.0)]
    + [(1, 6.0), (3, (6.0, 1.2)), (3, (17.0, 2.0))],
)
def test_render_equals_query(stages: int, lr: Size, scale: float | tuple[float, float]) -> None:
    decoder, encoded, size = a_decoder(stages), a_picture(lr, batch=2), size_for(lr, scale)
    expected = exact(decoder, encoded, size)
    assert min(lr) == 1 or expected.std() > 0.1  # else 1e-5 would say little
    torch.testing.assert_close(asked(decoder, encoded, size), expected, rtol=0, atol=1e-4)
    close(decoder.render(encoded, size, Window.whole(size)), expected)
    part = Window(size.height // 3, size.width // 2, size.height, size.width)
    close(decoder.render(encoded, size, part), expected[..., part.slices[0], part.slices[1]])


@pytest.mark.parametrize("scale", [1.0, 2.5, (5.3, 3.7)])
@pytest.mark.parametrize(("shared", "threads"), [(True, 1), (True, 3), (False, 1)])
def test_render_equals_query_over_many_blocks(
    scale: float | tuple[float, float], shared: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether pixels share the first layer or not, in areas, blocks and cells of odd sizes."""
    sizes = {"AREA": 4, "MOST_SLOTS": 3, "CELLS_ON_CPU": 7, "SLOTS_ON_CPU": 50, "PIXELS_ON_CPU": 60}
    for name, value in (sizes | {"SHARED_FROM": 0.0 if shared else 1e9}).items():
        monkeypatch.setattr(clit_grid, name, value)
    decoder, encoded = a_decoder(), a_picture(Size(5, 6), batch=2)
    size = size_for(encoded.whole, scale)
    expected = exact(decoder, encoded, size)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        close(decoder.render(encoded, size, Window.whole(size)), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("scale", [(2.7, 3.0), 4.0, 4.6, (5.0, 1.1)])
@pytest.mark.parametrize("tile", [Window(0, 0, 3, 2), Window(8, 8, 10, 9), Window(15, 13, 18, 17)], ids=str)
def test_a_tile_renders_as_the_whole(stages: int, scale: float | tuple[float, float], tile: Window) -> None:
    decoder, encoded = a_decoder(stages), a_picture(Size(18, 17))
    size = size_for(encoded.whole, scale)
    part = owned_window(tile, encoded.whole, size)
    expected = exact(decoder, encoded, size, part)
    cropped = encoded.cropped(tile.grown(decoder.reach, encoded.whole))
    close(decoder.render(cropped, size, part), expected)
    close(exact(decoder, cropped, size, part), expected)


def test_the_reach_is_what_a_point_needs() -> None:
    """5e-7 before the border of two pixels a point still belongs to the first, and looks from the second."""
    decoder, encoded = a_decoder(stages=1), a_picture(Size(20, 20))
    point, cell = torch.tensor([[[-5e-7, -5e-7]]]), torch.tensor([[0.03, 0.03]])
    tile = Window(9, 9, 10, 10)
    assert decoder.reach == 6
    with torch.no_grad():
        expected = decoder.query(encoded, point, cell)
        close(decoder.query(encoded.cropped(tile.grown(6, encoded.whole)), point, cell), expected)
        narrow = decoder.query(encoded.cropped(tile.grown(5, encoded.whole)), point, cell)
    assert (narrow - expected).abs().max() > 1e-4


def test_far_from_the_corner() -> None:
    """A tile at the end of a long picture."""
    whole, tile = Size(1, 3000), Window(0, 2985, 1, 3000)
    encoded = a_picture(Size(1, 15))._replace(window=tile, whole=whole)
    size = Size(1, 14_101)
    window = owned_window(Window(0, 2992, 1, 3000), whole, size)
    decoder = a_decoder()
    close(decoder.render(encoded, size, window), exact(decoder, encoded, size, window))


@pytest.mark.parametrize("scale", [1.0, (3.7, 2.3), 6.0])
def test_bfloat16_stays_close(scale: float | tuple[float, float]) -> None:
    """Positions, their phases and scores stay in float32."""
    decoder, encoded = a_decoder(), a_picture(Size(6, 7))
    size = size_for(encoded.whole, scale)
    expected = asked(decoder, encoded, size)
    half = encoded._replace(features=encoded.features.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        trained = asked(decoder, encoded, size)
    for rough in (decoder.render(half, size, Window.whole(size)), asked(decoder, half, size), trained):
        assert rough.dtype == torch.float32
        error = (rough - expected).abs() / expected.std()
        assert 0 < error.square().mean().sqrt() < 0.01
        assert error.max() < 0.04


@pytest.mark.parametrize(
    ("stages", "size", "expected"),
    [
        (3, Size(9, 11), [(9, 11)]),
        (3, Size(36, 44), [(9, 11)]),
        (3, Size(52, 48), [(9, 11), (36, 44)]),  # x6 is 4, then 1.5
        (3, Size(144, 176), [(9, 11), (36, 44)]),
        (3, Size(162, 198), [(9, 11), (36, 44), (144, 176)]),  # x18 is 4, 4, 1.125
        (3, Size(54, 33), [(9, 11), (36, 33)]),  # an axis that is done waits for the other
        (3, Size(900, 1100), [(9, 11), (36, 44), (144, 176)]),  # the last stage takes what is left
        (1, Size(54, 66), [(9, 11)]),
        (2, Size(162, 198), [(9, 11), (36, 44)]),
        (2, Size(54, 5), [(9, 11), (36, 11)]),  # no grid is coarser than the picture
    ],
    ids=str,
)
def test_grids_of_the_stages(stages: int, size: Size, expected: list[tuple[int, int]]) -> None:
    with torch.device("meta"):
        decoder = ClitDecoder(4, ClitConfig(width=4, heads=1, hidden=(4,), stages=stages))
    assert decoder.grids(Size(9, 11), size) == expected


def test_a_stage_keeps_three_quarters_of_the_sum() -> None:
    """And the enlarged picture is added once: 0.5 (0.75 (0.75 * 0.1 + 0.2) + 0.4) on [0, 1]."""
    decoder, encoded = a_decoder(stages=3), a_picture(Size(2, 2))
    with torch.no_grad():
        for stage, colour in zip(decoder.active(), (0.1, 0.2, 0.4), strict=True):
            stage.mlp.linears[-1].weight.zero_()
            stage.mlp.linears[-1].bias.fill_(colour)
    encoded.lr.fill_(0.3)
    for scale, added in ((4.0, 0.05), (16.0, 0.1375), (17.0, 0.303125)):
        size = size_for(encoded.whole, scale)
        close(asked(decoder, encoded, size), torch.full((1, 3, *size), 0.3 + added))
        close(decoder.render(encoded, size, Window.whole(size)), torch.full((1, 3, *size), 0.3 + added))


def test_nearest_in_numbers() -> None:
    """Offsets are in half pixels. Midway between two centres the later pixel wins, also where float32 falls short."""
    indices, offsets = nearest(torch.tensor([-1.0, -0.6, 0.0, 0.75, 1.0], dtype=torch.float64), 4)
    assert indices.tolist() == [0, 0, 2, 3, 3]
    assert offsets.tolist() == pytest.approx([-1.0, 0.6, -1.0, 0.0, 1.0])
    third = torch.tensor([2 / 3 - 1], dtype=torch.float64).float()  # the border of the first two of six, rounded
    for position in (third, third.nextafter(torch.tensor([-1.0])), third.nextafter(torch.tensor([1.0]))):
        assert nearest(position, 6)[0].tolist() == [2]


def test_ties_do_not_depend_on_rounding() -> None:
    """At x1.5 one row and column in three lie midway between LR pixels; rounding decided in the released code."""
    decoder, encoded, size = a_decoder(stages=1), a_picture(Size(12, 17)), Size(18, 26)
    points = pixel_centres(size, encoded.lr).view(1, -1, 2)
    cell = cell_of(size, encoded.lr)[None]
    with torch.no_grad():
        expected = decoder.query(encoded, points, cell)
        for end in (-2.0, 2.0):
            moved = decoder.query(encoded, points.nextafter(torch.tensor(end)), cell)
            torch.testing.assert_close(moved, expected, rtol=0, atol=1e-4)  # 1023 waves per half pixel tell an ulp
    close(decoder.render(encoded, size, Window.whole(size)), exact(decoder, encoded, size))


def test_interpolation_in_numbers() -> None:
    """Zeros beyond the picture's border, and only there."""
    like = torch.empty(0, dtype=torch.float64)
    assert taps(torch.tensor([0.0, 0.5, -1.0])).tolist() == [[0, 1, 0], [0, 0.75, 0.25], [0.5, 0.5, 0]]
    first, matrix = between(2, (0, 2), 4, like)
    assert (first, matrix.tolist()) == (0, [[0.75, 0], [0.75, 0.25], [0.25, 0.75], [0, 0.75]])
    first, matrix = between(8, (3, 5), 16, like)  # pixels 3 and 4 of 8: all between their centres
    assert (first, matrix.tolist()) == (7, [[0.75, 0.25], [0.25, 0.75]])
    encoded = a_picture(Size(5, 4), batch=2)
    grid, window = resampled(encoded.features, encoded, Size(13, 16))
    points = pixel_centres(Size(13, 16), grid).flip(-1).expand(2, -1, -1, -1)
    close(grid, F.grid_sample(encoded.features, points, align_corners=False))
    assert window == Window(0, 0, 13, 16)


def test_frequencies_of_the_position_bias() -> None:
    sines, cosines = waves(torch.tensor([0.5], dtype=torch.float64))
    assert sines.shape == (1, 16)
    assert (sines[0, 0].item(), cosines[0, 0].item()) == (0, 1)  # the lowest is zero
    assert cosines[0, 15].item() == pytest.approx(-0.8366804, abs=1e-6)  # cos(1023 / 2)


def test_every_picture_of_a_batch_has_its_own_points_and_cell() -> None:
    """Also where one needs a stage more than the other."""
    decoder, encoded = a_decoder(), a_picture(Size(4, 5), batch=2)
    points = torch.rand(2, 30, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for cells in (torch.tensor([[0.2, 0.2], [0.3, 0.25]]), torch.tensor([[0.2, 0.2], [0.05, 0.06]])):
        with torch.no_grad():
            together = decoder.query(encoded, points, cells)
            for i in range(2):
                alone = encoded._replace(lr=encoded.lr[i : i + 1], features=encoded.features[i : i + 1])
                close(together[i : i + 1], decoder.query(alone, points[i : i + 1], cells[i : i + 1]))


def test_a_pair_can_be_learned() -> None:
    """Gradients reach every weight of both stages, but for one: the position bias' constant cancels in the softmax."""
    decoder, encoded = a_decoder().train(), a_picture(Size(2, 2))
    size = Size(9, 10)
    points, cell = pixel_centres(size, encoded.lr).view(1, -1, 2), cell_of(size, encoded.lr)[None]
    target = torch.rand(1, size.pixels, 3, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(decoder.parameters(), 5e-3)
    losses = []
    for _ in range(20):
        loss = (decoder.query(encoded, points, cell) - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, parameter in decoder.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0 or name == "bias.bias", name
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_parameter_counts() -> None:
    with torch.device("meta"):
        lit, clit = LitDecoder(64), ClitDecoder(64)
        two = ClitDecoder(64, ClitConfig(stages=2))
    assert [sum(p.numel() for p in net.parameters()) for net in (lit, two, clit)] == [5_328_651, 10_509_070, 15_689_489]


def test_refuses_impossible_configurations() -> None:
    with pytest.raises(ValidationError, match="5 heads cannot share a width of 256"):
        ClitConfig(heads=5)
    for config, stages in ((ClitConfig, 4), (LitConfig, 2)):
        with pytest.raises(ValidationError, match="stages"):
            config(stages=stages)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"is_cell": False}, "without is_cell"),
        ({"local_attn": False}, "without local_attn"),
        ({"conv_num": 2}, "1 MLPs .* 2 sets"),
        ({"imnet_num": 4, "conv_num": 4}, "stages"),
        ({"pb_spec": {"name": "posenc", "args": {"posenc_scale": 6}}}, "posenc_scale=6"),
        ({"imnet_spec": {"name": "mlp", "args": {"hidden_list": [8], "act": "relu"}}}, "act='relu'"),
    ],
)
def test_refuses_official_files_of_other_networks(changed: dict[str, Any], message: str) -> None:
    encoder = {"name": "edsr-baseline", "args": {"no_upsampling": True, "n_feats": 4, "n_resblocks": 0}}
    args: dict[str, Any] = {
        "encoder_spec": encoder,
        "base_dim": 4,
        "head": 2,
        "r": 3,
        "imnet_num": 1,
        "conv_num": 1,
        "pb_spec": {"name": "posenc", "args": {"posenc_scale": 10}},
        "imnet_spec": {"name": "mlp", "args": {"hidden_list": [8], "act": "gelu"}},
    }
    with pytest.raises(CheckpointError, match="lacks"):
        load_upstream("clit", args, {})
    state = {f"encoder.{key}": torch.zeros(shape) for key, shape in ENCODER_STATE.items()}
    with pytest.raises(CheckpointError, match=message):
        load_upstream("clit", args | changed, state)


# EDSR without residual blocks.
ENCODER_STATE = {
    "head.0.weight": (4, 3, 3, 3),
    "head.0.bias": (4,),
    "body.0.weight": (4, 4, 3, 3),
    "body.0.bias": (4,),
}
