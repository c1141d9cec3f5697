"""ITSRN: the fast `render` against the plain `query`, tiles, and its lookup in numbers."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import Encoded
from anyzoom.models.decoders import itsrn, kernels
from anyzoom.models.decoders.itsrn import ItsrnConfig, ItsrnDecoder, either_side

WIDTH = 5
ORDERS = {"kernels": (4096, 16384), "hidden layers": (0, 16384), "no table": (0, 0)}  # MOST_KERNELS, MOST_OFFSETS


def a_decoder(hidden: tuple[int, ...] = (16, 12)) -> ItsrnDecoder:
    torch.manual_seed(2)
    decoder = ItsrnDecoder(WIDTH, ItsrnConfig(hidden=hidden, score_hidden=10, blend_hidden=8))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(2)
    return decoder.eval()


def a_picture(size: Size, batch: int = 1) -> Encoded:
    generator = torch.Generator().manual_seed(size.height * 100 + size.width)
    features = torch.randn(batch, WIDTH, *size, generator=generator)
    return Encoded(torch.rand(batch, 3, *size, generator=generator), features, Window.whole(size), size)


def asked(decoder: ItsrnDecoder, encoded: Encoded, size: Size) -> Tensor:
    """The whole grid through the plain `query`, `b 3 H W`; from points in float64, as `render` finds its axes."""
    points = pixel_centres(size, encoded.lr.double()).view(1, -1, 2).expand(len(encoded.lr), -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, points).expand(len(encoded.lr), -1))
    return colours.transpose(1, 2).reshape(len(encoded.lr), 3, *size).float()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way to multiply, whatever would be cheapest."""
    most_kernels, most_offsets = ORDERS[request.param]
    monkeypatch.setattr(kernels, "MOST_KERNELS", most_kernels)
    monkeypatch.setattr(itsrn, "MOST_OFFSETS", most_offsets)
    monkeypatch.setattr(kernels, "PIXELS", 500)  # several blocks
    return str(request.param)


def test_default_is_the_papers_network() -> None:
    with torch.device("meta"):
        decoder = ItsrnDecoder(64)
    assert sum(p.numel() for p in decoder.parameters()) == 645_314
    assert (decoder.reach, decoder.axes) == (2, 2)
    with pytest.raises(ValidationError):
        ItsrnConfig(hidden=())


def test_lookup_in_numbers() -> None:
    """x3 on 4 pixels: the moves are 11/12 of a third of the picture's half, 0.611 LR pixels instead of a half."""
    for dtype in (torch.float32, torch.float64):
        centres = pixel_centres(Size(1, 12), torch.empty(0, dtype=dtype))[0, :, 1]
        indices, offsets = either_side(centres, 4, torch.tensor(2 / 12))
        # In the middle of a pixel the two beside it are found; at the border the outermost repeats.
        assert indices[:6].tolist() == [[0, 0], [0, 1], [0, 1], [0, 1], [0, 2], [1, 2]]
        assert offsets[4].tolist() == pytest.approx([2, -2], abs=1e-6)
        assert offsets[5].tolist() == pytest.approx([2 / 3, -4 / 3], abs=1e-6)


@pytest.mark.parametrize("hr", [1, 2, 5])
def test_one_lr_pixel_is_found_twice(hr: int) -> None:
    """The released code divides by h - 1 there, and by zero where the result has one row too."""
    centres = pixel_centres(Size(1, hr), torch.empty(0, dtype=torch.float64))[0, :, 1]
    indices, offsets = either_side(centres, 1, 2 / hr)
    assert indices.tolist() == [[0, 0]] * hr
    assert torch.equal(offsets, centres.unsqueeze(-1).expand(-1, 2))


def test_the_four_corners_in_order() -> None:
    """Up left, up right, down left, down right: a blend that takes one of them, kernels that take the centre."""
    encoded, size = a_picture(Size(4, 4)), Size(8, 8)
    for corner, (down, along) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        decoder = a_decoder()
        with torch.no_grad():
            for parameter in decoder.parameters():
                parameter.zero_()
            decoder.mlp.linears[-1].bias.view(WIDTH, 3, 3, 3)[1, 1, 1] = 1  # f y x rgb
            decoder.score.linears[-1].bias.fill_(0.25)
            decoder.blend.linears[0].weight[0, corner] = 1
            decoder.blend.linears[0].bias[0] = 20  # where GELU is the identity
            decoder.blend.linears[1].weight[0, 0] = 1
            decoder.blend.linears[1].bias.fill_(-20)
        found = torch.tensor([[0, 0], [0, 1], [0, 1], [1, 2], [1, 2], [2, 3], [2, 3], [3, 3]])
        expected = encoded.features[:, 1:2][:, :, found[:, down]][..., found[:, along]].expand(-1, 3, -1, -1)
        for colours in (asked(decoder, encoded, size), decoder.render(encoded, size, Window.whole(size))):
            close(colours, (expected + 0.25) * 0.5 + 0.5)


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize("lr", [Size(1, 1), Size(1, 7), Size(6, 2), Size(7, 9)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.03, 2.5, 3.0, (3.7, 4.0)])
def test_render_equals_query(lr: Size, scale: float | tuple[float, float]) -> None:
    decoder, encoded, size = a_decoder(), a_picture(lr, batch=2), size_for(lr, scale)
    expected = asked(decoder, encoded, size)
    assert min(lr) == 1 or expected.std() > 0.1  # else 1e-5 would say little
    close(decoder.render(encoded, size, Window.whole(size)), expected)
    part = Window(size.height // 3, size.width // 2, size.height, size.width)
    rows, columns = part.slices
    close(decoder.render(encoded, size, part), expected[..., rows, columns])


@pytest.mark.usefixtures("order")
def test_one_hidden_layer_is_enough() -> None:
    decoder, encoded, size = a_decoder(hidden=(9,)), a_picture(Size(5, 6)), Size(11, 17)
    close(decoder.render(encoded, size, Window.whole(size)), asked(decoder, encoded, size))


@pytest.mark.usefixtures("order")
def test_a_tile_renders_as_the_whole() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(14, 15))
    size = size_for(encoded.whole, (2.7, 3.0))
    whole = decoder.render(encoded, size, Window.whole(size))
    for tile in (Window(5, 4, 9, 10), Window(0, 0, 3, 4), Window(11, 9, 14, 15)):
        part = owned_window(tile, encoded.whole, size)
        rows, columns = part.slices
        near = encoded.cropped(tile.grown(decoder.reach, encoded.whole))
        close(decoder.render(near, size, part), whole[..., rows, columns])
        points = pixel_centres(size, encoded.lr.double(), part).view(1, -1, 2)
        with torch.no_grad():
            colours = decoder.query(near, points, cell_of(size, points).unsqueeze(0))
        close(colours.transpose(1, 2).reshape(1, 3, *part.size).float(), whole[..., rows, columns])
    part = owned_window(Window(5, 4, 9, 10), encoded.whole, size)
    narrow = decoder.render(encoded.cropped(Window(4, 3, 10, 11)), size, part)
    assert (narrow - whole[..., part.slices[0], part.slices[1]]).abs().max() > 1e-3


@pytest.mark.usefixtures("order")
def test_bfloat16_is_close() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(8, 8))
    size = size_for(encoded.whole, 3.7)
    expected = asked(decoder, encoded, size)
    found = decoder.render(encoded._replace(features=encoded.features.bfloat16()), size, Window.whole(size))
    assert found.dtype == torch.float32
    error = (found - expected).abs() / expected.std()
    assert 0 < error.square().mean().sqrt() < 0.01
    assert error.max() < 0.06


def test_both_scales_enter() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(5, 6))
    points = torch.rand(1, 50, 2) * 2 - 1
    with torch.no_grad():
        colours = [
            decoder.query(encoded, points, torch.tensor([cell])) for cell in ([0.1, 0.1], [0.1, 0.3], [0.3, 0.1])
        ]
    assert (colours[1] - colours[0]).abs().mean() > 1e-2
    assert (colours[2] - colours[0]).abs().mean() > 1e-2


def test_every_picture_of_a_batch_has_its_own_points_and_cell() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(5, 6), batch=2)
    points, cells = torch.rand(2, 30, 2) * 2 - 1, torch.tensor([[0.1, 0.1], [0.3, 0.2]])
    together = decoder.query(encoded, points, cells)
    for i in range(2):
        alone = encoded._replace(lr=encoded.lr[i : i + 1], features=encoded.features[i : i + 1])
        close(together[i : i + 1], decoder.query(alone, points[i : i + 1], cells[i : i + 1]))


def test_a_pair_can_be_learned() -> None:
    """Gradients reach every weight and the features."""
    decoder, encoded, size = a_decoder(), a_picture(Size(4, 5)), Size(9, 12)
    encoded.features.requires_grad_()
    points, cell = pixel_centres(size, encoded.lr).view(1, -1, 2), cell_of(size, encoded.lr).unsqueeze(0)
    target = torch.rand(1, size.pixels, 3)
    optimiser, losses = torch.optim.Adam(decoder.parameters(), lr=1e-2), []
    for _ in range(30):
        optimiser.zero_grad()
        loss = F.l1_loss(decoder.query(encoded, points, cell), target)
        torch.autograd.backward([loss])
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
    for name, tensor in [("features", encoded.features), *decoder.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.any(), name


def test_query_under_autocast_keeps_its_positions() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(7, 9))
    size = Size(20, 31)
    exact = asked(decoder, encoded, size)
    with torch.autocast("cpu", torch.bfloat16):
        error = (asked(decoder, encoded, size) - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.015


def test_refusals() -> None:
    spec = {"name": "edsr-baseline", "args": {"n_resblocks": 0, "n_feats": 4, "no_upsampling": True}}
    args = {"encoder_spec": spec, "imnet_spec": {"name": "mlp", "args": {"hidden_list": [8], "act": "gelu"}}}
    for option in ("local_ensemble", "feat_unfold", "scale_token"):
        with pytest.raises(CheckpointError, match=f"ITSRN without {option}"):
            load_upstream("itsrn", args | {option: False}, {})
    with pytest.raises(CheckpointError, match="coordinate embeddings"):
        load_upstream("itsrn", args | {"embedding_coord": {"name": "mlp"}}, {})
    head = {"encoder.head.0.weight": torch.zeros(4, 3, 3, 3), "encoder.head.0.bias": torch.zeros(4)}
    body = {"encoder.body.0.weight": torch.zeros(4, 4, 3, 3), "encoder.body.0.bias": torch.zeros(4)}
    with pytest.raises(CheckpointError, match=r"lacks imnet\.layers\.0\.weight"):
        load_upstream("itsrn", args, head | body)
    sine = {"name": "mlp", "args": {"hidden_list": [8]}}
    with pytest.raises(CheckpointError, match="ITSRN with sine"):
        load_upstream("itsrn", args | {"imnet_spec": sine}, head | body)
