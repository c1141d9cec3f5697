"""CiaoSR: the fast `render` against the plain `query`; the authors' own outputs are in test_parity."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import MODELS, Composed, ContinuousSR, Encoded
from anyzoom.models.decoders import ciaosr_grid
from anyzoom.models.decoders.ciaosr import CiaosrConfig, CiaosrDecoder, neighbours
from anyzoom.models.encoders.rdn import RdnEncoder
from anyzoom.models.encoders.swinir import SwinirEncoder
from anyzoom.models.network import MEAN
from anyzoom.models.table import described

WIDTH = 4
HIDDEN = (12, 10)
small_sides = st.integers(1, 6)
scales = st.sampled_from([1.0, 1.03, 1.5, 2.0, 2.5, 3.0, 3.5, 3.7, 4.0, 9.0])


def a_decoder(**config: Any) -> CiaosrDecoder:
    """Random weights of twice the usual size, so that every part shows in the result."""
    torch.manual_seed(7)
    decoder = CiaosrDecoder(WIDTH, CiaosrConfig(hidden=HIDDEN, **config))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(2)
    return decoder.eval()


def a_picture(size: Size, decoder: CiaosrDecoder, batch: int = 1) -> Encoded:
    generator = torch.Generator().manual_seed(size.height * 100 + size.width)
    lr, features = (torch.rand(batch, n, *size, generator=generator) for n in (3, WIDTH))
    with torch.no_grad():
        return decoder.enrich(Encoded(lr, features * 2 - 1, Window.whole(size), size))


def asked(decoder: CiaosrDecoder, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
    """A window of the grid, `b 3 H W`, through the plain `query`."""
    window = window or Window.whole(size)
    batch = len(encoded.lr)
    points = pixel_centres(size, encoded.lr, window).view(1, -1, 2).expand(batch, -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, encoded.lr).expand(batch, -1))
    return colours.transpose(1, 2).reshape(batch, 3, *window.size)


def rendered(decoder: CiaosrDecoder, encoded: Encoded, size: Size) -> Tensor:
    return decoder.render(encoded, size, Window.whole(size))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def count(module: nn.Module | None) -> int:
    assert module is not None
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts() -> None:
    """The paper's Table 7 says 1.4M, without the encoder."""
    with torch.device("meta"):
        decoder = CiaosrDecoder(64)
        wider = CiaosrDecoder(64, CiaosrConfig(non_local_scales=(2, 3, 4)))
        network = MODELS["ciaosr-edsr"].build(MODELS["ciaosr-edsr"].config())
    assert count(decoder) == 1_428_614
    assert count(decoder.mlp_colour) == 362_243
    assert count(decoder.mlp_key) == 494_144
    assert count(decoder.mlp_value) == 526_976
    assert count(decoder.attention) == 45_251
    assert count(wider) == 1_600_902
    assert count(network) == 2_649_030


def found_at(position: float, side: int, cell: float, local_size: int = 2) -> tuple[Any, Any]:
    place = torch.tensor([position], dtype=torch.float64)
    indices, offsets = neighbours(place, side, torch.tensor(cell, dtype=torch.float64), local_size)
    return indices[0].tolist(), offsets[0].tolist()


def test_neighbours_in_numbers() -> None:
    """Six pixels; offsets are in half LR pixels. The distance of the corners depends on the size of an output pixel."""
    centre = 5 / 6 - 1  # of pixel 2
    assert found_at(centre + 0.3 / 6, 6, 1 / 6) == ([2, 3, 2], pytest.approx([0.3, -1.7, 0.3]))  # x2: half a pixel
    assert found_at(centre, 6, 1 / 6) == ([2, 3, 2], pytest.approx([0, -2, 0]))  # the nudge decides
    assert found_at(centre, 6, 1 / 9) == ([1, 3, 2], pytest.approx([2, -2, 0]))  # x3: 0.53 of a pixel
    assert found_at(centre, 6, 1 / 3) == ([2, 2, 2], pytest.approx([0, 0, 0]))  # x1: 0.4
    assert found_at(centre, 6, 1 / 9, 3) == ([1, 2, 3, 2], pytest.approx([2, 0, -2, 0]))
    assert found_at(centre + 0.9 / 6, 6, 1 / 9, 1) == ([2, 2], pytest.approx([0.9, 0.9]))
    assert found_at(1 / 6 - 1, 6, 1 / 9) == ([0, 1, 0], pytest.approx([0, -2, 0]))  # the first pixel's centre
    assert found_at(0.3, 1, 1 / 2) == ([0, 0, 0], pytest.approx([0.3, 0.3, 0.3]))  # where the authors divide by zero


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("side", [4, 6, 12, 17, 250])
@pytest.mark.parametrize("doubled", [3, 5, 7])
def test_a_point_on_a_border_lies_in_the_later_pixel(dtype: torch.dtype, side: int, doubled: int) -> None:
    """At x1.5, x2.5 and x3.5, whatever the precision; the authors leave it to rounding."""
    hr = side * doubled // 2
    centres = pixel_centres(Size(hr, 1), torch.empty(0, dtype=dtype))[:, 0, 0]
    own = neighbours(centres, side, torch.tensor(2 / hr, dtype=dtype), 2)[0][:, -1]
    assert own.tolist() == [(2 * index + 1) * side // (2 * hr) for index in range(hr)]


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(small_sides, small_sides),
    scales,
    scales,
    st.sampled_from([1, 2, 2, 3]),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_render_equals_query(
    lr: tuple[int, int], down: float, across: float, local_size: int, corners: list[float]
) -> None:
    """On any window of any grid."""
    size = size_for(Size(*lr), (down, across))
    top, bottom = sorted(round(share * size.height) for share in corners[:2])
    left, right = sorted(round(share * size.width) for share in corners[2:])
    window = Window(min(top, size.height - 1), min(left, size.width - 1), bottom, right)
    window = window._replace(bottom=max(bottom, window.top + 1), right=max(right, window.left + 1))
    decoder = a_decoder(local_size=local_size)
    encoded = a_picture(Size(*lr), decoder)
    close(decoder.render(encoded, size, window), asked(decoder, encoded, size, window))


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.5, 3.0, 4.0, (3.7, 2.13), (1.03, 8.0)])
def test_render_equals_query_over_many_blocks(scale: float | tuple[float, float], threads: int) -> None:
    """Also where output pixels lie on the borders of LR pixels; by one thread or several."""
    decoder = a_decoder()
    encoded = a_picture(Size(12, 17), decoder, batch=2)
    size = size_for(encoded.whole, scale)
    expected = asked(decoder, encoded, size)
    assert (expected - F.interpolate(encoded.lr, size, mode="bilinear")).std() > 0.2  # else 1e-5 would say little
    close(rendered(decoder, encoded, size), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("config", [{}, {"non_local_scales": ()}, {"non_local_scales": (2, 3, 4)}], ids=str)
def test_render_in_pieces(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pairs and pixels at a time; also with several scales of the attention and without it."""
    monkeypatch.setattr(ciaosr_grid, "PAIRS", 7)
    monkeypatch.setattr(ciaosr_grid, "STRIP", 5)
    decoder = a_decoder(**config)
    encoded = a_picture(Size(5, 6), decoder)
    assert encoded.features.shape[1] == WIDTH * (1 + len(decoder.config.non_local_scales))
    size = size_for(encoded.whole, (4.0, 3.7))
    close(rendered(decoder, encoded, size), asked(decoder, encoded, size))


def test_render_equals_query_with_one_hidden_layer() -> None:
    torch.manual_seed(7)
    decoder = CiaosrDecoder(WIDTH, CiaosrConfig(hidden=(9,))).eval()
    encoded = a_picture(Size(5, 6), decoder)
    size = size_for(encoded.whole, (4.0, 3.7))
    close(rendered(decoder, encoded, size), asked(decoder, encoded, size))


@pytest.mark.parametrize(("lr_side", "side"), [(4000, 16_000), (20_011, 61_033)], ids=["x4", "x3.05"])
def test_render_equals_query_far_from_the_corner(lr_side: int, side: int) -> None:
    """A tile at the end of a long picture. Points in float32 are too coarse there: query gets float64."""
    decoder = a_decoder()
    encoded = a_picture(Size(1, 6), decoder)
    encoded = encoded._replace(window=Window(0, lr_side - 6, 1, lr_side), whole=Size(1, lr_side))
    size = Size(1, side)
    window = owned_window(Window(0, lr_side - 3, 1, lr_side), encoded.whole, size)
    found = decoder.render(encoded, size, window)
    points = pixel_centres(size, torch.empty(0, dtype=torch.float64), window).view(1, -1, 2)
    in_float64 = encoded._replace(lr=encoded.lr.double(), features=encoded.features.double())
    with torch.no_grad():
        colours = decoder.double().query(in_float64, points, cell_of(size, points).unsqueeze(0))
    close(found[0, :, 0].t(), colours[0].float())


@settings(deadline=None, max_examples=25)
@given(st.tuples(st.integers(0, 13), st.integers(0, 15)), st.tuples(small_sides, small_sides), scales, scales)
def test_a_tile_renders_as_the_whole(
    corner: tuple[int, int], sides: tuple[int, int], down: float, across: float
) -> None:
    """Cropped from what has been enriched, with two LR pixels more on every side."""
    decoder, whole = a_decoder(), Size(14, 16)
    tile = Window(*corner, corner[0] + sides[0], corner[1] + sides[1]).common(Window.whole(whole))
    size = size_for(whole, (down, across))
    owned = owned_window(tile, whole, size)
    encoded = a_picture(whole, decoder)
    part = encoded.cropped(tile.grown(decoder.reach, whole))
    expected = decoder.render(encoded, size, owned)
    close(decoder.render(part, size, owned), expected)
    close(asked(decoder, part, size, owned), expected)


def test_only_the_attention_needs_the_whole_picture() -> None:
    torch.manual_seed(3)
    row = MODELS["ciaosr-edsr"]
    config: dict[str, dict[str, Any]] = {"encoder": {"width": WIDTH, "depth": 1}, "decoder": {"hidden": HIDDEN}}
    network = row.build(row.config.model_validate(config)).eval()
    assert (network.facts.halo, network.facts.reach, network.facts.axes) == (None, 2, 2)
    assert network.facts.floats_per_pixel >= (2 * 2 + 8) * WIDTH  # the large map that the patches are pasted into
    config["decoder"]["non_local_scales"] = ()
    network = row.build(row.config.model_validate(config)).eval()
    assert (network.facts.halo, network.facts.reach) == (4 + 2, 2)
    whole, tile = Size(20, 21), Window(8, 7, 11, 12)
    lr, size, seen = torch.rand(1, 3, *whole), Size(50, 77), tile.grown(6, whole)
    owned = owned_window(tile, whole, size)
    part = network.encode(lr[..., seen.slices[0], seen.slices[1]], seen, whole)
    close(network.render(part, size, owned), network(lr, size)[..., owned.slices[0], owned.slices[1]])


def test_without_weights_it_is_bilinear() -> None:
    """`grid_sample` with border padding; in [0, 1], the mean colour included."""
    decoder, size = a_decoder(), Size(13, 16)
    with torch.no_grad():
        for parameter in decoder.mlp_colour.parameters():
            parameter.zero_()
    encoded = a_picture(Size(5, 6), decoder)
    points = pixel_centres(size, encoded.lr).flip(-1).unsqueeze(0)
    expected = F.grid_sample(encoded.lr, points, padding_mode="border", align_corners=False)
    close(asked(decoder, encoded, size), expected)
    close(rendered(decoder, encoded, size), expected)


def test_every_picture_of_a_batch_has_its_own_points_and_cell() -> None:
    decoder = a_decoder()
    encoded = a_picture(Size(5, 6), decoder, batch=2)
    points, cells = torch.rand(2, 30, 2) * 2 - 1, torch.tensor([[0.1, 0.1], [0.3, 0.2]])
    with torch.no_grad():
        together = decoder.query(encoded, points, cells)
        for i in range(2):
            alone = encoded._replace(lr=encoded.lr[i : i + 1], features=encoded.features[i : i + 1])
            close(together[i : i + 1], decoder.query(alone, points[i : i + 1], cells[i : i + 1]))


@pytest.mark.parametrize("scale", [4.0, (3.7, 2.3)])
def test_bfloat16_stays_close(scale: float | tuple[float, float]) -> None:
    """Eight significant bits round by up to 0.2 %, at each of about twelve places, some of them before a softmax."""
    decoder = a_decoder()
    encoded = a_picture(Size(7, 9), decoder)
    size = size_for(encoded.whole, scale)
    exact = rendered(decoder, encoded, size)
    rough = rendered(decoder, encoded._replace(features=encoded.features.bfloat16()), size)
    assert rough.dtype == torch.float32
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.01
    assert error.max() < 0.06


def test_query_under_autocast_stays_close() -> None:
    decoder = a_decoder()
    encoded = a_picture(Size(7, 9), decoder)
    exact = asked(decoder, encoded, Size(20, 31))
    with torch.autocast("cpu", torch.bfloat16):
        rough = asked(decoder, encoded, Size(20, 31))
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.01
    assert error.max() < 0.06


def a_network() -> ContinuousSR:
    torch.manual_seed(3)
    row = MODELS["ciaosr-edsr"]
    return row.build(row.config.model_validate({"encoder": {"width": 8, "depth": 1}, "decoder": {"hidden": [16, 16]}}))


def test_gradients_reach_all_parameters() -> None:
    network, lr = a_network(), torch.rand(1, 3, 5, 6)
    points = pixel_centres(Size(11, 13), lr).view(1, -1, 2)
    loss = network.query(network.encode(lr), points, torch.tensor([[0.2, 0.2]])).square().sum()
    torch.autograd.backward([loss])
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_tiny_pair_can_be_learnt() -> None:
    network = a_network()
    rows, columns = torch.arange(12.0).view(-1, 1), torch.arange(12.0)
    hr = ((rows + 2 * columns) % 9 < 4).float().expand(1, 3, -1, -1)  # slanted stripes
    lr = F.interpolate(hr, scale_factor=0.5, mode="area")
    points, cell = pixel_centres(Size(12, 12), lr).view(1, -1, 2), cell_of(Size(12, 12), lr).unsqueeze(0)
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        loss = F.l1_loss(network.query(network.encode(lr), points, cell), hr.flatten(2).transpose(1, 2))
        optimiser.zero_grad()
        torch.autograd.backward([loss])
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0], losses[::10]


def test_the_encoder_normalises_as_the_decoder_wants() -> None:
    """Unless asked otherwise; and a description of the network builds the same one."""
    for name, asked_for, expected in (
        ("ciaosr-edsr", {}, "mean"),
        ("ciaosr-edsr", {"normalisation": "symmetric"}, "symmetric"),
        ("lmi-edsr", {}, "symmetric"),
        ("lmi-edsr", {"normalisation": "mean"}, "mean"),
    ):
        row = MODELS[name]
        config = {"encoder": {"width": 8, "depth": 1} | asked_for}
        network = row.build(row.config.model_validate(config))
        for one in (network, row.build(row.config.model_validate(described(network)[1]))):
            assert isinstance(one, Composed)
            assert one.encoder.config.model_dump()["normalisation"] == expected


# The authors' names for the layers of a network with EDSR.
THEIRS = {
    "encoder.head": "conv_first",
    "encoder.body.0.first": "body.0.conv1",
    "encoder.body.0.second": "body.0.conv2",
    "encoder.body.1": "conv_after_body",
    "decoder.attention.fine": "cs_attn.conv_match_1",
    "decoder.attention.coarse": "cs_attn.conv_match_2",
    "decoder.attention.content": "cs_attn.conv_assembly",
    "decoder.attention.down.0": "cs_attn.down",
    "decoder.attention.down.1": "cs_attn.downx3",
    "decoder.attention.down.2": "cs_attn.downx4",
    **{
        f"decoder.mlp_{ours}.layers.{k}": f"imnet_{theirs}.layers.{2 * k}"
        for ours, theirs in (("colour", "q"), ("key", "k"), ("value", "v"))
        for k in range(3)
    },
}
ARGS: dict[str, Any] = {
    "encoder": {"type": "EDSR", "in_channels": 3, "out_channels": 3, "mid_channels": 8, "num_blocks": 1},
    **{f"imnet_{name}": {"type": "MLPRefiner", "hidden_list": [12, 10]} for name in "qkv"},
    "feat_unfold": True,
    "eval_bsize": 30000,
}


def a_file(*multi_scale: int) -> tuple[ContinuousSR, dict[str, Tensor]]:
    """A network, and the same under the authors' names."""
    torch.manual_seed(5)
    row = MODELS["ciaosr-edsr"]
    config = {"hidden": [12, 10], "non_local_scales": multi_scale}
    network = row.build(row.config.model_validate({"encoder": {"width": 8, "depth": 1}, "decoder": config})).eval()
    state = {"cs_attn.escape_NaN": torch.tensor([1e-4])} if multi_scale else {}
    for key, tensor in network.state_dict().items():
        ours = next(ours for ours in THEIRS if key.startswith(f"{ours}."))
        state[THEIRS[ours] + key.removeprefix(ours)] = tensor
    return network, state


@pytest.mark.parametrize("multi_scale", [(2,), (2, 3, 4), ()], ids=str)
def test_an_official_file(multi_scale: tuple[int, ...]) -> None:
    network, state = a_file(*multi_scale)
    args = ARGS | ({"multi_scale": list(multi_scale)} if multi_scale else {"non_local_attn": False})
    loaded, lr = load_upstream("ciaosr", args, state), torch.rand(1, 3, 6, 7)
    assert isinstance(loaded, Composed)
    assert not loaded.training
    assert torch.equal(loaded(lr, Size(15, 20)), network(lr, Size(15, 20)))
    model, config = described(loaded)
    again = MODELS[model].build(MODELS[model].config.model_validate(config)).eval()
    again.load_state_dict(loaded.state_dict())
    assert torch.equal(again(lr, Size(15, 20)), network(lr, Size(15, 20)))


def test_keys_may_have_the_prefix_of_training() -> None:
    """Where a file holds two networks the averaged one counts; what belongs to neither is left out."""
    network, state = a_file(2)
    lr, size = torch.rand(1, 3, 6, 7), Size(15, 20)
    other = {f"generator.{key}": tensor + 1 for key, tensor in state.items()}
    averaged = {f"generator_ema.{key}": tensor for key, tensor in state.items()}
    for file in ({f"generator.{key}": tensor for key, tensor in state.items()}, other | averaged | {"step": lr}):
        loaded = load_upstream("ciaosr", ARGS, file)
        assert isinstance(loaded, ContinuousSR)
        assert torch.equal(loaded(lr, size), network(lr, size))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feat_unfold": False}, "CiaoSR with feat_unfold = False is not known"),
        ({"softmax_scale": 2}, "CiaoSR with softmax_scale = 2 is not known"),
        ({"imnet_k_type": "direct"}, "CiaoSR with imnet_k_type = 'direct' is not known"),
        ({"imnet_k": {"hidden_list": [12, 11]}}, "MLPs of different widths"),
        ({"encoder": {"type": "RCAN"}}, "'RCAN' is not known; known: EDSR, RDN, SwinIR"),
        ({"local_size": 4}, "local_size"),
        ({"multi_scale": [5]}, "non_local_scales"),
        ({"multi_scale": [2, 3]}, "the state dict lacks cs_attn.downx3.weight"),
        ({"non_local_attn": False}, "holds cs_attn.conv_match_1|imnet_v.layers.0.weight is"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    _, state = a_file(2)
    with pytest.raises(CheckpointError, match=message):
        load_upstream("ciaosr", ARGS | change, state)


def golden_encoder(shared: Path, case: str) -> tuple[dict[str, Any], dict[str, Tensor], Tensor, Tensor]:
    """Arguments and state of an encoder, a picture with which our normalisation gives the authors' input, features."""
    with safe_open(shared / "parity" / f"{case}.safetensors", "pt") as file:
        args = json.loads(file.metadata()["constructor_args"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    state = {k.removeprefix("state."): v.float() for k, v in tensors.items() if k.startswith("state.")}
    lr = tensors["in.lr"] * 2 - 1 + torch.tensor(MEAN).view(3, 1, 1)
    return args, state, lr, tensors["out.feat"]


def with_a_decoder(width: int, encoder: dict[str, Any], state: dict[str, Tensor]) -> Composed:
    decoder = CiaosrDecoder(width, CiaosrConfig(hidden=HIDDEN))
    for key, tensor in decoder.state_dict(prefix="decoder.").items():
        ours = next(ours for ours in THEIRS if key.startswith(f"{ours}."))
        state[THEIRS[ours] + key.removeprefix(ours)] = tensor
    network = load_upstream("ciaosr", ARGS | {"encoder": encoder}, state)
    assert isinstance(network, Composed)
    return network


def test_rdn_under_its_names_here(shared: Path) -> None:
    """The golden encoder of test_parity with the names that RDN has in these files."""
    _, state, lr, expected = golden_encoder(shared, "rdn-a")
    for theirs, here in (
        ("SFENet1", "sfe1"),
        ("SFENet2", "sfe2"),
        ("RDBs.", "rdbs."),
        (".convs.", ".layers."),
        (".conv.0.", ".conv."),
        ("LFF", "lff"),
        ("GFF", "gff"),
    ):
        state = {key.replace(theirs, here): tensor for key, tensor in state.items()}
    blocks, layers = (1 + max(int(key.split(".")[k]) for key in state if ".conv." in key) for k in (1, 3))
    growth, width = len(state["rdbs.0.layers.0.conv.bias"]), len(state["sfe1.bias"])
    spec = {"type": "RDN", "mid_channels": width, "num_blocks": blocks, "num_layers": layers, "channel_growth": growth}
    network = with_a_decoder(width, spec, state)
    assert isinstance(network.encoder, RdnEncoder)
    with torch.no_grad():
        torch.testing.assert_close(network.encoder(lr), expected, rtol=1e-4, atol=1e-4)


def test_swinir_hands_out_its_inner_channels(shared: Path) -> None:
    """The golden encoder of test_parity without its last convolution, which gives the golden features from these."""
    args, state, lr, expected = golden_encoder(shared, "swinir-a")
    weight, bias = (state.pop(f"conv_before_upsample.0.{kind}") for kind in ("weight", "bias"))
    spec = {"type": "SwinIR"} | {key: args[key] for key in ("embed_dim", "depths", "num_heads", "window_size")}
    network = with_a_decoder(args["embed_dim"], spec | {"mlp_ratio": args.get("mlp_ratio", 2)}, state)
    assert isinstance(network.encoder, SwinirEncoder)
    with torch.no_grad():
        features = network.encoder(lr)
    assert features.shape[1] == args["embed_dim"]
    found = F.leaky_relu(F.conv2d(features, weight, bias, padding=1), 0.01)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
