"""SRNO: the average over the grid, and the fast `render` against the plain `query`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError, ScaleError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import Composed, Encoded
from anyzoom.models.decoders import fast, srno_grid
from anyzoom.models.decoders.srno import HeadNorm, SrnoConfig, SrnoDecoder
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder

WIDTH = 8
CONFIG = SrnoConfig(width=12, heads=3, hidden=10)
SCALES = [1.0, 1.03, 2.0, 2.5, 3.0, 3.7, 4.0]
small_sides = st.integers(1, 6)


def a_decoder(config: SrnoConfig = CONFIG) -> SrnoDecoder:
    """Random weights above the usual size, so that every part shows in the result; norms that do something."""
    torch.manual_seed(7)
    decoder = SrnoDecoder(WIDTH, config)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(1.4)
        for block in decoder.galerkin:
            for norm in (block.key_norm, block.value_norm):
                norm.weight.add_(0.5 * torch.randn_like(norm.weight))
                norm.bias.add_(0.5 * torch.randn_like(norm.bias))
    return decoder.eval()


def a_picture(size: Size, batch: int = 1) -> Encoded:
    generator = torch.Generator().manual_seed(size.height * 100 + size.width)
    return Encoded(
        torch.rand(batch, 3, *size, generator=generator),
        torch.randn(batch, WIDTH, *size, generator=generator),
        Window.whole(size),
        size,
    )


def asked(decoder: SrnoDecoder, encoded: Encoded, size: Size) -> Tensor:
    """The whole grid, `b 3 H W`, through the plain `query`."""
    batch = len(encoded.lr)
    points = pixel_centres(size, encoded.lr).view(1, -1, 2).expand(batch, -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, encoded.lr).expand(batch, -1))
    return colours.transpose(1, 2).reshape(batch, 3, *size)


def rendered(decoder: SrnoDecoder, encoded: Encoded, size: Size) -> Tensor:
    return decoder.render(encoded, size, Window.whole(size))


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several bands of several blocks of several strips in a small picture."""
    for room in (fast, srno_grid):
        monkeypatch.setattr(room, "BLOCK_ROWS", 8)
        monkeypatch.setattr(room, "PIXELS_ON_CPU", 88)
    monkeypatch.setattr(srno_grid, "STRIP", 30)


def test_parameter_counts() -> None:
    """Measured on the authors' class; a table in print exchanges it with LINF's."""
    with torch.device("meta"):
        decoder, narrow = SrnoDecoder(64), SrnoDecoder(64, SrnoConfig(width=192, heads=12))
    assert sum(p.numel() for p in decoder.parameters()) == 794_883
    blocks = 2 * (3 * 192 * 192 + 3 * 192 + 2 * (192 * 192 + 192) + 4 * 192)
    assert sum(p.numel() for p in narrow.parameters()) == 266 * 192 + 192 + blocks + 193 * 256 + 257 * 3


def test_layer_norm_in_numbers() -> None:
    """The unbiased deviation, and 1e-5 added to it, not to its square; each head by itself."""
    norm = HeadNorm(2, 2)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([[1.0, 1.0], [3.0, 1.0]]))
        norm.bias.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.5]]))
        found = norm(torch.tensor([[0.0, 2e-5], [4.0, 8.0]])).tolist()
    assert found[0] == pytest.approx([-(2**0.5) + 1, 2**0.5 - 1], abs=1e-6)  # 1e-5 / (1.41e-5 + 1e-5)
    assert found[1] == pytest.approx([-3 * 0.5**0.5, 0.5**0.5 + 0.5], abs=1e-5)


def test_a_head_without_contrast_keeps_gradients_finite() -> None:
    values = torch.ones(5, 2, 4, requires_grad=True)
    torch.autograd.backward([HeadNorm(2, 4)(values).square().sum()])
    assert values.grad is not None
    assert values.grad.isfinite().all()


def test_without_weights_it_is_bilinear() -> None:
    """Borders repeat: the outermost half pixel is flat."""
    decoder = SrnoDecoder(WIDTH, CONFIG)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
    encoded = a_picture(Size(1, 2))._replace(lr=torch.tensor([0.2, 1.0]).expand(1, 3, 1, 2))
    for found in (asked(decoder, encoded, Size(1, 8)), rendered(decoder, encoded, Size(1, 8))):
        assert found[0, 1, 0].tolist() == pytest.approx([0.2, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.0])


def test_lifted_inputs_in_numbers() -> None:
    """Offsets of the four corners, then their features times their weights, then the pitch."""
    decoder = SrnoDecoder(1, SrnoConfig(width=14, heads=1, hidden=14))
    seen: list[Tensor] = []
    decoder.lift.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoded = a_picture(Size(2, 2))._replace(features=torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    with torch.no_grad():
        decoder.query(encoded, torch.tensor([[[-0.25, 0.1]]]), torch.tensor([[0.25, 0.5]]))
    down, along = (0.5, -1.5), (1.2, -0.8)  # half LR pixels
    weights = [a * b for a in (0.75, 0.25) for b in (0.4, 0.6)]
    expected = [offset for y in down for x in along for offset in (y, x)]
    expected += [weight * feature for weight, feature in zip(weights, (1, 2, 3, 4), strict=True)]
    assert seen[0][0, 0].tolist() == pytest.approx([*expected, 0.5, 1.0], abs=1e-6)


def test_colours_depend_on_the_set_of_points() -> None:
    """The trap of the published network: half the grid is another average. The order does not matter."""
    decoder, encoded, size = a_decoder(), a_picture(Size(5, 6)), Size(11, 13)
    points, cell = pixel_centres(size, encoded.lr).view(1, -1, 2), cell_of(size, encoded.lr).unsqueeze(0)
    with torch.no_grad():
        whole = decoder.query(encoded, points, cell)
        half = decoder.query(encoded, points[:, :70], cell)
        order = torch.randperm(points.shape[1])
        close(decoder.query(encoded, points[:, order], cell), whole[:, order])
    assert (half - whole[:, :70]).abs().mean() > 0.01
    assert not decoder.pointwise


def test_matrices_are_means_over_the_grid(small_blocks: None) -> None:
    """Against the plain network's own keys and values, in float64."""
    decoder, encoded, size = a_decoder(), a_picture(Size(5, 6), batch=2), Size(19, 23)
    prepared = decoder.prepare(encoded, size)
    exact = a_decoder().double()
    entering: list[Tensor] = []
    for block in exact.galerkin:
        block.register_forward_pre_hook(lambda _, given: entering.append(given[0]))
    asked(exact, encoded._replace(lr=encoded.lr.double(), features=encoded.features.double()), size)
    for number, (block, points) in enumerate(zip(exact.galerkin, entering, strict=True)):
        pairs = block.attend(points).view(2, size.pixels, 3, 3, 4)  # b q head part c
        keys, values = block.key_norm(pairs[:, :, :, 1]), block.value_norm(pairs[:, :, :, 2])
        expected = torch.stack([keys[..., k].mul(values[..., v]).mean(1) for k in range(4) for v in range(4)], dim=-1)
        close(prepared.extra[f"srno.{number}"].flatten(2).double(), expected.detach())


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(small_sides, small_sides),
    st.sampled_from([*SCALES, 16.0]),
    st.sampled_from(SCALES),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_render_equals_query(lr: tuple[int, int], down: float, across: float, corners: list[float]) -> None:
    """On any window of any grid."""
    lr_size = Size(*lr)
    size = size_for(lr_size, (down, across))
    top, bottom = sorted(round(share * size.height) for share in corners[:2])
    left, right = sorted(round(share * size.width) for share in corners[2:])
    window = Window(min(top, size.height - 1), min(left, size.width - 1), bottom, right)
    window = window._replace(bottom=max(bottom, window.top + 1), right=max(right, window.left + 1))
    decoder, encoded = a_decoder(), a_picture(lr_size)
    expected = asked(decoder, encoded, size)[..., window.slices[0], window.slices[1]]
    close(decoder.render(encoded, size, window), expected)


@pytest.mark.parametrize("scale", [1.0, 3.0, (3.7, 2.13), (1.03, 4.0)])
def test_render_equals_query_over_many_blocks(
    scale: float | tuple[float, float], threads: int, small_blocks: None
) -> None:
    decoder, encoded = a_decoder(), a_picture(Size(11, 13), batch=2)
    size = size_for(encoded.whole, scale)
    expected = asked(decoder, encoded, size)
    assert expected.std() > 0.2  # else 1e-5 would say little
    first = rendered(decoder, encoded, size)
    close(first, expected)
    assert torch.equal(rendered(decoder, encoded, size), first)  # whichever thread took which block
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("lacking", ["packed layers", "embedding_bag"])
def test_render_where_pytorch_has_less(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacking == "packed layers":
        monkeypatch.setattr(fast, "packs", lambda _: False)
    else:
        monkeypatch.setattr(fast, "WITHOUT_BAGS", {"cpu"})
        monkeypatch.setattr(torch.nn.functional, "embedding_bag", None)
    decoder, encoded = a_decoder(), a_picture(Size(5, 6))
    size = size_for(encoded.whole, (4.0, 3.7))
    close(rendered(decoder, encoded, size), asked(decoder, encoded, size))


def test_prepared_once_for_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, encoded = a_decoder(), a_picture(Size(5, 6), batch=2)
    size, other = Size(13, 16), Size(12, 16)
    whole, of_other = rendered(decoder, encoded, size), rendered(decoder, encoded, other)
    prepared = decoder.prepare(encoded._replace(extra={"mine": torch.ones(1)}), size)
    assert set(prepared.extra) == {"mine", "srno.size", "srno.0", "srno.1"}
    assert prepared.extra["srno.1"].shape == (2, 3, 4, 4)
    assert torch.equal(rendered(decoder, prepared, other), of_other)  # found anew
    monkeypatch.setattr(srno_grid, "_totals", None)
    assert decoder.prepare(prepared, size) is prepared
    assert torch.equal(rendered(decoder, prepared, size), whole)
    part = decoder.render(prepared, size, Window(3, 5, 9, 12))
    close(part, whole[..., 3:9, 5:12])


@settings(deadline=None, max_examples=20)
@given(
    st.tuples(st.integers(0, 13), st.integers(0, 15)),
    st.tuples(small_sides, small_sides),
    st.sampled_from(SCALES),
    st.sampled_from(SCALES),
)
def test_a_prepared_crop_renders_as_the_whole(
    corner: tuple[int, int], sides: tuple[int, int], down: float, across: float
) -> None:
    torch.manual_seed(5)
    network = Composed(EdsrEncoder(EdsrConfig(width=WIDTH, depth=1)), a_decoder()).eval()
    assert (network.facts.halo, network.facts.reach) == (None, 1)
    whole = Size(14, 16)
    tile = Window(*corner, corner[0] + sides[0], corner[1] + sides[1]).common(Window.whole(whole))
    size = size_for(whole, (down, across))
    owned = owned_window(tile, whole, size)
    with torch.inference_mode():
        encoded = network.prepare(network.encode(torch.rand(1, 3, *whole)), size)
        expected = network.render(encoded, size)[..., owned.slices[0], owned.slices[1]]
        close(network.render(encoded.cropped(tile.grown(1, whole)), size, owned), expected)


def test_a_crop_that_was_not_prepared_is_refused() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(8, 9))
    tile = Window(2, 2, 6, 6)
    for part in (encoded.cropped(tile), decoder.prepare(encoded, Size(16, 18)).cropped(tile)):
        with pytest.raises(ScaleError, match=r"part of a picture of 9x8.*Prepare the whole picture for 27x24"):
            decoder.render(part, Size(24, 27), Window(9, 9, 12, 12))


@pytest.mark.parametrize("scale", [4.0, (3.7, 2.3)])
def test_bfloat16_stays_close(scale: float | tuple[float, float]) -> None:
    """Eight significant bits at about eight roundings between features and colours."""
    decoder, encoded = a_decoder(), a_picture(Size(7, 9))
    size = size_for(encoded.whole, scale)
    exact = rendered(decoder, encoded, size)
    rough = rendered(decoder, encoded._replace(features=encoded.features.bfloat16()), size)
    assert rough.dtype == torch.float32
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.02
    assert error.max() < 0.15


def test_query_under_autocast_stays_close() -> None:
    decoder, encoded, size = a_decoder(), a_picture(Size(7, 9)), Size(20, 31)
    exact = asked(decoder, encoded, size)
    with torch.autocast("cpu", torch.bfloat16):
        rough = asked(decoder, encoded, size)
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.02
    assert error.max() < 0.15


def test_both_scales_enter() -> None:
    decoder, encoded, points = a_decoder(), a_picture(Size(5, 6)), torch.rand(1, 50, 2) * 2 - 1
    assert decoder.axes == 2
    with torch.no_grad():
        colours = decoder.query(encoded, points, torch.tensor([[0.1, 0.1]]))
        for cell in ([0.2, 0.1], [0.1, 0.2]):
            assert (decoder.query(encoded, points, torch.tensor([cell])) - colours).abs().mean() > 1e-3


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


def test_one_pair_can_be_learnt() -> None:
    torch.manual_seed(1)
    decoder, encoded, size = SrnoDecoder(WIDTH, CONFIG), a_picture(Size(5, 6)), Size(10, 12)
    points, cell = pixel_centres(size, encoded.lr).view(1, -1, 2), cell_of(size, encoded.lr).unsqueeze(0)
    truth = (torch.sin(7 * points[..., :1]) * torch.cos(5 * points[..., 1:])).expand(-1, -1, 3) * 0.5 + 0.5
    optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (decoder.query(encoded, points, cell) - truth).abs().mean()
        torch.autograd.backward([loss])
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize(("width", "heads"), [(12, 5), (12, 12)], ids=["does not divide", "one channel each"])
def test_refuses_widths_that_do_not_split(width: int, heads: int) -> None:
    with pytest.raises(ValidationError, match=f"width 12 does not split into {heads} heads"):
        SrnoConfig(width=width, heads=heads)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"local_ensemble": True}, "SRNO with local_ensemble is not known"),
        ({"blocks": 7}, "width 256 does not split into 7 heads"),
        ({}, "the state dict lacks"),
    ],
)
def test_refuses_foreign_files(args: dict[str, int], message: str) -> None:
    encoder = EdsrEncoder(EdsrConfig(width=4, depth=0))
    state = {f"encoder.{key}": value for key, value in encoder.state_dict().items()}
    state = {key.replace("head.", "head.0."): value for key, value in state.items()}
    spec = {"name": "edsr-baseline", "args": {"n_resblocks": 0, "n_feats": 4, "no_upsampling": True}}
    with pytest.raises(CheckpointError, match=message):
        load_upstream("srno", {"encoder_spec": spec, **args}, state)
