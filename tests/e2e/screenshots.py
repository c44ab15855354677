"""Makes the pictures in docs/screenshots: `python -m tests.e2e.screenshots`, over a stack of its own with real jobs."""

import os
import struct
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from app.stack import Stack
from app.stack.environment import without_settings
from tests.e2e.browser import ARGUMENTS, CHROMIUM, open_context, speak, submitted, transcribe, until

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "models/demo"
TALE = (
    "从前，村子里住着一只青蛙。有一天，兔子在小河里遇见了乌龟。\n"
    "乌龟对兔子说，我们做朋友吧。兔子和小猫从此成了好朋友。\n"
    "天黑了，月亮出来了，森林里很安静。"
)
BROKEN_WAV = b"RIFF" + struct.pack("<I", 4000) + b"WAVEjunk" + bytes(range(256)) * 15


def long_text():
    return "\n".join((DEMO / "domain-sentences.txt").read_text("utf-8").splitlines() * 2)


def book_file(folder):
    chapters = (DEMO / "domain-story.txt").read_text("utf-8").strip().split("\n\n")
    book = folder / "森林里的小屋.md"
    book.write_text("\n\n".join("# " + chapter.replace("\n", "\n\n", 1) for chapter in chapters), "utf-8")
    return book


def listen(page, card, seconds):
    card.locator(".play").first.click()
    page.wait_for_function(
        "([card, seconds]) => card.querySelector('audio').currentTime > seconds", arg=[card.element_handle(), seconds]
    )


def shoot(page, output, name):
    page.evaluate("document.activeElement?.blur()")
    page.screenshot(path=output / name)
    print(f"{output / name}: {(output / name).stat().st_size // 1000} KB")  # noqa: T201 - this is what it is for


def light(chromium, url, output):
    """English, light: a text read along, beside a long one under way and one that failed."""
    page = open_context(chromium, viewport={"width": 1360, "height": 1100}).new_page()
    page.goto(url)
    broken = {"name": "meeting-recording.wav", "mimeType": "audio/wav", "buffer": BROKEN_WAV}
    until(page, transcribe(page, broken), "failed").locator(".job-open").click()
    tale = until(page, speak(page, TALE), "succeeded")
    tale.locator("canvas[data-drawn]").wait_for(state="attached")
    running = until(page, speak(page, long_text()), "running")
    running.locator(".job-open").click()
    page.wait_for_function("card => card.querySelector('progress').position > 0.15", arg=running.element_handle())
    page.fill("#speak-text", "乌龟对兔子说，我们做朋友吧。\n[pause:800ms]兔子觉得很高兴。")
    listen(page, tale, 4)
    page.evaluate("scrollTo(0, 0)")
    shoot(page, output, "light.png")
    running.get_by_role("button", name="Cancel").click()
    until(page, running, "canceled")
    page.context.close()


def dark(chromium, url, output, folder):
    """Chinese, dark: a transcript beside its waveform, a book with its chapters, the plan of another."""
    page = open_context(
        chromium, viewport={"width": 1360, "height": 960}, locale="zh-CN", color_scheme="dark"
    ).new_page()
    page.goto(url)
    page.click("#tab-book")
    page.set_input_files("#book-file", str(book_file(folder)))
    page.locator(".plan-total").wait_for()
    until(page, submitted(page, "#panel-book [type=submit]"), "succeeded")
    transcript = until(page, transcribe(page, DEMO / "samples/demo_F7_neutral.wav"), "succeeded")
    transcript.locator("canvas[data-drawn]").wait_for(state="attached")
    page.click("#tab-book")
    page.set_input_files("#book-file", str(book_file(folder)))
    page.locator(".plan-total").wait_for()
    page.locator(".plan-chapters input").nth(1).uncheck()
    listen(page, transcript, 3.5)
    page.evaluate("scrollTo(0, 0)")
    shoot(page, output, "dark.png")
    page.context.close()


def phone(chromium, url, output):
    """A phone: reading along."""
    page = open_context(
        chromium, viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True, locale="zh-CN"
    ).new_page()
    page.goto(url)
    card = until(page, speak(page, TALE), "succeeded")
    card.locator("canvas[data-drawn]").wait_for(state="attached")
    listen(page, card, 4)
    card.evaluate("card => scrollTo(0, card.getBoundingClientRect().top + scrollY - 70)")
    shoot(page, output, "phone.png")
    page.context.close()


def main():
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/screenshots"
    output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder) / "data", outer=without_settings(os.environ)) as stack,
        sync_playwright() as playwright,
    ):
        stack.wait_ready(180)
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        light(chromium, stack.url, output)
        dark(chromium, stack.url, output, Path(folder))
        phone(chromium, stack.url, output)
        chromium.close()


if __name__ == "__main__":
    main()
