"""DDIR against the authors' own network; the fast `render` against the plain `query`; what makes it global."""

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
from tests.models.test_parity import golden, state_of
from torch import Tensor

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import MODELS, Composed, Encoded
from anyzoom.models.decoders import ddir
from anyzoom.models.decoders.ddir import DdirConfig, DdirDecoder
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.encoders.rdn import RdnConfig

WIDTH = 6
BOTH: dict[str, Any] = {"hidden": [12, 10], "encoder": {"width": 5, "depth": 1}}
BRANCHES = [
    {},
    {"appearance": False},
    {"deformation": False},
    {"deformation": False, "appearance": False},
]
scales = st.sampled_from([1.0, 1.03, 1.5, 2.0, 2.5, 3.0, 3.7, 4.0])


def a_network(depth: int = 0, **config: Any) -> Composed:
    """Random weights large enough for every part to show in the result."""
    torch.manual_seed(7)
    encoder = EdsrEncoder(EdsrConfig(width=WIDTH, depth=depth))
    network = Composed(encoder, DdirDecoder(WIDTH, DdirConfig.model_validate({**BOTH, **config})))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    return network.eval()


def decoder_of(network: Composed) -> DdirDecoder:
    assert isinstance(network.decoder, DdirDecoder)
    return network.decoder


def a_picture(size: Size, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(size.height * 100 + size.width))


def asked(network: Composed, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
    """A window of the grid, `b 3 H W`, through the plain `query`."""
    window = window or Window.whole(size)
    batch = len(encoded.lr)
    points = pixel_centres(size, encoded.lr, window).view(1, -1, 2).expand(batch, -1, -1)
    with torch.no_grad():
        colours = network.query(encoded, points, cell_of(size, encoded.lr).expand(batch, -1))
    return colours.transpose(1, 2).reshape(batch, 3, *window.size)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["ddir-a", "ddir-b"])
def test_equals_the_authors_network(case: str, shared: Path) -> None:
    """Both branches; b is the paper's decoder, 13x11 to 35x36."""
    facts, tensors = golden(shared, case)
    network = load_upstream("ddir", json.loads(facts["constructor_args"]), state_of(tensors))
    assert isinstance(network, Composed)
    assert_close = partial(torch.testing.assert_close, atol=float(facts["tol_atol"]), rtol=float(facts["tol_rtol"]))
    with torch.no_grad():
        encoded = network.encode(tensors["in.lr"])
        colours, differences = decoder_of(network).query_both(encoded, tensors["in.coord"], tensors["in.cell"][:, 0])
    assert_close(encoded.features[:, : tensors["mid.feat"].shape[1]], tensors["mid.feat"])
    assert_close(colours * 2 - 1, tensors["out.rgb"])
    assert_close(differences * 2 - 1, tensors["out.deform"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imnet_spec": {"args": {"hidden_list": [32, 32]}}}, "two different MLPs"),
        ({"cell_decode": False}, "without cell_decode"),
        ({"deformencoder_spec": {"name": "vgg", "args": {}}}, "'vgg' is not known"),
    ],
)
def test_refuses_what_was_never_published(change: dict[str, Any], message: str, shared: Path) -> None:
    facts, tensors = golden(shared, "ddir-a")
    with pytest.raises(CheckpointError, match=message):
        load_upstream("ddir", json.loads(facts["constructor_args"]) | change, state_of(tensors))


@pytest.mark.parametrize("key", ["imnet.layers.2.bias", "deformnet.layers.8.weight", "deformencoder.head.0.weight"])
def test_names_the_tensor_at_fault(key: str, shared: Path) -> None:
    facts, tensors = golden(shared, "ddir-a")
    args, state = json.loads(facts["constructor_args"]), state_of(tensors)
    with pytest.raises(CheckpointError, match=f"lacks {key}"):
        load_upstream("ddir", args, {name: value for name, value in state.items() if name != key})
    with pytest.raises(CheckpointError, match="holds gamma"):
        load_upstream("ddir", args, state | {"gamma": torch.ones(1)})


def test_parameter_counts() -> None:
    """The released networks hold 24 mean shifts more per EDSR encoder: 3,151,798 and 44,658,822."""

    def count(name: str, **decoder: Any) -> int:
        row = MODELS[name]
        with torch.device("meta"):
            network = row.build(row.config.model_validate({"decoder": decoder}))
        return sum(p.numel() for p in network.parameters())

    assert count("ddir-edsr") == 3_151_798 - 48 == 710_918 + 2 * 1_220_416
    assert count("ddir-rdn", encoder={"growth": 64}) == 44_658_822 == 710_918 + 2 * 21_973_952
    assert count("ddir-edsr", deformation=False, appearance=False) == 1_220_416 + 346_883  # LIIF
    assert count("ddir-edsr", deformation=False) == 1_220_416 + 346_883 + 64 * 256
    assert count("ddir-edsr", appearance=False) == 3_151_750 - 64 * 256


def test_the_keys_tell_which_encoder() -> None:
    assert isinstance(DdirConfig().encoder, EdsrConfig)
    assert isinstance(DdirConfig.model_validate({"encoder": {"blocks": 2, "growth": 4}}).encoder, RdnConfig)
    again = DdirConfig.model_validate_json(DdirConfig(encoder=RdnConfig()).model_dump_json())
    assert isinstance(again.encoder, RdnConfig)
    with pytest.raises(ValidationError):
        DdirConfig.model_validate({"encoder": {"blocks": 2, "residual_scale": 1.0}})


def test_the_difference_leaves_its_mlp_shifted() -> None:
    """An MLP that says 2 d - 1 predicts the difference d; it says so to the other one, too."""
    network = a_network()
    decoder = decoder_of(network)
    assert decoder.deformation is not None
    for mlp in (decoder.deformation, decoder.mlp):
        for parameter in mlp.parameters():
            torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        decoder.deformation.linears[-1].bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
        for row in range(3):  # the colours' MLP passes the three differences on, plus 3
            decoder.mlp.linears[0].weight[row, -3 + row] = 1
            decoder.mlp.linears[0].bias[row] = 3
            decoder.mlp.linears[1].weight[row, row] = 1
            decoder.mlp.linears[2].weight[row, row] = 1
    encoded = network.encode(a_picture(Size(3, 4)))
    colours, differences = decoder.query_both(encoded, torch.zeros(1, 1, 2), torch.tensor([[0.1, 0.1]]))
    assert differences[0, 0].tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert (colours[0, 0] * 2 - 1).tolist() == pytest.approx([2.0, 3.0, 4.0])


def test_without_the_first_branch_there_is_no_difference() -> None:
    network = a_network(deformation=False)
    encoded = network.encode(a_picture(Size(3, 4)))
    with pytest.raises(ValueError, match="without the branch"):
        decoder_of(network).query_both(encoded, torch.zeros(1, 1, 2), torch.tensor([[0.1, 0.1]]))


@pytest.mark.parametrize("config", BRANCHES, ids=str)
@settings(deadline=None, max_examples=10)
@given(lr=st.tuples(st.integers(1, 5), st.integers(1, 5)), down=scales, across=scales)
def test_render_equals_query(config: dict[str, Any], lr: tuple[int, int], down: float, across: float) -> None:
    network, size = a_network(**config), size_for(Size(*lr), (down, across))
    with torch.no_grad():
        encoded = network.encode(a_picture(Size(*lr)))
    close(network.render(encoded, size), asked(network, encoded, size))


@pytest.mark.parametrize("config", BRANCHES, ids=str)
@pytest.mark.parametrize("pixels", [ddir.PIXELS, 40])
def test_render_equals_query_over_many_blocks(
    config: dict[str, Any], pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a batch, whose pictures have appearances of their own; in one band or several."""
    monkeypatch.setattr(ddir, "PIXELS", pixels)
    network, lr = a_network(**config), Size(13, 12)
    size = size_for(lr, (3.7, 6.2))
    assert (len(list(ddir.bands(lr, size, Window.whole(size)))) > 1) == (pixels == 40)
    with torch.no_grad():
        encoded = network.encode(a_picture(lr, batch=2))
    expected = asked(network, encoded, size)
    assert expected.std() > 0.05  # else 1e-5 would say little
    close(network.render(encoded, size), expected)
    window = Window(11, 5, 40, 63)
    close(network.render(encoded, size, window), expected[..., 11:40, 5:63])


def test_render_equals_query_at_the_papers_width() -> None:
    torch.manual_seed(7)
    network = Composed(
        EdsrEncoder(EdsrConfig(depth=0)), DdirDecoder(64, DdirConfig(encoder=EdsrConfig(depth=0)))
    ).eval()
    with torch.no_grad():
        encoded = network.encode(a_picture(Size(4, 5)))
    size = size_for(encoded.whole, (4.0, 3.7))
    close(network.render(encoded, size), asked(network, encoded, size))


@pytest.mark.parametrize("config", BRANCHES, ids=str)
def test_what_a_crop_needs(config: dict[str, Any]) -> None:
    """Two LR pixels around its window, and the appearance that it keeps."""
    network, whole = a_network(**config), Size(9, 11)
    assert network.facts.reach == 2
    size, tile = size_for(whole, (2.5, 3.7)), Window(3, 4, 6, 7)
    owned = owned_window(tile, whole, size)
    with torch.no_grad():
        encoded = network.encode(a_picture(whole))
    expected = asked(network, encoded, size, owned)
    cropped = encoded.cropped(tile.grown(2, whole))
    close(network.render(cropped, size, owned), expected)
    close(asked(network, cropped, size, owned), expected)


@pytest.mark.parametrize(("depth", "other", "halo"), [(0, 1, 6), (2, 0, 8)])
def test_without_appearance_a_tile_is_exact(depth: int, other: int, halo: int) -> None:
    """The halo is that of the encoder which looks further."""
    network = a_network(depth, appearance=False, encoder={"width": 4, "depth": other})
    assert network.facts.halo == halo == 2 * max(depth, other) + 2 + 2
    whole, tile = Size(20, 19), Window(9, 8, 11, 11)
    size, seen = size_for(whole, 2.5), tile.grown(halo, Size(20, 19))
    owned, lr = owned_window(tile, whole, size), a_picture(whole)
    with torch.no_grad():
        expected = network.render(network.encode(lr), size, owned)
        part = network.encode(lr[..., seen.slices[0], seen.slices[1]], seen, whole)
    close(network.render(part, size, owned), expected)


def test_appearance_is_that_of_the_whole_picture() -> None:
    network, whole = a_network(), Size(30, 30)
    assert network.facts.halo is None
    lr, point = a_picture(whole), torch.tensor([[[-0.9, -0.9]]])
    far = lr.clone()
    far[..., 15:, 15:] = 1
    with torch.no_grad():
        encoded = network.encode(lr)
        appearance = encoded.features[:, :WIDTH].mean((-2, -1))
        torch.testing.assert_close(encoded.extra["appearance"], appearance)
        for other, moved in ((network, True), (a_network(appearance=False), False)):
            here, there = (other.query(other.encode(x), point, torch.tensor([[0.1, 0.1]])) for x in (lr, far))
            assert ((here - there).abs().max() > 1e-3) == moved
    with pytest.raises(ValueError, match="encode that, then crop"):
        network.encode(lr[..., :20, :], Window(0, 0, 20, 30), whole)


def test_planned_memory_counts_both_encoders() -> None:
    assert a_network(1).facts.floats_per_pixel == max(6 * WIDTH, WIDTH + 6 * 5)
    assert a_network(1, deformation=False).facts.floats_per_pixel == 6 * WIDTH


@pytest.mark.parametrize("scale", [3, 5])
def test_odd_scales_are_well_conditioned(scale: int) -> None:
    """In the last LR row and column the published weights are decided by rounding: a change of up to 0.54."""
    network, lr = a_network(), Size(12, 17)
    size = size_for(lr, scale)
    encoded = network.encode(a_picture(lr))
    points, cell = pixel_centres(size, encoded.lr).view(1, -1, 2), cell_of(size, encoded.lr).unsqueeze(0)
    with torch.no_grad():
        exact = network.query(encoded, points, cell)
        for towards in (-2.0, 2.0):
            moved = torch.nextafter(points, torch.tensor(towards))
            assert (network.query(encoded, moved, cell) - exact).abs().max() < 1e-3


@pytest.mark.parametrize("config", BRANCHES, ids=str)
def test_bfloat16_stays_close(config: dict[str, Any]) -> None:
    """Eight significant bits round by up to 0.2 %, at each of about ten places between features and colours."""
    network, size = a_network(**config), Size(29, 31)
    with torch.no_grad():
        encoded = network.encode(a_picture(Size(7, 9)))
    exact = network.render(encoded, size)
    rough = network.render(encoded._replace(features=encoded.features.bfloat16()), size)
    assert rough.dtype == torch.float32
    error = (rough - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.02
    assert error.max() < 0.1


@pytest.mark.parametrize("config", BRANCHES, ids=str)
def test_gradients_reach_all_parameters(config: dict[str, Any]) -> None:
    network = a_network(**config)
    points = pixel_centres(Size(11, 13), torch.empty(0)).view(1, -1, 2)
    colours = network.query(network.encode(a_picture(Size(5, 6))), points, torch.tensor([[0.2, 0.2]]))
    torch.autograd.backward([colours.square().sum()])
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_both_branches_learn() -> None:
    torch.manual_seed(1)
    network, lr, size = a_network(), a_picture(Size(5, 6)), Size(10, 12)
    points, cell = pixel_centres(size, lr).view(1, -1, 2), cell_of(size, lr).unsqueeze(0)
    target, change = torch.rand(1, size.pixels, 3), torch.rand(1, size.pixels, 3) - 0.5
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        colours, differences = decoder_of(network).query_both(network.encode(lr), points, cell)
        loss = (colours - target).abs().mean() + (differences - change).abs().mean()
        optimizer.zero_grad()
        torch.autograd.backward([loss])
        optimizer.step()
        losses.append([(colours - target).abs().mean().item(), (differences - change).abs().mean().item()])
    assert losses[-1][0] < 0.8 * losses[0][0]
    assert losses[-1][1] < 0.8 * losses[0][1]
