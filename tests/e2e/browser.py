"""Debian's Chromium, driven by Playwright, and what every page that it opens must keep to."""

from pathlib import Path
from urllib.parse import urlsplit

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
WAIT_MS = 120_000


class Manners:
    """Notes what a page must not do: errors on its console, failures of its own, requests to other hosts."""

    def __init__(self, page, url):
        self.broken = []
        self.allowed = []
        self._host = urlsplit(url).netloc
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.broken.append(f"exception: {error}"))
        page.on("request", self._request)

    def allow(self, words):
        """Let a console error pass that holds these words: a refusal that the test asks for."""
        self.allowed.append(words)

    def _console(self, message):
        if message.type in {"error", "warning"} and not any(words in message.text for words in self.allowed):
            self.broken.append(f"console {message.type}: {message.text}")

    def _request(self, request):
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != self._host:
            self.broken.append(f"request to another host: {request.url}")


def open_context(chromium, **options):
    """Open a fresh profile; English, light and of a desktop's size unless told otherwise."""
    settings = {"locale": "en-US", "color_scheme": "light", "viewport": {"width": 1280, "height": 900}, **options}
    context = chromium.new_context(**settings)
    context.set_default_timeout(WAIT_MS)
    return context


def speak(page, text):
    """Submit a text by the form and return the card of its job."""
    page.click("#tab-speak")
    page.fill("#speak-text", text)
    return submitted(page, "#panel-speak [type=submit]")


def transcribe(page, *files):
    """Submit recordings by the form and return the card of the job."""
    page.click("#tab-listen")
    page.set_input_files("#listen-files", [str(file) if isinstance(file, Path) else file for file in files])
    return submitted(page, "#panel-listen [type=submit]")


def submitted(page, button):
    """Press a submit button and return the card of the job that it makes."""
    paths = ("/v1/tts", "/v1/stt", "/v1/audiobooks", "/v1/transcripts", "/v1/batches")
    wanted = lambda answer: answer.request.method == "POST" and urlsplit(answer.url).path in paths  # noqa: E731 - short
    with page.expect_response(wanted) as answer:
        page.click(button)
    assert answer.value.status == 202, answer.value.text()
    return page.locator(f"#job-{answer.value.json()['id']}")


def until(page, card, status):
    """Wait until a card shows a status."""
    page.wait_for_function(
        "([id, status]) => document.getElementById(id)?.dataset.status === status",
        arg=[card.get_attribute("id"), status],
    )
    return card


def job_id(card):
    return card.get_attribute("data-job")
