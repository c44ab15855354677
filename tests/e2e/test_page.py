"""The web page in a real browser, over the whole stack."""

import json
import struct
from pathlib import Path

import pytest
import srt
import webvtt
from axe_playwright_python.sync_playwright import Axe

from tests.e2e.browser import job_id, speak, submitted, transcribe, until
from tests.e2e.jobs import finish_all

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.slow]
DEMO = Path(__file__).parents[2] / "models/demo"
SAMPLE = DEMO / "samples/demo_F7_neutral.wav"
TEXT = "今天是三月十七号。小红打开大门，看见了一件毛衣。上海的夏天很暖和。"
LONG_TEXT = "\n".join((DEMO / "domain-sentences.txt").read_text("utf-8").splitlines() * 5)
BROKEN_WAV = b"RIFF" + struct.pack("<I", 4000) + b"WAVEjunk" + bytes(range(256)) * 15
NOW = "el => Number(el.querySelector('.word.now')?.dataset.start ?? -1)"


def play(page, card):
    """Press play and wait until the sound really moves."""
    card.locator(".play").first.click()
    page.wait_for_function("card => card.querySelector('audio').currentTime > 0.3", arg=card.element_handle())


def test_a_text_is_spoken_and_can_be_read_along(page, client):
    card = until(page, speak(page, TEXT), "succeeded")
    card.locator(".word").first.wait_for()
    assert "".join(card.locator(".line").all_inner_texts()) == TEXT
    play(page, card)
    text = card.locator(".spoken").element_handle()
    page.wait_for_function(f"el => ({NOW})(el) >= 0", arg=text)
    first = text.evaluate(NOW)
    page.wait_for_function(f"([el, first]) => ({NOW})(el) > first", arg=[text, first])
    files = {file["name"] for file in client.get(f"/v1/jobs/{job_id(card)}").json()["output"]["files"]}
    assert files == {"speech.mp3", "speech.srt", "speech.json"}


def test_clicking_a_word_and_the_arrow_keys_move_the_sound(page):
    card = until(page, speak(page, TEXT), "succeeded")
    word = card.locator(".word", has_text="看见")
    word.click()
    start = float(word.get_attribute("data-start"))
    assert start > 2
    page.wait_for_function(
        "([card, start]) => card.querySelector('audio').currentTime >= start", arg=[card.element_handle(), start]
    )
    card.locator(".play").click()
    card.locator(".spoken").press("ArrowDown")
    last = card.locator(".line").last
    page.wait_for_function("line => line.classList.contains('now')", arg=last.element_handle())


def test_the_picture_of_the_sound_is_drawn(page):
    card = until(page, speak(page, TEXT), "succeeded")
    card.locator("canvas[data-drawn]").wait_for(state="attached")
    inked = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    assert card.locator("canvas").evaluate(inked)


def test_a_sample_is_heard_and_leaves_nothing_behind(page, client):
    page.fill("#speak-text", TEXT)
    before = page.locator(".job").count()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as gone:
        page.click("#speak-sample")
        page.wait_for_function("() => document.querySelector('#speak-sample').textContent.includes('Stop')")
    assert gone.value.status == 204
    assert page.locator(".job").count() == before
    assert client.get(f"/v1/jobs/{gone.value.url.rpartition('/')[2]}").status_code == 404
    page.click("#speak-sample")
    page.wait_for_function("() => document.querySelector('#speak-sample').textContent.includes('sample')")


def test_progress_a_reload_in_the_middle_cancel_and_delete(page, client):
    card = until(page, speak(page, LONG_TEXT), "running")
    half_way = "card => { const bar = card.querySelector('progress'); return bar.position > 0 && bar.position < 1; }"
    page.wait_for_function(half_way, arg=card.element_handle())
    assert " sentences" in card.locator(".job-progress").inner_text()

    page.reload()
    page.wait_for_function(half_way, arg=card.element_handle())
    assert card.locator(".job-open").get_attribute("aria-expanded") == "true"

    card.get_by_role("button", name="Cancel").click()
    until(page, card, "canceled")
    assert client.get(f"/v1/jobs/{job_id(card)}").json()["status"] == "canceled"
    assert card.get_by_role("button", name="Try again").is_visible()

    deleted = job_id(card)
    card.get_by_role("button", name="Delete").click()
    card.get_by_role("button", name="Keep").click()
    card.get_by_role("button", name="Delete").click()
    card.locator(".job-ask .danger").click()
    card.wait_for(state="detached")
    assert client.get(f"/v1/jobs/{deleted}").status_code == 404


@pytest.mark.parametrize("form", ["wav", "m4a"])
def test_a_long_text_is_heard_while_it_is_made(page, form):
    page.manners.allow("ERR_INCOMPLETE_CHUNKED_ENCODING")  # cancelling breaks the sound off
    page.select_option("#speak-format", form)
    card = until(page, speak(page, LONG_TEXT), "running")
    card.get_by_role("button", name="Listen while it is made").click()
    page.wait_for_function("card => card.querySelector('audio').currentTime > 1", arg=card.element_handle())
    assert card.get_attribute("data-status") == "running"
    card.get_by_role("button", name="Cancel").click()
    until(page, card, "canceled")
    page.wait_for_function("card => !card.querySelector('audio')", arg=card.element_handle())


def test_jobs_that_run_together_say_that_they_share_batches(page):
    cards = [until(page, speak(page, LONG_TEXT), "running") for _ in range(2)]
    cards[0].get_by_text("shares batches with 1 other job").wait_for()
    for card in cards:
        card.get_by_role("button", name="Cancel").click()
        until(page, card, "canceled")


def test_trying_again_finishes_a_cancelled_job(page):
    card = until(page, speak(page, "\n".join(LONG_TEXT.splitlines()[:20])), "running")
    card.get_by_role("button", name="Cancel").click()
    until(page, card, "canceled")
    card.get_by_role("button", name="Try again").click()
    until(page, card, "succeeded")


def test_a_job_of_another_client_appears_and_goes_by_itself(page, client):
    job = client.post("/v1/tts", json={"text": "山上有一座红色的房子。"}).json()
    card = page.locator(f"#job-{job['id']}")
    until(page, card.element_handle(timeout=20_000) and card, "succeeded")
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    card.wait_for(state="detached")


def test_what_fails_is_told_in_plain_words(page):
    broken = {"name": "meeting.wav", "mimeType": "audio/wav", "buffer": BROKEN_WAV}
    card = until(page, transcribe(page, broken), "failed")
    assert card.locator(".job-why").inner_text().startswith("The file cannot be read as a recording.")
    page.click("#language-toggle")
    assert card.locator(".job-why").inner_text().startswith("文件不能作为录音读取")


def test_a_refused_file_is_named_in_the_form(page):
    page.manners.allow("415")
    page.click("#tab-listen")
    page.set_input_files("#listen-files", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no sound"})
    page.click("#panel-listen [type=submit]")
    problem = page.locator("#listen-problem")
    problem.wait_for()
    assert "cannot be read as a recording" in problem.inner_text()
    assert "notes.txt" in problem.inner_text()
    assert page.locator("#listen-chosen li").count() == 1, "what was chosen stays chosen"


def test_an_empty_text_is_not_sent(page):
    page.fill("#speak-text", "  ")
    page.click("#panel-speak [type=submit]")
    assert "no text yet" in page.locator("#speak-problem").inner_text()
    assert page.evaluate("document.activeElement.id") == "speak-text"


def test_a_transcript_is_heard_by_the_word_corrected_and_exported(page, client):
    card = until(page, transcribe(page, SAMPLE), "succeeded")
    segments = card.locator(".segment")
    segments.first.wait_for()
    heard = client.get(f"/v1/jobs/{job_id(card)}").json()["output"]["text"]
    assert "".join(card.locator(".line").all_inner_texts()) == heard.replace("\n", "")

    card.locator("canvas[data-drawn]").wait_for(state="attached")
    word = segments.nth(1).locator(".word").nth(2)
    word.click()
    page.wait_for_function("card => !card.querySelector('audio').paused", arg=card.element_handle())
    assert card.locator("audio").evaluate("audio => audio.currentTime") >= float(word.get_attribute("data-start"))
    card.locator(".play").click()

    segments.nth(1).get_by_role("button", name="Correct the line").click()
    segments.nth(1).locator("textarea").fill("山上有一座 <红色> 的房子。")
    segments.nth(1).locator("textarea").press("Enter")
    page.reload()
    card.locator(".corrected").wait_for()
    cues = list(srt.parse(exported(page, card, "SRT")))
    assert [cue.content for cue in cues][1] == "山上有一座 <红色> 的房子。"
    assert len(cues) == segments.count()
    assert all(cue.start < cue.end for cue in cues)
    captions = webvtt.from_string(exported(page, card, "WebVTT")).captions
    assert [caption.start_in_seconds for caption in captions] == [int(cue.start.total_seconds()) for cue in cues]
    assert exported(page, card, "Text").splitlines()[1] == "山上有一座 <红色> 的房子。"


def exported(page, card, name):
    with page.expect_download() as download:
        card.locator(".export").get_by_role("button", name=name, exact=True).click()
    return Path(download.value.path()).read_text("utf-8")


def test_a_heap_of_recordings_is_one_job_with_a_transcript_each(page):
    card = until(page, transcribe(page, *sorted((DEMO / "samples").glob("*.wav"))), "succeeded")
    children = card.locator(".children > .job")
    children.nth(2).wait_for()
    assert children.count() == 3
    child = children.filter(has_text="demo_M7_neutral.wav")
    child.locator(".job-open").click()
    child.locator(".word").first.wait_for()
    play(page, child)


def test_a_book_shows_its_plan_and_becomes_chapters_to_read_along(page, tmp_path):
    chapters = (DEMO / "domain-story.txt").read_text("utf-8").split("\n\n")
    book = tmp_path / "story.md"
    book.write_text("\n\n".join("# " + chapter.strip().replace("\n", "\n\n", 1) for chapter in chapters), "utf-8")
    page.click("#tab-book")
    page.set_input_files("#book-file", str(book))
    page.locator(".plan-chapters li").nth(2).wait_for()
    assert "3 of 3 chapters" in page.locator(".plan-total").inner_text()
    page.locator(".plan-chapters input").nth(1).uncheck()
    assert "2 of 3 chapters" in page.locator(".plan-total").inner_text()

    card = until(page, submitted(page, "#panel-book [type=submit]"), "succeeded")
    spoken = card.locator(".children > .job")
    spoken.nth(1).wait_for()
    assert spoken.count() == 2
    assert "小屋" in spoken.first.locator(".job-title").inner_text()
    assert card.locator(".job-head a[download$='.m4b']").first.is_visible()
    spoken.first.locator(".job-open").click()
    spoken.first.locator(".word").first.wait_for()
    play(page, spoken.first)


def test_the_language_follows_the_browser_and_the_toggle_and_is_kept(open_page):
    page = open_page(locale="zh-CN")
    assert page.inner_text("#jobs-title") == "任务"
    page.click("#language-toggle")
    assert page.inner_text("#jobs-title") == "Jobs"
    assert page.get_attribute("html", "lang") == "en"
    page.reload()
    assert page.inner_text("#jobs-title") == "Jobs"
    assert page.get_attribute("#speak-text", "placeholder").startswith("Write")


def test_the_theme_follows_the_system_and_the_toggle_and_is_kept(open_page):
    page = open_page(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme-toggle")
    light = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == light
    page.click("#theme-toggle")
    assert page.evaluate(ground) == dark


def test_the_tabs_are_moved_by_arrow_keys(page):
    page.focus("#tab-speak")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#panel-listen")
    assert page.evaluate("document.activeElement.id") == "tab-listen"
    page.keyboard.press("ArrowLeft")
    assert page.is_visible("#panel-speak")


def test_everything_can_be_reached_by_the_tab_key(page):
    until(page, speak(page, TEXT), "succeeded")
    page.locator(".spoken").first.wait_for()
    wanted = {"tab-speak", "speak-text", "speak-voice", "speak-speed", "jobs-filter", "theme-toggle", "language-toggle"}
    seen, classes = set(), set()
    page.focus(".skip")
    for _ in range(60):
        page.keyboard.press("Tab")
        element = page.evaluate("[document.activeElement.id, ...document.activeElement.classList]")
        seen.add(element[0])
        classes.update(element[1:])
    assert wanted <= seen
    assert {"job-open", "play", "seek", "spoken", "rate"} <= classes


def test_workers_and_how_many_sentences_share_a_batch_are_shown(page, client):
    texts = LONG_TEXT.splitlines()[:20]
    finish_all(client, [client.post("/v1/tts", json={"text": text}).json()["id"] for text in texts])
    page.wait_for_function("() => document.querySelector('#workers').textContent.includes('share a batch')")
    assert page.locator(".worker").count() == len(client.get("/v1/workers").json()["data"])


@pytest.mark.parametrize(
    "options",
    [{}, {"color_scheme": "dark", "locale": "zh-CN"}, {"viewport": {"width": 390, "height": 844}}],
    ids=["light", "dark Chinese", "phone"],
)
def test_axe_finds_nothing(open_page, options):
    page = open_page(**options)
    until(page, speak(page, TEXT), "succeeded")
    page.locator(".job .spoken").first.wait_for()
    assert_accessible(page)
    broken = {"name": "broken.wav", "mimeType": "audio/wav", "buffer": BROKEN_WAV}
    until(page, transcribe(page, broken), "failed")
    card = until(page, transcribe(page, SAMPLE), "succeeded")
    card.locator(".segment").first.wait_for()
    card.locator(".segment .icon-button").first.click()
    assert_accessible(page)
    page.click("#tab-book")
    page.click("#panel-book #book-show-plan")
    assert_accessible(page)


def assert_accessible(page):
    found = Axe().run(page).response["violations"]
    told = [(one["id"], one["help"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
    assert not told, json.dumps(told, indent=1, ensure_ascii=False)


def test_on_a_phone_nothing_runs_out_of_the_screen(open_page):
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True)
    card = until(page, speak(page, TEXT), "succeeded")
    card.locator(".spoken").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
