"""SwinIR's trunk: its windows against attention over the whole picture, tiles against the whole picture."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size, Window
from anyzoom.models.encoders import swinir
from anyzoom.models.encoders.swinir import (
    SwinBlock,
    SwinirConfig,
    SwinirEncoder,
    windows_of,
)
from anyzoom.models.network import mirrored

CPU = torch.device("cpu")
SMALL = SwinirConfig(width=5, inner=6, depths=(2, 2), heads=2, window=4)


def an_encoder(config: SwinirConfig = SMALL) -> SwinirEncoder:
    """Random weights so large that pixels care whom they see."""
    torch.manual_seed(3)
    encoder = SwinirEncoder(config).eval()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "blocks" in name and parameter.ndim == 2:
                parameter.mul_(20)
    return encoder


def blocks_of(encoder: SwinirEncoder) -> list[SwinBlock]:
    return [block for block in encoder.modules() if isinstance(block, SwinBlock)]


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_mirrors_about_the_last_pixel_again_and_again() -> None:
    row = torch.arange(3.0).view(1, 1, 1, 3).expand(1, 1, 4, 3)
    assert mirrored(row, 4)[0, 0, 0].tolist() == [0, 1, 2, 1]
    assert mirrored(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert mirrored(torch.full((1, 1, 1, 1), 7.0), 4).tolist() == [[[[7.0] * 4] * 4]]
    picture = torch.rand(1, 3, 13, 15)
    assert torch.equal(mirrored(picture, 8), F.pad(picture, (0, 1, 0, 3), "reflect"))
    assert mirrored(picture[..., :8, :8], 8).data_ptr() == picture.data_ptr()


def test_windows_in_literal_numbers() -> None:
    """A picture of 4 x 4, windows of 2 x 2, moved by one pixel: one whole window, two halves twice, four corners."""
    straight = windows_of(Size(4, 4), 2, 0, CPU)
    assert straight.order.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert (straight.unmasked, len(straight.strangers)) == (4, 0)
    moved = windows_of(Size(4, 4), 2, 1, CPU)
    assert moved.order.tolist() == [[5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]
    assert moved.unmasked == 1
    assert moved.strangers[0].tolist() == [[False, True, False, True], [True, False, True, False]] * 2
    assert moved.strangers[1][0].tolist() == [False, False, True, True]
    assert torch.equal(moved.strangers[2], ~torch.eye(4, dtype=torch.bool))
    for windows in (straight, moved):
        assert windows.order.flatten()[windows.back].tolist() == list(range(16))


def test_relative_positions_in_literal_numbers() -> None:
    """Row: the pixel; column: the one that it sees. Up and left of a pixel means larger numbers."""
    small = windows_of(Size(2, 2), 2, 0, CPU).relative
    assert small.tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]
    usual = windows_of(Size(8, 8), 8, 0, CPU).relative
    assert (int(usual[0, 63]), int(usual[63, 0])) == (0, 224)


def everyone_sees_their_window(block: SwinBlock, tokens: Tensor, size: Size, shift: int) -> Tensor:
    """The block as one attention over the whole picture, windows of 4; who shares no window is out of sight."""
    row, column = torch.arange(size.height).repeat_interleave(size.width), torch.arange(size.width).repeat(size.height)
    window = torch.stack([(row - shift) // 4, (column - shift) // 4], -1)
    together = (window[:, None] == window[None]).all(-1)
    down, along = (row[:, None] - row).clamp(-3, 3), (column[:, None] - column).clamp(-3, 3)
    bias = block.biases[(down + 3) * 7 + along + 3].permute(2, 0, 1)
    bias = bias.masked_fill(~together, -torch.inf)
    parts = block.qkv(block.first_norm(tokens)).unflatten(-1, (3, block.heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = parts
    seen = ((query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias).softmax(-1) @ value
    tokens = tokens + block.mixed(seen.transpose(1, 2).flatten(2))
    result: Tensor = tokens + block.narrow(F.gelu(block.widen(block.second_norm(tokens))))
    return result


@pytest.mark.parametrize("size", [Size(4, 4), Size(4, 12), Size(12, 8)], ids=str)
@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("together", [1, 4, 1000])
@pytest.mark.parametrize("gradients", [False, True])
def test_a_block_is_attention_within_windows(
    monkeypatch: pytest.MonkeyPatch, size: Size, shift: int, together: int, gradients: bool
) -> None:
    monkeypatch.setattr(swinir, "WINDOWS_ON_CPU", together)
    block = blocks_of(an_encoder())[2]
    tokens = torch.randn(2, size.pixels, 6)
    with torch.no_grad():
        expected = everyone_sees_their_window(block, tokens, size, shift)
    assert (expected - tokens).abs().max() > 0.5
    with torch.set_grad_enabled(gradients):
        close(block(tokens.clone(), windows_of(size, 4, shift, CPU)), expected)


def test_every_second_block_of_a_stage_moves_its_windows() -> None:
    encoder, size = an_encoder(SwinirConfig(width=5, inner=6, depths=(1, 3), heads=2, window=4)), Size(8, 12)
    lr = torch.rand(1, 3, *size)
    blocks = blocks_of(encoder)
    with torch.no_grad():
        shallow = encoder.head(lr * 2 - 1)
        inside = encoder.first_norm(shallow.permute(0, 2, 3, 1)).flatten(1, 2)
        for stage, shifts in ((0, [0]), (1, [0, 2, 0])):
            tokens = inside
            for shift in shifts:
                tokens = everyone_sees_their_window(blocks.pop(0), tokens, size, shift)
            convolution = encoder.get_submodule(f"stages.{stage}.convolution")
            inside = inside + convolution(tokens.transpose(1, 2).unflatten(2, size)).flatten(2).transpose(1, 2)
        features = encoder.last_norm(inside).transpose(1, 2).unflatten(2, size)
        assert encoder.tail is not None
        close(encoder(lr), F.leaky_relu(encoder.tail(encoder.body(features) + shallow), 0.01))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 9), (8, 4), (5, 13)])
def test_any_size(size: tuple[int, int]) -> None:
    """With and without gradients, and nothing that was given is written over."""
    encoder, lr = an_encoder(), torch.rand(2, 3, *size)
    before = lr.clone()
    features = encoder(lr)
    assert features.shape == (2, 5, *size)
    assert torch.equal(lr, before)
    with torch.no_grad():
        close(encoder(lr), features)
        stage, inside = encoder.stages[0], torch.randn(1, 6, 8, 8)
        kept = inside.clone()
        stage(inside, *(windows_of(Size(8, 8), 4, shift, CPU) for shift in (0, 2)))
        assert torch.equal(inside, kept)


def test_parameter_count() -> None:
    with torch.device("meta"):
        encoder = SwinirEncoder()
    assert sum(p.numel() for p in encoder.parameters()) == 11_603_044
    assert (encoder.width, encoder.multiple, encoder.reach) == (64, 8, 151)
    assert not list(encoder.buffers())


@pytest.mark.parametrize(
    ("depths", "window", "reach"),
    [((1,), 4, 7), ((2,), 4, 9), ((3,), 2, 7), ((2, 2), 4, 13), ((1, 2), 2, 8), ((2, 1), 8, 19)],
)
def test_reach_is_where_a_pixel_stops_to_matter(depths: tuple[int, ...], window: int, reach: int) -> None:
    """At the worst place within a window; on the other places it may be less."""
    encoder = an_encoder(SwinirConfig(width=5, inner=6, depths=depths, heads=2, window=window)).double()
    assert encoder.reach == reach
    side = -(-(2 * reach + 2 * window) // window) * window
    lr = torch.rand(1, 3, side, side, dtype=torch.float64)
    furthest = []
    with torch.no_grad():
        usual = encoder(lr)
        for offset in range(window):
            place = side // 2 + offset
            changed = lr.clone()
            changed[..., place, place] += 0.5
            for places in (usual != encoder(changed)).any(dim=1)[0].nonzero(as_tuple=True):
                furthest += [place - int(places.min()), int(places.max()) - place]
    assert max(furthest) == reach


@pytest.mark.parametrize("whole", [Size(41, 38), Size(44, 49)], ids=str)
@pytest.mark.parametrize("tile", [Window(0, 0, 4, 4), Window(20, 19, 22, 20), Window(39, 33, 41, 38)], ids=str)
def test_a_tile_of_whole_windows_is_exact(whole: Size, tile: Window) -> None:
    """It starts at multiples and ends at multiples or where the picture ends, also in mirrored pixels."""
    encoder, lr = an_encoder(SwinirConfig(width=5, inner=6, depths=(2, 1), heads=2, window=4)), torch.rand(1, 3, *whole)
    assert encoder.reach == 11
    grown = tile.grown(encoder.reach, whole)
    start = (grown.top // 4 * 4, grown.left // 4 * 4)
    seen = Window(*start, -(-grown.bottom // 4) * 4, -(-grown.right // 4) * 4).grown(0, whole)
    assert seen != Window.whole(whole)
    rows, columns = seen.slices
    with torch.no_grad():
        expected = encoder(lr)[..., tile.top : tile.bottom, tile.left : tile.right]
        rest = tile.within(seen).slices
        close(encoder(lr[..., rows, columns])[..., rest[0], rest[1]], expected)


def test_may_hand_out_the_inner_features() -> None:
    """Without the last convolution and its activation; one pixel less of reach."""
    config = SwinirConfig(width=None, inner=6, depths=(2,), heads=2, window=4)
    encoder = an_encoder(config).double()
    assert (encoder.width, encoder.reach) == (6, 8)
    lr = torch.rand(1, 3, 28, 28, dtype=torch.float64)
    assert (encoder(lr) < 0).float().mean() > 0.2
    changed = lr.clone()
    changed[..., 13, 13] += 0.5
    moved = (encoder(lr) != encoder(changed)).any(dim=1)[0].nonzero()
    assert int((moved - 13).abs().max()) <= 8
    with torch.device("meta"):
        assert sum(p.numel() for p in SwinirEncoder(SwinirConfig(width=None)).parameters()) == 11_603_044 - 103_744


def test_gradients_reach_all_parameters() -> None:
    encoder = an_encoder()
    encoder(torch.rand(1, 3, 6, 9)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_zooming_first_does_not_harm_training() -> None:
    encoder, lr = an_encoder(), torch.rand(1, 3, 6, 9)
    with torch.inference_mode():
        encoder(lr)
    encoder(lr).sum().backward()


def test_blocks_are_left_out_in_training_alone() -> None:
    """The first block never, the last one as often as configured; each of a block's two changes by itself."""
    encoder = an_encoder(SwinirConfig(width=5, inner=6, depths=(2, 1), heads=2, window=4, stochastic_depth=0.5)).train()
    blocks = blocks_of(encoder)
    assert [block.left_out for block in blocks] == [0, 0.25, 0.5]
    tokens, last = torch.randn(400, 16, 6), blocks[-1]
    with torch.no_grad():
        windows = windows_of(Size(4, 4), 4, 0, CPU)
        unchanged = (last(tokens.clone(), windows) == tokens).all((1, 2)).float().mean()
        assert 0.17 < unchanged < 0.33  # a quarter: both changes left out
        close(blocks[0](tokens.clone(), windows), everyone_sees_their_window(blocks[0], tokens, Size(4, 4), 0))
    lr = torch.rand(1, 3, 6, 9)
    assert len({float(encoder(lr).detach().sum()) for _ in range(20)}) > 2
    encoder.eval()
    assert torch.equal(encoder(lr), encoder(lr))


def test_bfloat16_is_close() -> None:
    torch.manual_seed(3)
    encoder, lr = SwinirEncoder(SMALL).eval(), torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        expected = encoder(lr)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(encoder(lr).float(), expected, rtol=0, atol=0.03)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"heads": 7}, "180 inner channels cannot be shared evenly by 7 heads"),
        ({"depths": [6, 0]}, "every stage needs a block"),
        ({"window": 7}, "multiple of 2"),
    ],
)
def test_refuses(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SwinirConfig.model_validate(wrong)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"upsampler": "pixelshuffle"}, "SwinIR with upsampler 'pixelshuffle' is not known, only with 'none'"),
        ({"ape": True}, "SwinIR's option ape is not known"),
        ({"num_heads": [6, 6, 6, 6, 6, 3]}, "every stage of SwinIR must have as many heads"),
        ({"img_size": 8}, "does not shift its windows"),
        ({"window_size": 7}, "multiple of 2"),
        ({}, "the state dict lacks conv_first.weight"),
    ],
)
def test_refuses_files_of_other_networks(args: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        load_upstream("swinir", args, {})


def test_the_tables_in_a_file_are_not_needed() -> None:
    """Masks and positions are computed; the file may hold them, or not."""
    args = {"embed_dim": 6, "depths": [2], "num_heads": [2], "window_size": 4, "img_size": 8}
    ours = SwinirEncoder(SwinirConfig(inner=6, depths=(2,), heads=2, window=4))
    parts = {
        "head": "conv_first",
        "first_norm": "patch_embed.norm",
        "stages.0.convolution": "layers.0.conv",
        "last_norm": "norm",
        "body": "conv_after_body",
        "tail": "conv_before_upsample.0",
    }
    for block, (mine, theirs) in product(
        range(2),
        {
            "first_norm": "norm1",
            "qkv": "attn.qkv",
            "biases": "attn.relative_position_bias_table",
            "mixed": "attn.proj",
            "second_norm": "norm2",
            "widen": "mlp.fc1",
            "narrow": "mlp.fc2",
        }.items(),
    ):
        parts[f"stages.0.blocks.{block}.{mine}"] = f"layers.0.residual_group.blocks.{block}.{theirs}"
    state = {}
    for key, value in ours.state_dict().items():
        layer, _, kind = key.rpartition(".")
        state[parts[key] if key in parts else f"{parts[layer]}.{kind}"] = value
    prefix = "layers.0.residual_group.blocks.1"
    tables = {f"{prefix}.attn_mask": torch.zeros(4, 16, 16), f"{prefix}.attn.relative_position_index": torch.zeros(9)}
    lr = torch.rand(1, 3, 7, 9)
    expected = ours.eval()(lr)
    for file in (state, {**state, **tables}):
        assert torch.equal(load_upstream("swinir", args, file)(lr), expected)
    with pytest.raises(CheckpointError, match="holds absolute_pos_embed"):
        load_upstream("swinir", args, {**state, "absolute_pos_embed": torch.zeros(1)})
