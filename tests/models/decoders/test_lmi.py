"""LMI against the authors' own network; the fast `render` against the plain `query`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from anyzoom.checkpoint import load_upstream
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import Composed, Encoded
from anyzoom.models.decoders import fast, lmi_grid
from anyzoom.models.decoders.lmi import LmiConfig, LmiDecoder, neighbours
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder

WIDTH = 8
scales = st.sampled_from([1.0, 1.03, 1.5, 2.0, 2.5, 3.0, 3.7, 4.0, 16.0])
small_sides = st.integers(1, 6)


def a_decoder(width: int = WIDTH) -> LmiDecoder:
    """Random weights of twice the usual size, so that every part shows in the result."""
    torch.manual_seed(7)
    decoder = LmiDecoder(width)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(2)
    return decoder.eval()


def a_picture(size: Size, width: int = WIDTH, batch: int = 1) -> Encoded:
    generator = torch.Generator().manual_seed(size.height * 100 + size.width)
    return Encoded(
        torch.rand(batch, 3, *size, generator=generator),
        torch.randn(batch, width, *size, generator=generator),
        Window.whole(size),
        size,
    )


def asked(decoder: LmiDecoder, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
    """A window of the grid, `b 3 H W`, through the plain `query`."""
    window = window or Window.whole(size)
    batch = len(encoded.lr)
    points = pixel_centres(size, encoded.lr, window).view(1, -1, 2).expand(batch, -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, encoded.lr).expand(batch, -1))
    return colours.transpose(1, 2).reshape(batch, 3, *window.size)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", ["lmi-a", "lmi-b"])
def test_equals_the_authors_network(case: str, shared: Path) -> None:
    """a: x2 on 16 channels; b: the paper's decoder, 13x11 to 35x36."""
    with safe_open(shared / "parity" / f"{case}.safetensors", "pt") as file:
        facts = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    state = {k.removeprefix("state."): v.float() for k, v in tensors.items() if k.startswith("state.")}
    network = load_upstream("lmi", json.loads(facts["constructor_args"]), state)
    assert isinstance(network, Composed)
    assert_close = partial(torch.testing.assert_close, atol=float(facts["tol_atol"]), rtol=float(facts["tol_rtol"]))
    with torch.no_grad():
        encoded = network.encode(tensors["in.lr"])
        assert_close(encoded.features, tensors["mid.feat"])
        colours = network.query(encoded, tensors["in.coord"], tensors["in.cell"][:, 0])
        size = Size(*json.loads(facts["out_size"]))
        rendered = network(tensors["in.lr"], size)
    assert_close(colours * 2 - 1, tensors["out.rgb"])
    expected = tensors["out.rgb"].transpose(1, 2).reshape(1, 3, *size)
    assert_close(rendered * 2 - 1, expected)


def test_parameter_counts() -> None:
    """The paper says 87.9K."""
    with torch.device("meta"):
        decoder = LmiDecoder(64)
        wider = LmiDecoder(64, LmiConfig(channel_factor=4))
    assert sum(p.numel() for p in decoder.parameters()) == 87_859
    assert sum(p.numel() for p in wider.parameters()) == 87_859 + 2 * 64 * (70 + 1 + 64)


def test_neighbours_in_numbers() -> None:
    """Offsets are in half LR pixels; the point stands before the pixel's centre in the difference."""
    side = 6
    centre = (2 * 2 + 1) / side - 1
    at_a_centre, a_quarter_right, first, last = (
        [found.tolist() for found in neighbours(torch.tensor([position], dtype=torch.float64), side)]
        for position in (centre, centre + 0.5 / side, 1 / side - 1, 1 - 0.1 / side)
    )
    assert at_a_centre[0] == [[1, 2, 3, 4]]
    assert at_a_centre[1] == [pytest.approx([2, 0, -2, -4])]
    assert a_quarter_right[0] == [[1, 2, 3, 4]]
    assert a_quarter_right[1] == [pytest.approx([2.5, 0.5, -1.5, -3.5])]
    assert first[0] == [[0, 0, 1, 2]]  # the outermost pixel repeats
    assert first[1] == [pytest.approx([0, 0, -2, -4])]
    assert last[0] == [[4, 5, 5, 5]]
    assert last[1] == [pytest.approx([2.9, 0.9, 0.9, 0.9])]


@pytest.mark.parametrize(
    ("across", "weights"),
    [  # of tokens -3 -1 +1 +3 for a point `across` pixels right of the centre of token -1
        (0.0, [0.5, 0.25, 0.0, 0.25]),
        (0.25, [0.4375, 0.1875, 0.0625, 0.3125]),
        (0.49, [0.3775, 0.1275, 0.1225, 0.3725]),
    ],
)
def test_ensemble_weights_in_numbers(across: float, weights: list[float]) -> None:
    """The released network weighs a token with the area of the token reflected through the point."""
    decoder = LmiDecoder(3)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
        decoder.colour.weight.copy_(torch.eye(3))  # what is left is twice the weighted sum of tokens
    size = Size(8, 8)
    for token, weight in enumerate(weights):
        features = torch.zeros(1, 3, *size)
        features[..., 2 + token] = 1.0  # token -1 is column 3
        encoded = Encoded(torch.zeros(1, 3, *size), features, Window.whole(size), size)
        point = torch.tensor([[[0.15, 2 * (3.5 + across) / 8 - 1]]])
        found = decoder.query(encoded, point, torch.tensor([[0.1, 0.1]]))
        assert found[0, 0].tolist() == pytest.approx([0.5 + weight] * 3, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.tuples(small_sides, small_sides), scales, scales, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_render_equals_query(lr: tuple[int, int], down: float, across: float, corners: list[float]) -> None:
    """On any window of any grid, also where every pixel has offsets of its own."""
    lr_size = Size(*lr)
    size = size_for(lr_size, (down, across))
    top, bottom = sorted(round(share * size.height) for share in corners[:2])
    left, right = sorted(round(share * size.width) for share in corners[2:])
    window = Window(min(top, size.height - 1), min(left, size.width - 1), bottom, right)
    window = window._replace(bottom=max(bottom, window.top + 1), right=max(right, window.left + 1))
    decoder, encoded = a_decoder(), a_picture(lr_size)
    close(decoder.render(encoded, size, window), asked(decoder, encoded, size, window))


@pytest.mark.parametrize("scale", [1.0, 3.0, (3.7, 2.13), (1.03, 8.0)])
def test_render_equals_query_over_many_blocks(
    scale: float | tuple[float, float], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without the table of distinct offsets; by one thread or several."""
    decoder, encoded = a_decoder(), a_picture(Size(11, 13), batch=2)
    size = size_for(encoded.whole, scale)
    expected = asked(decoder, encoded, size)
    assert expected.std() > 0.2  # else 1e-5 would say little
    close(decoder.render(encoded, size, Window.whole(size)), expected)
    monkeypatch.setattr(lmi_grid, "MOST_OFFSETS", 0)
    close(decoder.render(encoded, size, Window.whole(size)), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("lacking", ["packed layers", "embedding_bag"])
def test_render_where_pytorch_has_less(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packed layer is no public operator of PyTorch; not every device has embedding_bag."""
    if lacking == "packed layers":
        monkeypatch.delattr(torch.ops.mkldnn, "_linear_pointwise", raising=False)
        monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", None, raising=False)
        fast.packs.cache_clear()
        assert not fast.packs(torch.float32)
    else:
        monkeypatch.setattr(fast, "WITHOUT_BAGS", {"cpu"})
        monkeypatch.setattr(torch.nn.functional, "embedding_bag", None)
    decoder, encoded = a_decoder(), a_picture(Size(5, 6))
    size = size_for(encoded.whole, (4.0, 3.7))
    try:
        close(decoder.render(encoded, size, Window.whole(size)), asked(decoder, encoded, size))
    finally:
        fast.packs.cache_clear()


def test_render_equals_query_at_the_papers_width() -> None:
    decoder, encoded = a_decoder(64), a_picture(Size(5, 6), 64)
    size = size_for(encoded.whole, (4.0, 3.7))
    close(decoder.render(encoded, size, Window.whole(size)), asked(decoder, encoded, size))


@pytest.mark.parametrize(
    ("lr_side", "side"), [(4000, 4000), (4000, 16_000), (20_011, 61_033)], ids=["x1", "x4", "x3.05"]
)
def test_render_equals_query_far_from_the_corner(lr_side: int, side: int) -> None:
    """A tile at the end of a long picture. Points in float32 are too coarse there: query gets float64."""
    tile = Window(0, lr_side - 6, 1, lr_side)
    part = a_picture(Size(1, 6))
    encoded = part._replace(window=tile, whole=Size(1, lr_side))
    size, decoder = Size(1, side), a_decoder()
    window = owned_window(Window(0, lr_side - 3, 1, lr_side), encoded.whole, size)
    points = pixel_centres(size, torch.empty(0, dtype=torch.float64), window).view(1, -1, 2)
    exact = a_decoder().double()
    in_float64 = encoded._replace(lr=encoded.lr.double(), features=encoded.features.double())
    with torch.no_grad():
        colours = exact.query(in_float64, points, cell_of(size, points).unsqueeze(0))
    close(decoder.render(encoded, size, window)[0, :, 0].t(), colours[0].float())


@pytest.mark.parametrize("size", [Size(1, 1), Size(1, 9), Size(7, 1)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 2.0, 3.7, 16.0])
def test_thin_pictures(size: Size, scale: float) -> None:
    decoder, encoded = a_decoder(), a_picture(size)
    result = decoder.render(encoded, size_for(size, scale), Window.whole(size_for(size, scale)))
    assert result.isfinite().all()
    close(result, asked(decoder, encoded, size_for(size, scale)))


@settings(deadline=None, max_examples=25)
@given(st.tuples(st.integers(0, 13), st.integers(0, 15)), st.tuples(small_sides, small_sides), scales, scales)
def test_a_tile_renders_as_the_whole(
    corner: tuple[int, int], sides: tuple[int, int], down: float, across: float
) -> None:
    """Cropped from the whole's features, or encoded by itself with the halo that the facts ask for."""
    torch.manual_seed(5)
    network = Composed(EdsrEncoder(EdsrConfig(width=WIDTH, depth=1)), a_decoder()).eval()
    whole = Size(14, 16)
    tile = Window(*corner, corner[0] + sides[0], corner[1] + sides[1]).common(Window.whole(whole))
    size = size_for(whole, (down, across))
    owned = owned_window(tile, whole, size)
    lr = torch.rand(1, 3, *whole)
    halo = network.facts.halo
    assert halo is not None
    seen = tile.grown(halo, whole)
    with torch.inference_mode():
        encoded = network.encode(lr)
        expected = network.render(encoded, size, owned)
        cropped = network.render(encoded.cropped(tile.grown(network.facts.reach, whole)), size, owned)
        alone = network.encode(lr[..., seen.slices[0], seen.slices[1]], seen, whole)
        close(cropped, expected)
        close(network.render(alone, size, owned), expected)


def test_windows_join_into_the_whole() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(9, 10))
    size = size_for(encoded.whole, (2.5, 3.7))
    joined = torch.full((1, 3, *size), math.nan)
    for top in range(0, size.height, 9):
        for left in range(0, size.width, 14):
            window = Window(top, left, top + 9, left + 14).grown(0, size)
            joined[..., window.slices[0], window.slices[1]] = decoder.render(encoded, size, window)
    close(joined, decoder.render(encoded, size, Window.whole(size)))


@pytest.mark.parametrize("scale", [4.0, (3.7, 2.3)])
def test_bfloat16_stays_close(scale: float | tuple[float, float]) -> None:
    """Eight significant bits round by up to 0.2 %, at each of about ten places between features and colours.

    These roundings add up like a random walk: 1 % of the result's spread in the mean, a few per cent at worst.
    """
    decoder, encoded = a_decoder(), a_picture(Size(7, 9))
    size = size_for(encoded.whole, scale)
    exact = decoder.render(encoded, size, Window.whole(size))
    rough = decoder.render(encoded._replace(features=encoded.features.bfloat16()), size, Window.whole(size))
    assert rough.dtype == torch.float32
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.01
    assert error.max() < 0.06


def test_query_under_autocast_stays_close() -> None:
    """As it is trained: positions enter in float32, since they need more than eight bits."""
    decoder, encoded = a_decoder(), a_picture(Size(7, 9))
    size = Size(20, 31)
    exact = asked(decoder, encoded, size)
    with torch.autocast("cpu", torch.bfloat16):
        rough = asked(decoder, encoded, size)
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.01
    assert error.max() < 0.06


def test_only_the_vertical_scale_enters() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(5, 6))
    points = torch.rand(1, 50, 2) * 2 - 1
    with torch.no_grad():
        colours = decoder.query(encoded, points, torch.tensor([[0.1, 0.2]]))
        assert torch.equal(decoder.query(encoded, points, torch.tensor([[0.1, 0.01]])), colours)
        other = decoder.query(encoded, points, torch.tensor([[0.2, 0.2]]))
    assert (other - colours).abs().mean() > 1e-3
    assert decoder.axes == 1


def test_every_picture_of_a_batch_has_its_own_points_and_cell() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(5, 6), batch=2)
    points, cells = torch.rand(2, 30, 2) * 2 - 1, torch.tensor([[0.1, 0.1], [0.3, 0.2]])
    with torch.no_grad():
        together = decoder.query(encoded, points, cells)
        for i in range(2):
            alone = encoded._replace(lr=encoded.lr[i : i + 1], features=encoded.features[i : i + 1])
            close(together[i : i + 1], decoder.query(alone, points[i : i + 1], cells[i : i + 1]))


def test_gradients_reach_all_parameters_and_the_features() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(5, 6))
    encoded.features.requires_grad_()
    points = pixel_centres(Size(11, 13), encoded.lr).view(1, -1, 2)
    loss = decoder.query(encoded, points, torch.tensor([[0.2, 0.2]])).square().sum()
    torch.autograd.backward([loss])
    for name, tensor in [("features", encoded.features), *decoder.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.any(), name


@pytest.mark.parametrize("without", ["meta network", "coordinates", "token mixer", "colour"])
def test_ablations(without: Literal["meta network", "coordinates", "token mixer", "colour"]) -> None:
    """Each lacks something, differs from the whole network, and renders what it answers."""
    whole = a_decoder()
    decoder = LmiDecoder(WIDTH, LmiConfig(without=without)).eval()
    assert sum(p.numel() for p in decoder.parameters()) < sum(p.numel() for p in whole.parameters())
    encoded = a_picture(Size(5, 6))
    size = size_for(encoded.whole, (3.0, 2.7))
    close(decoder.render(encoded, size, Window.whole(size)), asked(decoder, encoded, size))
    if without == "colour":
        other = encoded._replace(lr=1 - encoded.lr)
        assert torch.equal(asked(decoder, other, size), asked(decoder, encoded, size))
        assert not torch.allclose(asked(whole, other, size), asked(whole, encoded, size), atol=1e-3)
