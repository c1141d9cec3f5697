"""LTE and LTE+: the fast `render` against the plain `query`, their numbers, and what their files hold."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import MODELS, Composed, Encoded
from anyzoom.models.decoders import fast
from anyzoom.models.decoders.ensemble import Corners
from anyzoom.models.decoders.lte import LteConfig, LteDecoder, Texture
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder

WIDTH = 8
SMALL = LteConfig(waves=5, hidden=(12, 10))


def a_decoder(config: LteConfig = SMALL, width: int = WIDTH) -> LteDecoder:
    """Random weights of twice the usual size, so that every part shows in the result."""
    torch.manual_seed(7)
    decoder = LteDecoder(width, config)
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


def asked(decoder: LteDecoder, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
    """A window of the grid, `b 3 H W`, through the plain `query`."""
    window = window or Window.whole(size)
    batch = len(encoded.lr)
    points = pixel_centres(size, encoded.lr, window).view(1, -1, 2).expand(batch, -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, encoded.lr).expand(batch, -1))
    return colours.transpose(1, 2).reshape(batch, 3, *window.size)


def rendered(decoder: LteDecoder, encoded: Encoded, size: Size) -> Tensor:
    return decoder.render(encoded, size, Window.whole(size))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_parameter_counts() -> None:
    """The paper says 493.8K, for LTE and LTE+."""
    with torch.device("meta"):
        decoder = LteDecoder(64)
        networks = [MODELS[name].build(MODELS[name].config()) for name in ("lte-edsr", "lte+-edsr")]
    assert sum(p.numel() for p in decoder.parameters()) == 493_827 == 147_712 + 147_712 + 256 + 198_147
    for network in networks:  # the authors count 24 frozen mean shifts more
        assert sum(p.numel() for p in network.parameters()) == 1_714_267 - 24


def test_waves_in_numbers() -> None:
    """Two amplitudes, a frequency along either axis, y first, and a phase from both pitches; angles in half turns."""
    texture = Texture(1, 1)
    with torch.no_grad():
        numbers = {"amplitude.bias": [2.0, 3.0], "frequency.bias": [0.5, 0.25], "phase.weight": [0.1, 0.2]}
        for name, parameter in texture.named_parameters():
            parameter.copy_(torch.tensor(numbers.get(name, [0.0])))
        offsets = torch.tensor([0.3, -0.4]).view(1, 1, 1, 2)
        corners = Corners(torch.zeros(1, 1, 1, dtype=torch.long), offsets, torch.ones(1, 1, 1))
        waves = texture(torch.zeros(1, 1, 1, 1), corners, torch.tensor([[0.5, 1.0]]))
    angle = math.pi * (0.5 * 0.3 + 0.25 * -0.4 + 0.1 * 0.5 + 0.2 * 1.0)
    assert waves.flatten().tolist() == pytest.approx([2 * math.cos(angle), 3 * math.sin(angle)])


def test_the_bilinear_picture_is_added() -> None:
    decoder, encoded, size = a_decoder(), a_picture(Size(6, 7)), Size(15, 26)
    with torch.no_grad():
        for parameter in decoder.mlp.parameters():
            parameter.zero_()
    expected = F.interpolate(encoded.lr, tuple(size), mode="bilinear", align_corners=False)
    close(rendered(decoder, encoded, size), expected)
    close(asked(decoder, encoded, size), expected)


@pytest.mark.parametrize("lr_size", [Size(1, 1), Size(1, 6), Size(7, 1), Size(6, 7)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.03, 2.0, 2.5, 3.0, 3.7, 4.0, 5.0, (3.7, 2.13)])
def test_render_equals_query(lr_size: Size, scale: float | tuple[float, float]) -> None:
    decoder, encoded = a_decoder(), a_picture(lr_size, batch=2)
    size = size_for(lr_size, scale)
    close(rendered(decoder, encoded, size), asked(decoder, encoded, size))


@pytest.mark.parametrize("lr_pixels", [16384, 50])
def test_render_equals_query_over_many_blocks_and_windows(lr_pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the tables are those of a few LR pixels at a time."""
    monkeypatch.setattr(fast, "LR_PIXELS", lr_pixels)
    decoder, encoded = a_decoder(), a_picture(Size(13, 21))
    size = size_for(encoded.whole, (3.7, 8.0))
    expected = asked(decoder, encoded, size)
    assert expected.std() > 0.2  # else 1e-5 would say little
    close(rendered(decoder, encoded, size), expected)
    part = Window(5, 17, 44, 130)
    close(decoder.render(encoded, size, part), expected[..., part.slices[0], part.slices[1]])


def test_render_equals_query_at_the_papers_width() -> None:
    decoder, encoded = a_decoder(LteConfig(), 64), a_picture(Size(3, 4), 64)
    size = size_for(encoded.whole, (4.0, 3.7))
    close(rendered(decoder, encoded, size), asked(decoder, encoded, size))


@pytest.mark.parametrize("scale", [1.0, 3.7, (4.0, 2.5)])
@pytest.mark.parametrize("tile", [Window(0, 0, 4, 5), Window(6, 7, 7, 9), Window(10, 9, 14, 16)], ids=str)
def test_a_tile_renders_as_the_whole(scale: float | tuple[float, float], tile: Window) -> None:
    """Encoded by itself with the halo that the facts ask for; the decoder alone needs its reach."""
    torch.manual_seed(5)
    network = Composed(EdsrEncoder(EdsrConfig(width=WIDTH, depth=1)), a_decoder()).eval()
    lr, whole = torch.rand(1, 3, 14, 16), Size(14, 16)
    size = size_for(whole, scale)
    owned = owned_window(tile, whole, size)
    assert network.facts.halo is not None
    seen = tile.grown(network.facts.halo, whole)
    with torch.inference_mode():
        expected = network(lr, size)[..., owned.slices[0], owned.slices[1]]
        alone = network.encode(lr[..., seen.slices[0], seen.slices[1]], seen, whole)
        close(network.render(alone, size, owned), expected)
        close(network.render(alone.cropped(tile.grown(2, whole)), size, owned), expected)


@pytest.mark.parametrize("scale", [3, 5])
def test_odd_scales_are_well_conditioned(scale: int) -> None:
    """The published weights collapse at the centres of the last row and column: one ulp moved pixels by up to 0.8."""
    decoder, encoded = a_decoder(), a_picture(Size(5, 6))
    points = pixel_centres(size_for(encoded.whole, scale), encoded.lr).view(1, -1, 2)
    cell = torch.tensor([[0.1, 0.1]])
    with torch.no_grad():
        here = decoder.query(encoded, points, cell)
        for towards in (-2.0, 2.0):
            there = decoder.query(encoded, points.nextafter(torch.tensor(towards)), cell)
            torch.testing.assert_close(there, here, rtol=0, atol=1e-4)


def test_cells_beyond_a_scale_can_be_clipped() -> None:
    """As the authors evaluate; by default the cell is the true one at any scale."""
    raw, clipped = a_decoder(), a_decoder(SMALL.model_copy(update={"clip_cell": 4.0}))
    encoded = a_picture(Size(5, 6))
    points = torch.rand(1, 40, 2) * 2 - 1
    with torch.no_grad():
        at_4, at_8, at_2 = (
            torch.stack([decoder.query(encoded, points, torch.tensor([cell])) for decoder in (raw, clipped)])
            for cell in ([2 / 20, 2 / 24], [2 / 40, 2 / 48], [2 / 10, 2 / 48])
        )
        mixed = raw.query(encoded, points, torch.tensor([[2 / 10, 2 / 24]]))
    close(at_4[0], at_4[1])
    close(at_8[1], at_4[0])
    close(at_2[1], mixed)  # every axis for itself
    assert (at_8[0] - at_8[1]).abs().mean() > 1e-2
    size = Size(40, 48)
    close(rendered(clipped, encoded, size), asked(clipped, encoded, size))
    with pytest.raises(ValidationError, match="clip_cell"):
        LteConfig(clip_cell=0.5)


def error_of(rough: Tensor, exact: Tensor) -> tuple[float, float]:
    """Root mean square and largest difference, in the result's own spread."""
    difference = (rough - exact).abs() / exact.std()
    return float(difference.square().mean().sqrt()), float(difference.max())


@pytest.mark.parametrize("way", ["render", "query"])
def test_bfloat16_stays_close_at_high_frequencies(way: str) -> None:
    """Angles of about twenty turns: they would be lost if frequencies had eight significant bits."""
    decoder, encoded, size = a_decoder(), a_picture(Size(7, 9)), Size(26, 27)
    with torch.no_grad():
        decoder.texture.frequency.weight.mul_(10)
    encoded = encoded._replace(features=encoded.features.bfloat16().float())
    exact = rendered(decoder, encoded, size)
    if way == "render":
        rough = rendered(decoder, encoded._replace(features=encoded.features.bfloat16()), size)
        assert rough.dtype == torch.float32
    else:
        with torch.autocast("cpu", torch.bfloat16):
            rough = asked(decoder, encoded, size)
    mean, most = error_of(rough, exact)
    assert 0 < mean < 0.01
    assert most < 0.06


def test_every_picture_of_a_batch_has_its_own_points_and_cell() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(5, 6), batch=2)
    points, cells = torch.rand(2, 30, 2) * 2 - 1, torch.tensor([[0.1, 0.1], [0.3, 0.2]])
    with torch.no_grad():
        together = decoder.query(encoded, points, cells)
        for i in range(2):
            alone = encoded._replace(lr=encoded.lr[i : i + 1], features=encoded.features[i : i + 1])
            close(together[i : i + 1], decoder.query(alone, points[i : i + 1], cells[i : i + 1]))


def test_gradients_reach_all_parameters_and_a_pair_can_be_learnt() -> None:
    torch.manual_seed(1)
    decoder, encoded = LteDecoder(WIDTH, SMALL), a_picture(Size(5, 6))
    encoded.features.requires_grad_()
    points = pixel_centres(Size(11, 13), encoded.lr).view(1, -1, 2)
    truth = torch.rand(1, points.shape[1], 3)
    optimiser = torch.optim.Adam(decoder.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (decoder.query(encoded, points, torch.tensor([[0.2, 0.2]])) - truth).square().mean()
        torch.autograd.backward([loss])
        optimiser.step()
        losses.append(loss.item())
    for name, tensor in [("features", encoded.features), *decoder.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.any(), name
    assert losses[-1] < 0.6 * losses[0]


SPEC = {"name": "edsr-baseline", "args": {"n_resblocks": 0, "n_feats": 4, "no_upsampling": True}}
LTE_ARGS: dict[str, Any] = {
    "encoder_spec": SPEC,
    "imnet_spec": {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [6, 6]}},
    "hidden_dim": 6,
}
LTE_PLUS_ARGS: dict[str, Any] = {"encoder_spec": SPEC, "num_layer": 2, "hidden_dim": 6, "out_dim": 3}


def a_state() -> dict[str, Tensor]:
    """An LTE as its authors store it."""
    torch.manual_seed(2)
    shapes: dict[str, tuple[int, ...]] = {"encoder.head.0": (4, 3, 3, 3), "encoder.body.0": (4, 4, 3, 3)}
    shapes |= {"coef": (6, 4, 3, 3), "freq": (6, 4, 3, 3), "phase": (3, 2)}
    shapes |= {"imnet.layers.0": (6, 6), "imnet.layers.2": (6, 6), "imnet.layers.4": (3, 6)}
    state = {f"{layer}.weight": torch.randn(shape) * 0.5 for layer, shape in shapes.items()}
    return state | {f"{layer}.bias": torch.randn(shape[0]) for layer, shape in shapes.items() if layer != "phase"}


def test_lte_and_lte_plus_differ_in_the_order_of_frequencies_alone() -> None:
    lte_state = a_state()
    plus_state = {}
    for key, value in lte_state.items():
        if key.startswith("imnet."):
            plus_state[key.removeprefix("imnet.")] = value[..., None, None] if key.endswith("weight") else value
        else:  # LTE: y x y x y x; LTE+: y y y x x x
            plus_state[key] = value[[0, 2, 4, 1, 3, 5]] if key.startswith("freq.") else value
    lr, size = torch.rand(1, 3, 5, 6), Size(11, 15)
    expected = load_upstream("lte", LTE_ARGS, lte_state)(lr, size)
    close(load_upstream("lte+", LTE_PLUS_ARGS, plus_state)(lr, size), expected)
    unsorted = plus_state | {key: lte_state[key] for key in ("freq.weight", "freq.bias")}
    assert (load_upstream("lte+", LTE_PLUS_ARGS, unsorted)(lr, size) - expected).abs().max() > 0.1


@pytest.mark.parametrize(
    ("arch", "args", "words"),
    [
        ("lte", LTE_ARGS | {"hidden_dim": 7}, "hidden_dim is 7; waves need an even number"),
        ("lte", LTE_ARGS | {"hidden_dim": 8}, r"coef.weight is \(6, 4, 3, 3\), expected \(8, 4, 3, 3\)"),
        ("lte", LTE_ARGS | {"imnet_spec": {"args": {"out_dim": 1, "hidden_list": [6]}}}, "gives 1 channels"),
        ("lte", {"encoder_spec": SPEC}, "lack 'imnet_spec'"),
        ("lte+", LTE_PLUS_ARGS | {"out_dim": 4}, "gives 4 channels; only RGB"),
        ("lte+", LTE_PLUS_ARGS, "lacks layers.0.weight"),
    ],
)
def test_what_cannot_be_imported_is_refused(arch: str, args: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        load_upstream(arch, args, a_state())
