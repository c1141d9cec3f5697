"""Scenes of zoom photographs made into a dataset.

    OUT/manifest.jsonl     a row per picture
    OUT/scenes.jsonl       a row per scene, with every photograph that was rejected, and why
    OUT/certificate/       pictures of these
    OUT/train_LR, ...      the pictures, as align.layouts says

A scene is written under OUT/.unfinished; when it is whole it is moved to OUT/.unfinished/ready, and from there into
place, by this run or the next. All that is written depends on the photographs and the settings alone.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import shutil
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from anyzoom.align.frames import SCENE
from anyzoom.align.layouts import LAYOUTS, Split, scene_name, wanted_scales
from anyzoom.align.opencv import cv2
from anyzoom.align.report import EVIDENCE
from anyzoom.align.scene import Settings, align_scene
from anyzoom.errors import AnyzoomError, CannotRead, CannotWrite, RecipeError
from anyzoom.image.part import refused_by_system
from anyzoom.pairs.aligned import SCENES, AlignedScene, read_aligned_scenes
from anyzoom.pairs.manifest import MANIFEST, FrameRow, read_manifest, sha256_of, write_manifest
from anyzoom.pairs.pictures import SUFFIXES

UNFINISHED, FILES, SCENE_FILE = ".unfinished", "files", "scene.json"
logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What became of one folder."""

    folder: Path
    scene: AlignedScene
    fresh: bool = True  # false: an earlier run had done it

    @property
    def status(self) -> str:
        return "lost" if not self.scene.pairs else "aligned" if self.fresh else "unchanged"


class Earlier(NamedTuple):
    """What an earlier run left of a scene."""

    scene: AlignedScene
    rows: list[FrameRow]


def align_scenes(
    folders: Sequence[Path], out: Path, settings: Settings, test: Iterable[str] = (), jobs: int = 1
) -> Generator[Outcome, None, None]:
    """Align the scene in every folder, in `jobs` processes; outcomes come in the order of the folders.

    test: the names of the scenes of the test split, all others are for training. Scenes whose photographs have not
    changed are left as they are. Raises RecipeError for a layout or test scene that there is not, ScaleError for a
    scale that the layout has no place for, CannotRead when two folders would become one scene, CannotWrite when `out`
    cannot be written or holds something else.
    """
    named = _named(folders)
    if settings.layout not in LAYOUTS:
        raise RecipeError(f"unknown layout {settings.layout!r}. Known: {', '.join(LAYOUTS)}.")
    wanted_scales(settings.layout, "test", settings.scales)
    if settings.crop_only and settings.layout != "coz":
        raise RecipeError(f"the layout {settings.layout} holds exact scales, which --crop-only cannot cut. Resample.")
    tested = {scene_name(name) for name in test}
    if unknown := sorted(tested - named.keys()):
        raise RecipeError(f"the test scene {unknown[0]!r} is none of those given: {', '.join(named)}.")
    _check_ours(out)
    with refused_by_system(out):
        (out / UNFINISHED).mkdir(parents=True, exist_ok=True)
    before = collect(out)
    for name, earlier in before.items():
        if earlier.scene.parameters != settings.digest:
            raise CannotWrite(
                f"{out} holds scenes aligned with other settings or another anyzoom ({name}). Choose another folder."
            )
    splits: dict[str, Split] = {name: "test" if name in tested else "train" for name in named}
    work = [(folder, name, splits[name], out, settings, before.get(name)) for name, folder in named.items()]
    try:
        if jobs == 1:
            yield from (_attempt(*item) for item in work)
            return
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
            futures = [pool.submit(_attempt, *item) for item in work]
            try:
                yield from (_result(*item[:3], settings, future) for item, future in zip(work, futures, strict=True))
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        collect(out)


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for folder in folders:
        name = scene_name(folder.resolve().name)
        if named.setdefault(name, folder) != folder:
            raise CannotRead(f"{named[name]} and {folder} would both become scene {name}. Rename one of them.")
    return named


def _check_ours(out: Path) -> None:
    with refused_by_system(out):
        others = [entry.name for entry in out.iterdir() if entry.name != UNFINISHED] if out.exists() else []
    if others and SCENES not in others and not (out / UNFINISHED).exists():
        raise CannotWrite(f"{out} holds {min(others)}, but no {SCENES} of earlier scenes. Choose another folder.")


def _result(folder: Path, name: str, split: Split, settings: Settings, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        error = f"{folder}: a process was ended by the system. Ask for fewer --jobs."
        return Outcome(folder, _failed(folder, name, split, settings, error))


def _failed(folder: Path, name: str, split: Split, settings: Settings, error: str) -> AlignedScene:
    return AlignedScene(
        scene=name,
        folder=folder.resolve().name,
        split=split,
        frames=0,
        pairs=0,
        error=error,
        parameters=settings.digest,
    )


def _attempt(folder: Path, name: str, split: Split, out: Path, settings: Settings, earlier: Earlier | None) -> Outcome:
    try:
        inputs = _inputs(folder)
        if earlier and _holds(earlier, inputs, split, out):
            return Outcome(folder, earlier.scene, fresh=False)
        files = _new_work(out, name)
        scene, rows = align_scene(folder, name, split, settings, files)
        scene = scene.model_copy(update={"inputs": inputs})
        _finish(out, scene, rows)
        return Outcome(folder, scene)
    except (AnyzoomError, OSError, MemoryError) as error:
        told = str(error) if isinstance(error, AnyzoomError) else f"{folder}: {error!r}"
    except Exception as error:  # our own bug: told in full, but the other scenes are done
        logger.exception("%s", folder)
        told = f"{folder}: {error!r}"
    lost = _failed(folder, name, split, settings, told)
    with suppress(AnyzoomError, OSError):  # on a full disk it can only be said
        _new_work(out, name)
        if earlier is None or earlier.scene.error:
            _finish(out, lost, [])
    return Outcome(folder, lost)


def _holds(earlier: Earlier, inputs: str | None, split: Split, out: Path) -> bool:
    """Whether an earlier run has done the same."""
    same = earlier.scene.inputs == inputs is not None and earlier.scene.split == split
    return same and all((out / row.file).is_file() for row in earlier.rows)


def _new_work(out: Path, name: str) -> Path:
    """An empty folder for a scene's files."""
    work = out / UNFINISHED / "work" / name
    with refused_by_system(out):
        shutil.rmtree(work, ignore_errors=True)
        (work / FILES).mkdir(parents=True)
    return work / FILES


def _inputs(folder: Path) -> str | None:
    """SHA-256 of all that a scene is read from; None where there is nothing, which reading it will explain."""
    if not folder.is_dir():
        return None
    names = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES or path.name == SCENE)
    told = "".join(f"{sha256_of(path)} {path.name}\n" for path in names)
    return hashlib.sha256(os.fsencode(told)).hexdigest()


def _finish(out: Path, scene: AlignedScene, rows: Sequence[FrameRow]) -> None:
    """Leave a scene that is whole to `collect`."""
    work, ready = (out / UNFINISHED / part / scene.scene for part in ("work", "ready"))
    with refused_by_system(out):
        (work / SCENE_FILE).write_text(scene.model_dump_json(exclude_none=True) + "\n", "utf-8")
        write_manifest(work / MANIFEST, rows)
        shutil.rmtree(ready, ignore_errors=True)
        ready.parent.mkdir(exist_ok=True)
        work.replace(ready)


def collect(out: Path) -> dict[str, Earlier]:
    """All scenes of a dataset, those that wait included; afterwards they lie in place and stand in the manifest."""
    scenes = {scene.scene: Earlier(scene, []) for scene in read_aligned_scenes(out)}
    manifest = out / MANIFEST
    for row in read_manifest(manifest) if manifest.exists() else []:
        name = row.scene.rpartition("/")[2]
        if name in scenes:
            scenes[name].rows.append(row)
    waiting = sorted(path for path in (out / UNFINISHED / "ready").glob("*") if (path / SCENE_FILE).is_file())
    for ready in waiting:
        scene = AlignedScene.model_validate_json((ready / SCENE_FILE).read_text("utf-8"))
        rows = read_manifest(ready / MANIFEST)
        with refused_by_system(out):
            _move(ready / FILES, out)
            _remove_stale(out, scenes.get(scene.scene), Earlier(scene, rows))
        scenes[scene.scene] = Earlier(scene, rows)
    if waiting:
        told = [scenes[name] for name in sorted(scenes)]
        write_manifest(manifest, (row for one in told for row in one.rows))
        with refused_by_system(out):
            part = out / f".{SCENES}.part"
            part.write_text("".join(one.scene.model_dump_json(exclude_none=True) + "\n" for one in told), "utf-8")
            part.replace(out / SCENES)
    with refused_by_system(out):
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    return scenes


def _move(files: Path, into: Path) -> None:
    """Everything below a folder to the same place elsewhere: whole folders where they are new, else file by file."""
    for path in sorted(files.iterdir()):
        target = into / path.name
        if path.is_dir() and target.is_dir():
            _move(path, target)
        else:
            path.replace(target)


def _remove_stale(out: Path, before: Earlier | None, now: Earlier) -> None:
    """What an earlier run wrote of a scene, and this one did not."""
    kept = {row.file for row in now.rows}
    for row in before.rows if before else []:
        if row.file not in kept:
            (out / row.file).unlink(missing_ok=True)
            with suppress(OSError):
                (out / row.file).parent.rmdir()  # where it has become empty: an empty scene shifts others
    frames = {one.frame for one in now.scene.rejected}
    for path in (out / EVIDENCE / now.scene.scene).glob("*.jpg"):
        if path.name.rsplit(".", 2)[0] not in frames:
            path.unlink()
