"""The whole camera: nothing shifts, colours stay, every draw is written down and can be given again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from anyzoom.degrade.camera import Camera, Shot
from anyzoom.degrade.degradation import Degraded
from anyzoom.degrade.develop import decoded
from anyzoom.errors import RecipeError, ScaleError
from anyzoom.grid import Size
from anyzoom.image.resample import resample

DAYLIGHT: dict[str, object] = {
    "full_well_electrons": 1e9,
    "iso": (100, 100),
    "read_electrons": (0.01, 0.01),
}  # as good as no noise
STEADY: dict[str, object] = {"exposure": (1, 1), "white_balance": (1, 1), "walk": 0}
LITTLE_LOSS: dict[str, object] = {"jpeg_quality": (98, 98)}
ONE_COLOUR: dict[str, object] = {"fringe_px": (0, 0)}


def a_camera(**fields: object) -> Camera:
    return Camera.model_validate(fields)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def waves(height: int, width: int, detail: float = 0.05) -> NDArray[np.float32]:
    """A smooth picture of many colours, alike as those of photographs are, with fine detail."""
    y, x = np.mgrid[:height, :width]
    channels = [0.5 + (0.25 - 0.05 * k) * np.sin(x / 7 + k / 4) * np.cos(y / 9) for k in range(3)]
    noise = np.random.default_rng(9).normal(0, detail, (height, width, 1))
    return np.clip(np.stack(channels, axis=-1) + noise, 0, 1).astype(np.float32)


def spot(size: Size, y: float, x: float, width: float) -> NDArray[np.float32]:
    """A soft grey spot of light around (y, x), in pixels from the border, sRGB-coded."""
    rows, columns = np.arange(size.height) + 0.5 - y, np.arange(size.width) + 0.5 - x
    bell = np.exp(-0.5 * (rows[:, None] ** 2 + columns**2) / width**2)
    return np.repeat(0.1 + 0.7 * bell[..., None], 3, axis=2).astype(np.float32)


def centroid(image: NDArray[np.float32], contrast: float) -> NDArray[np.float64]:
    """Of green light above its surroundings; the picture's border is 0."""
    light = decoded(image[..., 1], contrast).astype(np.float64)
    light = np.maximum(light - np.median(light) - 0.01, 0)
    places = np.moveaxis(np.indices(light.shape), 0, -1) + 0.5
    mean: NDArray[np.float64] = (light[..., None] * places).sum(axis=(0, 1)) / light.sum()
    return mean


def shot(made: Degraded) -> Shot:
    return Shot.model_validate(made.draws)


@pytest.mark.parametrize("size", [Size(40, 60), Size(12, 40), Size(17, 23), Size(3, 1), Size(1, 5)])
def test_any_smaller_size_per_axis(size: Size) -> None:
    made = a_camera().shrink(waves(40, 60), size, rng())
    assert made.pixels.shape == (*size, 3)
    assert made.pixels.dtype == np.float32
    codes = made.pixels * 255
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-4)
    assert codes.min() >= 0
    assert codes.max() <= 255


@pytest.mark.parametrize("size", [Size(41, 60), Size(40, 61), Size(0, 10)])
def test_a_larger_or_empty_photograph_is_refused(size: Size) -> None:
    with pytest.raises(ScaleError, match=f"{size}"):
        a_camera().shrink(waves(40, 60), size, rng())


def test_the_same_generator_gives_the_same_photograph_and_another_another() -> None:
    hr, size = waves(48, 64), Size(15, 21)
    one, same, other = (a_camera().shrink(hr, size, rng(seed)) for seed in (1, 1, 2))
    assert one.draws == same.draws
    assert one.pixels.tobytes() == same.pixels.tobytes()
    assert one.draws != other.draws
    assert one.pixels.tobytes() != other.pixels.tobytes()


def test_draws_survive_json_and_give_the_same_photograph_again() -> None:
    hr = waves(48, 64)
    for made in (a_camera().shrink(hr, Size(15, 21), rng(1)), *a_camera().sequence(hr, (1, 2.5, 4), rng(2))):
        draws = json.loads(json.dumps(made.draws))
        assert draws == made.draws
        again = a_camera().photograph(hr, Size(*made.pixels.shape[:2]), draws)
        assert again.pixels.tobytes() == made.pixels.tobytes()
        assert again.draws == made.draws


def test_draws_of_something_else_are_refused() -> None:
    hr = waves(8, 8)
    draws = a_camera().shrink(hr, Size(4, 4), rng()).draws
    with pytest.raises(RecipeError, match="not the draws of a camera: jpeg: Field required"):
        a_camera().photograph(hr, Size(4, 4), {name: draws[name] for name in draws if name != "jpeg"})
    with pytest.raises(RecipeError, match="sigma: Extra inputs"):
        a_camera().photograph(hr, Size(4, 4), draws | {"sigma": 1.0})


def test_every_draw_varies_within_its_range() -> None:
    camera = a_camera()
    shots = [shot(camera.shrink(waves(8, 8), Size(4, 4), rng(seed))) for seed in range(60)]
    assert {name for name in Shot.model_fields if len({getattr(one, name) for one in shots}) == 1} == {
        "focal_mm",
        "sensor",
    }
    for name in ("contrast", "corner", "smear_px", "iso", "read_electrons", "sharpening", "jpeg_quality"):
        smallest, largest = getattr(camera, name)
        assert all(smallest <= getattr(one, name) <= largest for one in shots), name
    for axis, side in enumerate(camera.sensor):
        assert all(0 <= one.place[axis] <= side - 4 for one in shots)


def test_the_focal_length_follows_the_size_within_the_zoom() -> None:
    hr = waves(40, 80)
    sizes = {Size(40, 80): 140.0, Size(30, 40): 70.0, Size(40, 20): 35.0, Size(10, 10): 35.0}
    for size, focal_mm in sizes.items():
        assert a_camera().shrink(hr, size, rng()).draws["focal_mm"] == focal_mm


def test_a_picture_larger_than_the_sensor_fills_it() -> None:
    made = shot(a_camera(sensor=Size(20, 90)).shrink(waves(40, 60), Size(30, 50), rng()))
    assert made.sensor == (30, 90)
    assert made.place[0] == 0


@pytest.mark.parametrize(
    ("parts", "tolerance"),
    [
        ({"mosaic_chance": 0, "sharpening": (0, 0), "jpeg_chance": 0}, 0.001),
        ({}, 0.02),  # sharpening codes, not light, lets bright overshoots weigh more; JPEG has its own errors
    ],
)
def test_mean_colour_is_kept_up_to_the_gains(parts: dict[str, object], tolerance: float) -> None:
    hr = waves(96, 96, detail=0)
    camera = a_camera(iso=(100, 100), **parts)
    for seed in range(6):
        made = camera.shrink(hr, Size(32, 32), rng(seed))
        before, after = (decoded(image, shot(made).contrast).mean(axis=(0, 1)) for image in (hr, made.pixels))
        np.testing.assert_allclose(after / before, shot(made).gains, rtol=tolerance)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_grey_stays_grey_and_as_bright_as_it_was(level: float) -> None:
    hr = np.full((64, 64, 3), level, np.float32)
    for seed in range(4):
        mean = a_camera(iso=(100, 100), **STEADY).shrink(hr, Size(32, 32), rng(seed)).pixels.mean(axis=(0, 1))
        np.testing.assert_allclose(mean, level, atol=0.004)
        assert np.ptp(mean) < 0.004


def test_noise_grows_with_iso() -> None:
    hr = np.full((64, 64, 3), 0.5, np.float32)
    deviations = []
    for iso in (100, 400, 1600):
        camera = a_camera(iso=(iso, iso), sharpening=(0, 0), mosaic_chance=0, jpeg_chance=0, contrast=(0, 0), **STEADY)
        deviations.append(camera.shrink(hr, Size(64, 64), rng(1)).pixels.std())
    assert deviations[0] < deviations[1] < deviations[2]
    light = decoded(np.array(0.5, np.float32), 0.0)
    slope = 1.055 / 2.4 * light ** (1 / 2.4 - 1)  # of the sRGB curve
    assert deviations[2] == pytest.approx(slope * np.sqrt(light / 2500), rel=0.05)  # read noise is far below


@pytest.mark.parametrize("size", [Size(48, 48), Size(37, 41), Size(96, 25)])
@pytest.mark.parametrize("chances", [{"mosaic_chance": 1}, {"mosaic_chance": 0, "jpeg_chance": 0}])
def test_a_spot_stays_where_it_is(size: Size, chances: dict[str, object]) -> None:
    camera = a_camera(**DAYLIGHT, **STEADY, **LITTLE_LOSS, **ONE_COLOUR, **chances)
    hr = Size(96, 96)
    factors = np.array(hr) / np.array(size)
    for seed, (y, x) in enumerate(((48, 48), (40.3, 51.8), (51.1, 44.6))):
        made = camera.shrink(spot(hr, y, x, 7), size, rng(seed))
        found = centroid(made.pixels, shot(made).contrast) * factors
        truth = centroid(spot(hr, y, x, 7), shot(made).contrast)
        assert np.abs((found - truth) / factors).max() < 0.02


@pytest.mark.parametrize("mosaic_chance", [0, 1])
def test_a_symmetric_scene_gives_a_symmetric_photograph(mosaic_chance: float) -> None:
    """Odd sizes, so that the colour filters are symmetric too; without JPEG, whose blocks never are."""
    camera = a_camera(sensor=Size(21, 27), mosaic_chance=mosaic_chance, jpeg_chance=0, **DAYLIGHT, **STEADY)
    hr = waves(50, 70)
    hr = (hr + hr[::-1] + hr[:, ::-1] + hr[::-1, ::-1]) / np.float32(4)
    made = camera.shrink(hr, Size(21, 27), rng(3)).pixels
    for mirrored in (made[::-1], made[:, ::-1]):
        np.testing.assert_allclose(made, mirrored, atol=1.01 / 255)


def test_the_corner_of_the_sensor_is_blurred_more_than_its_middle() -> None:
    camera, hr = a_camera(**DAYLIGHT, corner=(1.5, 1.5), smear_px=(0.3, 0.3)), waves(96, 96)
    draws = camera.shrink(hr, Size(48, 48), rng(1)).draws

    def moved(place: tuple[int, int]) -> dict[str, Any]:
        return {"place": list(place)}

    middle, corner = (camera.photograph(hr, Size(48, 48), draws | moved(place)) for place in ((1976, 2976), (0, 0)))
    assert np.diff(corner.pixels, axis=1).std() < 0.95 * np.diff(middle.pixels, axis=1).std()


def colourful(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(8).random((height, width, 3), np.float32)


@pytest.mark.parametrize(
    ("parts", "period"),
    [
        ({"mosaic_chance": 1, "jpeg_chance": 0}, 2),
        ({"mosaic_chance": 0, "jpeg_chance": 1, "half_chroma_chance": 0}, 8),
        ({"mosaic_chance": 0, "jpeg_chance": 1, "half_chroma_chance": 1}, 16),
    ],
)
def test_colour_filters_and_jpeg_blocks_lie_fixed_on_the_sensor(parts: dict[str, object], period: int) -> None:
    """A crop that is moved by their period comes out the same, one that is moved by half of it does not."""
    camera, hr, size = a_camera(**DAYLIGHT, **ONE_COLOUR, **parts), colourful(32, 32), Size(32, 32)
    draws: dict[str, Any] = dict(camera.shrink(hr, size, rng(1)).draws)

    def at(row: int, column: int) -> NDArray[np.float32]:
        return camera.photograph(hr, size, draws | {"place": [row, column]}).pixels

    first = at(2000, 3008)
    for row, column in ((period, 0), (0, period)):
        assert np.abs(at(2000 + row, 3008 + column) - first).mean() < 0.002
        assert np.abs(at(2000 + row // 2, 3008 + column // 2) - first).mean() > 0.01


def test_halved_chroma_loses_colour() -> None:
    hr = colourful(32, 32)
    camera = a_camera(mosaic_chance=0, jpeg_chance=1, **DAYLIGHT, **LITTLE_LOSS)
    draws: dict[str, Any] = dict(camera.shrink(hr, Size(32, 32), rng(1)).draws)
    halved, whole = (
        camera.photograph(hr, Size(32, 32), draws | {"half_chroma": half}).pixels for half in (True, False)
    )
    assert (halved[..., 0] - halved[..., 1]).std() < 0.8 * (whole[..., 0] - whole[..., 1]).std()


def test_blur_follows_the_focal_length() -> None:
    camera, hr = a_camera(blur_wide_px=(1.0, 1.0), blur_tele_px=(0.4, 0.4), **DAYLIGHT), waves(96, 96)
    draws = camera.shrink(hr, Size(48, 48), rng(1)).draws
    wide, between, tele = (
        np.diff(camera.photograph(hr, Size(48, 48), draws | {"focal_mm": focal}).pixels, axis=1).std()
        for focal in (35.0, 70.0, 140.0)
    )
    assert wide < 0.95 * between
    assert between < 0.95 * tele


def test_it_stays_close_to_the_scene() -> None:
    """A broken camera would not."""
    hr = waves(96, 96)
    plain = resample(hr, size=Size(32, 32), kernel="area")
    for seed in range(8):
        made = a_camera(**STEADY).shrink(hr, Size(32, 32), rng(seed)).pixels
        assert 0.002 < np.sqrt(np.mean((made - plain) ** 2)) < 0.03


def test_a_sequence_shares_its_camera_and_its_scene() -> None:
    hr = spot(Size(96, 120), 44.3, 66.4, 9)
    magnifications = (1, 1.5, 2, 3, 4)
    frames = a_camera(**DAYLIGHT, **LITTLE_LOSS, **ONE_COLOUR).sequence(hr, magnifications, rng(5))
    sizes = [Size(*frame.pixels.shape[:2]) for frame in frames]
    assert sizes == [(24, 30), (36, 45), (48, 60), (72, 90), (96, 120)]
    shots = [shot(frame) for frame in frames]
    assert [one.focal_mm for one in shots] == [35.0, 52.5, 70.0, 105.0, 140.0]
    assert [one.place for one in shots] == [(36, 45), (30, 37), (24, 30), (12, 15), (0, 0)]
    assert all(one.sensor == (96, 120) for one in shots)
    changing = {name for name in Shot.model_fields if len({getattr(one, name) for one in shots}) > 1}
    assert changing == {"focal_mm", "place", "gains", "noise_seed"}
    steps = np.diff(np.log([one.gains for one in shots]), axis=0)
    assert 0 < np.abs(steps).max() < 0.05
    contrast = shot(frames[0]).contrast
    truth = centroid(hr, contrast)
    for size, frame in zip(sizes, frames, strict=True):
        factors = np.array([96, 120]) / np.array(size)
        assert np.abs(centroid(frame.pixels, contrast) - truth / factors).max() < 0.02
    assert frames[-1].pixels.tobytes() != hr.tobytes()  # a photograph too


@pytest.mark.parametrize("magnifications", [(), (0, 1), (-1, 2)])
def test_a_sequence_without_a_magnification_is_refused(magnifications: tuple[float, ...]) -> None:
    with pytest.raises(ScaleError, match="must be above 0"):
        a_camera().sequence(waves(8, 8), magnifications, rng())


def test_a_sequence_rounds_its_sizes_and_stays_within_the_zoom() -> None:
    frames = a_camera().sequence(waves(41, 62), (0.5, 3, 5), rng())
    assert [frame.pixels.shape[:2] for frame in frames] == [(4, 6), (25, 37), (41, 62)]
    assert [shot(frame).focal_mm for frame in frames] == [35.0, 105.0, 140.0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"blur": (1, 2)}, "blur"),
        ({"wide_mm": 150}, "wide_mm should be below tele_mm"),
        ({"iso": (400, 100)}, "smallest and the largest"),
        ({"blur_wide_px": (0, 1)}, "above 0"),
        ({"contrast": (0, 1)}, "contrast"),
        ({"jpeg_quality": (90, 101)}, "jpeg_quality"),
    ],
)
def test_an_impossible_camera_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Camera.model_validate(wrong)
