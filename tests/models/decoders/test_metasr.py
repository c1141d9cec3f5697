"""Meta-SR: the fast `render` against the plain `query`, tiles, lookups in numbers, and the authors' own files."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import Composed, Encoded
from anyzoom.models.decoders import kernels
from anyzoom.models.decoders.fast import Axis
from anyzoom.models.decoders.metasr import MetaSrConfig, MetaSrDecoder, under_corner
from anyzoom.models.encoders.rdn import RdnConfig, RdnEncoder
from anyzoom.models.network import MEAN

WIDTH = 5


def a_decoder() -> MetaSrDecoder:
    torch.manual_seed(2)
    decoder = MetaSrDecoder(WIDTH, MetaSrConfig(hidden=20))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(1.5)
    return decoder.eval()


def a_picture(size: Size, batch: int = 1) -> Encoded:
    generator = torch.Generator().manual_seed(size.height * 100 + size.width)
    features = torch.randn(batch, WIDTH, *size, generator=generator)
    return Encoded(torch.rand(batch, 3, *size, generator=generator), features, Window.whole(size), size)


def asked(decoder: MetaSrDecoder, encoded: Encoded, size: Size) -> Tensor:
    """The whole grid through the plain `query`, `b 3 H W`; from points in float64, as `render` finds its axes."""
    points = pixel_centres(size, encoded.lr.double()).view(1, -1, 2).expand(len(encoded.lr), -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, points).expand(len(encoded.lr), -1))
    return colours.transpose(1, 2).reshape(len(encoded.lr), 3, *size)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_default_is_the_papers_network() -> None:
    with torch.device("meta"):
        decoder = MetaSrDecoder(64)
    assert sum(p.numel() for p in decoder.parameters()) == 445_120
    assert (decoder.reach, decoder.axes) == (2, 1)
    with pytest.raises(ValidationError, match="hidden"):
        MetaSrConfig(hidden=0)


def test_lookup_in_numbers() -> None:
    """An output pixel belongs to the LR pixel that its upper left corner lies in, not the one under its centre."""
    for side, indices, places in (
        (5, [0, 0, 1, 2, 3], [0, 0.8, 0.6, 0.4, 0.2]),  # the second's centre lies at 1.2
        (8, [0, 0, 1, 1, 2, 2, 3, 3], [0, 0.5] * 4),  # corners on a border belong to the pixel that begins there
    ):
        for dtype in (torch.float32, torch.float64):
            centres = pixel_centres(Size(1, side), torch.empty(0, dtype=dtype))[0, :, 1]
            found, offsets = under_corner(centres, 4, 2 / side)
            assert found.squeeze(-1).tolist() == indices
            assert offsets.squeeze(-1).tolist() == pytest.approx(places, abs=1e-6)


def test_the_kernel_lies_around_that_pixel() -> None:
    """A kernel with one weight: red is feature 1 of the pixel above, green the one's to the right."""
    decoder, encoded = a_decoder(), a_picture(Size(4, 4))
    with torch.no_grad():
        for parameter in decoder.mlp.parameters():
            parameter.zero_()
        weights = decoder.mlp.linears[-1].bias.view(WIDTH, 3, 3, 3)  # f y x rgb
        weights[1, 0, 1, 0] = weights[1, 1, 2, 1] = 1
    red, green, blue = asked(decoder, encoded, Size(5, 5))[0]
    picture = F.pad(encoded.features[0, 1], (1, 1, 1, 1))
    owner = torch.tensor([0, 0, 1, 2, 3])
    close(red, picture[owner][:, owner + 1] * 0.5 + 0.5)
    close(green, picture[owner + 1][:, owner + 2] * 0.5 + 0.5)
    close(blue, torch.full((5, 5), 0.5))
    close(decoder.render(encoded, Size(5, 5), Window(0, 0, 5, 5))[0], torch.stack([red, green, blue]))


@pytest.mark.parametrize("most_kernels", [0, 4096])
@pytest.mark.parametrize("lr", [Size(1, 1), Size(1, 7), Size(6, 1), Size(7, 10)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.03, 2.0, 2.5, 3.0, 4.0, (3.7, 1.5)])
def test_render_equals_query(
    lr: Size, scale: float | tuple[float, float], most_kernels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With kernels of distinct offsets, and with the last layer first."""
    monkeypatch.setattr(kernels, "MOST_KERNELS", most_kernels)
    monkeypatch.setattr(kernels, "PIXELS", 500)  # several blocks
    decoder, encoded, size = a_decoder(), a_picture(lr, batch=2), size_for(lr, scale)
    expected = asked(decoder, encoded, size)
    assert min(lr) == 1 or expected.std() > 0.1  # else 1e-5 would say little
    close(decoder.render(encoded, size, Window.whole(size)), expected)
    part = Window(size.height // 3, size.width // 2, size.height, size.width)
    rows, columns = part.slices
    close(decoder.render(encoded, size, part), expected[..., rows, columns])


def test_the_cheaper_order_is_taken() -> None:
    """x4 has 4 x 4 kernels, 96 to 99 has 33 x 33, 17 to 61 has one for every pixel."""
    decoder = MetaSrDecoder(64)

    def by_kind(lr: int, hr: int) -> bool:
        axis = Axis.of(lambda at, side: under_corner(at, side, 2 / hr), (hr, 0, hr), lr, 0, torch.device("cpu"))
        kinds = kernels.Kinds.on(axis)
        return kernels.fewer_by_kind(decoder.mlp.linears[-1], kinds, kinds, Size(lr, lr))

    assert by_kind(17, 17)
    assert by_kind(17, 68)
    assert by_kind(96, 99)
    assert not by_kind(17, 61)
    assert not by_kind(500, 515)  # 103 x 103 are more than are kept


@pytest.mark.parametrize("scale", [2.0, (2.7, 3.3), 1.25])
def test_a_tile_renders_as_the_whole(scale: float | tuple[float, float]) -> None:
    decoder, encoded = a_decoder(), a_picture(Size(14, 15))
    size = size_for(encoded.whole, scale)
    for tile in (Window(5, 4, 9, 10), Window(0, 0, 3, 4), Window(11, 9, 14, 15)):
        part = owned_window(tile, encoded.whole, size)
        rows, columns = part.slices
        expected = decoder.render(encoded, size, Window.whole(size))[..., rows, columns]
        near = encoded.cropped(tile.grown(decoder.reach, encoded.whole))
        close(decoder.render(near, size, part), expected)
        points = pixel_centres(size, encoded.lr.double(), part).view(1, -1, 2)
        colours = decoder.query(near, points, cell_of(size, points).unsqueeze(0))
        close(colours.transpose(1, 2).reshape(1, 3, *part.size), expected)


def test_a_smaller_halo_shows() -> None:
    """A corner may lie in the pixel before, and that pixel's neighbours count."""
    decoder, encoded, size = a_decoder(), a_picture(Size(8, 8)), Size(10, 10)
    tile = Window(2, 2, 6, 6)  # its first output pixel reaches from 1.6 to 2.4
    part = owned_window(tile, encoded.whole, size)
    expected = decoder.render(encoded, size, part)
    narrow = decoder.render(encoded.cropped(tile.grown(1, encoded.whole)), size, part)
    assert (narrow - expected).abs().max() > 1e-3


@pytest.mark.parametrize("most_kernels", [0, 4096])
def test_bfloat16_is_close(most_kernels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST_KERNELS", most_kernels)
    decoder, encoded = a_decoder(), a_picture(Size(8, 8))
    size = size_for(encoded.whole, 2.5)
    expected = asked(decoder, encoded, size)
    found = decoder.render(encoded._replace(features=encoded.features.bfloat16()), size, Window.whole(size))
    assert found.dtype == torch.float32
    error = (found - expected).abs() / expected.std()
    assert 0 < error.square().mean().sqrt() < 0.01
    assert error.max() < 0.05


def test_only_the_vertical_scale_enters() -> None:
    """With the same upper left corners, pixels may be as wide as they like."""
    decoder, encoded = a_decoder(), a_picture(Size(5, 6))
    corners, colours = torch.rand(1, 50, 2) * 1.6 - 0.8, []
    for cell in torch.tensor([[[0.1, 0.1]], [[0.1, 0.3]], [[0.3, 0.1]]]):
        with torch.no_grad():
            colours.append(decoder.query(encoded, corners + cell / 2, cell))
    close(colours[1], colours[0])
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
    for _ in range(25):
        optimiser.zero_grad()
        loss = F.l1_loss(decoder.query(encoded, points, cell), target)
        torch.autograd.backward([loss])
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    for name, tensor in [("features", encoded.features), *decoder.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.any(), name


def test_query_under_autocast_keeps_its_positions() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(7, 9))
    size = Size(20, 31)
    exact = asked(decoder, encoded, size)
    with torch.autocast("cpu", torch.bfloat16):
        error = (asked(decoder, encoded, size) - exact).abs() / exact.std()
    assert 0 < error.square().mean().sqrt() < 0.01


def the_authors_state(encoder: RdnEncoder, decoder: MetaSrDecoder) -> dict[str, Tensor]:
    """A state dict in the layout of the authors' own repository."""
    names = {"head": "SFENet1", "shallow": "SFENet2", "fusion": "GFF.0", "tail": "GFF.1"}
    state = {}
    for key, tensor in encoder.state_dict().items():
        layer, _, kind = key.rpartition(".")
        _, *block = layer.split(".")
        if layer not in names:
            names[layer] = f"RDBs.{block[0]}." + ("LFF" if block[1] == "fusion" else f"convs.{block[2]}.conv.0")
        state[f"{names[layer]}.{kind}"] = tensor
    for k in (0, 1):
        state[f"P2W.meta_block.{2 * k}.weight"] = decoder.mlp.linears[k].weight.detach()
        state[f"P2W.meta_block.{2 * k}.bias"] = decoder.mlp.linears[k].bias.detach()
    shifts = {f"{name}_mean.{kind}": torch.zeros(3) for name in ("sub", "add") for kind in ("weight", "bias")}
    return state | shifts


def test_the_authors_own_files() -> None:
    """Colours are 0 to 255 less the mean there; the weight network takes 1 / s first, then down and along."""
    torch.manual_seed(4)
    encoder = RdnEncoder(RdnConfig(width=4, blocks=1, depth=2, growth=3)).eval()
    meta, lr, scale = MetaSrDecoder(4), torch.rand(1, 3, 5, 6), 2
    options = {"RDNconfig": "B", "RDNkSize": 3, "G0": 4, "D": 1, "C": 2, "G": 3, "rgb_range": 255, "n_colors": 3}
    network = load_upstream("metasr", options, the_authors_state(encoder, meta))
    assert isinstance(network, Composed)

    mean = torch.tensor(MEAN).view(3, 1, 1)
    with torch.no_grad():
        features = encoder((255 * (lr - mean) + 1) / 2)  # which maps its input x to 2 x - 1
        patches = F.unfold(features, 3, padding=1).view(36, 5, 6)
        expected = torch.empty(3, 10, 12)
        for row in range(10):
            for column in range(12):
                place = torch.tensor([1 / scale, row % scale / scale, column % scale / scale])
                kernel = meta.mlp(place).view(36, 3)
                expected[:, row, column] = patches[:, row // scale, column // scale] @ kernel
        expected = expected / 255 + mean
        rendered = network(lr, Size(10, 12))[0]
    assert expected.std() > 0.1
    close(rendered, expected)


def test_refusals() -> None:
    encoder, decoder = RdnEncoder(RdnConfig(width=4, blocks=1, depth=2, growth=3)), MetaSrDecoder(4)
    options, state = {"G0": 4, "D": 1, "C": 2, "G": 3}, the_authors_state(encoder, decoder)
    with pytest.raises(CheckpointError, match=r"only the one on RDN is known; SFENet1\.weight"):
        load_upstream("metasr", options, {key: v for key, v in state.items() if key.startswith("P2W")})
    with pytest.raises(CheckpointError, match=r"lacks P2W\.meta_block\.2\.bias"):
        load_upstream("metasr", options, {k: v for k, v in state.items() if k != "P2W.meta_block.2.bias"})
    with pytest.raises(CheckpointError, match="encoder_spec"):
        load_upstream("metasr", {}, {})
