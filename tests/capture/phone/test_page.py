"""The page in a real browser, of a phone's size: a run by its buttons, a question, and a network that drops."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.capture.phone.conftest import PATIENCE_S, SHOTS, Bench, serving

try:
    from playwright.sync_api import Browser, Page, expect, sync_playwright
except ImportError:
    pytest.skip("playwright is not installed", allow_module_level=True)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
expect.set_options(timeout=30_000)  # a busy machine is no failure
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
SMALLEST_PX = 48  # of a button, for a thumb
Open: TypeAlias = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opening(browser: Browser) -> Iterator[Open]:
    """Opens pages, each with an empty profile; none may complain of what is not expected, or ask anybody else."""
    troubles: list[str] = []
    contexts = []

    def opened(url: str, expected: str = "nothing", **options: Any) -> Page:
        contexts.append(browser.new_context(**PHONE | options))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)

        def complain(words: str) -> None:
            if expected not in words:
                troubles.append(words)

        page.on("console", lambda message: complain(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complain(str(error)))
        host = url.split("/")[2]
        page.on("request", lambda request: None if host in request.url else troubles.append(request.url))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def shooting(bench: Bench, kept: int) -> None:
    """So many photographs are kept, and the next one waits for the gate."""
    bench.until(lambda status: status.kept == kept and "Photographing" in status.doing)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_run_by_its_buttons(bench: Bench, opening: Open) -> None:
    with serving(bench) as served:
        page = opening(served.url)
        expect(page.locator("#state")).to_have_text("Ready")
        expect(page.locator("#last")).to_be_hidden()
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box
            assert min(box["width"], box["height"]) >= SMALLEST_PX
        press(page, "Start")
        expect(page.locator("#doing")).to_have_text("Photographing the long end, once more")
        bench.box.refusals = {1: "the camera is busy."}
        bench.clock.sleep(50)
        bench.box.let(4)
        shooting(bench, 3)
        ring = page.get_by_role("progressbar", name="Photographs")
        expect(ring).to_have_attribute("aria-valuenow", "3")
        expect(ring).to_have_attribute("aria-valuemax", str(SHOTS))
        expect(page.locator("#picture")).to_have_attribute("alt", "The last photograph, frame_001.jpg")
        assert page.locator("#picture").evaluate("image => image.naturalWidth") == 240
        expect(page.locator("#rejections")).to_have_text("Frame 0: the camera is busy.")
        expect(page.locator("#left")).to_have_text("a few seconds left")
        expect(page.locator("#plot circle")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("Tab")  # all by keys: the first one that takes the focus is Stop, then Pause
        while page.evaluate("document.activeElement.id") != "go":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#doing")).to_have_text("Coming to rest")
        bench.box.let(1)
        expect(page.locator("#state")).to_have_text("Paused")
        assert bench.director.state().kept == 4
        press(page, "Resume")
        bench.box.let()
        expect(page.locator("#doing")).to_have_text(f"All {SHOTS} photographs are taken")
        expect(page.locator("#plot circle")).to_have_count(SHOTS - 1)
        expect(page.locator("#reached")).to_have_text(re.compile(r"^1\.5\d×$"))
        press(page, "Close")
        expect(page.locator("#state")).to_have_text("Ended")
        served.thread.join(PATIENCE_S)
        assert not served.thread.is_alive()
        page.wait_for_timeout(300)
        expect(page.locator("#network")).to_be_hidden()


def test_a_question_and_a_stop(bench: Bench, opening: Open) -> None:
    bench.ring.lost = True
    with serving(bench) as served:
        # A slow browser may ask once more when the server has ended; the page takes that for the end, Chromium tells.
        page = opening(served.url, expected="net::ERR_CONNECTION")
        press(page, "Start")
        asked = page.get_by_role("alertdialog", name="The rig asks")
        expect(asked).to_contain_text("Turn the ring to the wide end by hand, position 0. Does it stand there?")
        expect(page.get_by_role("button", name="No", exact=True)).to_be_focused()
        press(page, "Yes")
        expect(asked).to_be_hidden()
        bench.box.let(1)
        shooting(bench, 1)
        press(page, "Stop")
        page.get_by_role("button", name="Go back").click()
        assert bench.director.state().state == "running"
        press(page, "Stop")
        page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator("#doing")).to_have_text("Stopping")
        bench.box.let()
        expect(page.locator("#reason")).to_have_text("You can close this page. Resume the run at the computer.")
        expect(page.locator("#controls")).to_be_hidden()
        served.thread.join(PATIENCE_S)
        assert not served.thread.is_alive()


def test_it_comes_back_after_the_network_has_dropped(bench: Bench, opening: Open) -> None:
    with serving(bench) as served:
        page = opening(served.url, expected="net::ERR_INTERNET_DISCONNECTED")
        expect(page.locator("#state")).to_have_text("Ready")
        page.context.set_offline(True)
        expect(page.locator("#network")).to_contain_text("No connection to the rig. A run goes on without this page")
        expect(page.locator("#go")).to_be_disabled()
        bench.director.start()  # by somebody else
        bench.box.let(1)
        shooting(bench, 1)
        expect(page.locator("#kept")).to_have_text("0")
        page.context.set_offline(False)
        expect(page.locator("#network")).to_be_hidden()
        expect(page.locator("#kept")).to_have_text("1")
        expect(page.locator("#go")).to_be_enabled()
        page.close()  # before the server ends


def test_two_phones_see_the_same(bench: Bench, opening: Open) -> None:
    with serving(bench) as served:
        first, second = opening(served.url), opening(served.url)
        press(first, "Start")
        expect(second.get_by_role("button", name="Pause")).to_be_enabled()
        for page in (first, second):
            page.close()  # before the server ends


def test_a_name_is_no_markup(tmp_path: Path, opening: Open) -> None:
    bench = Bench(tmp_path / "<img src=x onerror=alert(1)>")
    with serving(bench) as served:
        page = opening(served.url)
        expect(page.locator("#run")).to_have_text("<img src=x onerror=alert(1)>")
        page.close()  # before the server ends
