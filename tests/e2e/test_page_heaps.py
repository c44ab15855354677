"""Much at once by the web page: lists, archives and folders, dropped or chosen, over the whole stack."""

import base64
import shutil
import uuid
import zipfile
from pathlib import Path

import pytest

from tests.e2e.browser import job_id, submitted, transcribe, until
from tests.e2e.jobs import finish, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.slow]
SAMPLES = sorted((Path(__file__).parents[2] / "models/demo/samples").glob("*.wav"))
DROP = """files => {
    const transfer = new DataTransfer();
    for (const [name, data] of files)
        transfer.items.add(new File([Uint8Array.from(atob(data), byte => byte.charCodeAt(0))], name));
    for (const type of ["dragenter", "drop"])
        document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
}"""


def drop(page, **files):
    """Drop files (`a_csv="..."` is a.csv) somewhere on the page."""
    named = [
        (name.replace("_", "."), base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode())
        for name, text in files.items()
    ]
    page.evaluate(DROP, named)


def children_of(card, count):
    children = card.locator(".children > .job")
    children.nth(count - 1).wait_for()
    assert children.count() == count
    return children


def test_a_list_names_the_recordings_of_one_job(page, area):
    shutil.copy(SAMPLES[0], area / "listed.wav")
    page.click("#tab-listen")
    drop(page, list_csv="store,name\nlisted.wav,first.wav\nlisted.wav,again/second.wav\nnowhere.wav,third.wav\n")
    page.locator("#listen-chosen", has_text="list of recordings").wait_for()
    card = until(page, submitted(page, "#panel-listen [type=submit]"), "succeeded")
    assert card.locator(".job-title").first.inner_text() == "Recordings of a list"
    children_of(card, 3)
    for name, status in (("second.wav", "succeeded"), ("third.wav", "failed")):
        card.locator(f".children > [data-status={status}]", has_text=name).wait_for()
    assert "1 of 3 failed" in card.locator(".job-why").first.inner_text()


def test_a_list_without_a_usable_line_is_refused_with_the_reason(page):
    page.manners.allow("422")
    page.click("#tab-listen")
    page.set_input_files("#listen-files", {"name": "a.jsonl", "mimeType": "", "buffer": b'{"colour": "red"}\n'})
    page.click("#panel-listen [type=submit]")
    page.locator("#listen-problem", has_text="line 1").wait_for()


def test_an_archive_is_one_job_with_a_transcript_each(page, tmp_path):
    with zipfile.ZipFile(tmp_path / "calls.zip", "w") as archive:
        for sample in SAMPLES[:2]:
            archive.write(sample, f"monday/{sample.name}")
    card = until(page, transcribe(page, tmp_path / "calls.zip"), "succeeded")
    assert card.locator(".job-title").first.inner_text() == "calls.zip"
    assert children_of(card, 2).filter(has_text=f"monday/{SAMPLES[1].name}").count() == 1
    assert card.locator(".job-head a[download='transcripts.zip']").first.is_visible()


def test_a_folder_keeps_its_paths_and_leaves_out_what_is_no_sound(page, client, tmp_path):
    (tmp_path / "calls" / "tuesday").mkdir(parents=True)
    for sample in SAMPLES[:2]:
        shutil.copy(sample, tmp_path / "calls" / "tuesday")
    (tmp_path / "calls" / "cover.png").write_bytes(b"\x89PNG")
    page.click("#tab-listen")
    page.set_input_files("#listen-folder", str(tmp_path / "calls"))
    card = until(page, submitted(page, "#panel-listen [type=submit]"), "succeeded")
    named = {file["name"] for file in client.get(f"/v1/jobs/{job_id(card)}").json()["input"]["files"]}
    assert named == {f"calls/tuesday/{sample.name}" for sample in SAMPLES[:2]}


def test_a_dropped_batch_becomes_a_clip_for_each_line(page):
    page.click("#tab-listen")
    drop(page, lines_csv="custom_id,text,format\nhello,山上有一座红色的房子。,wav\nmoon,月亮出来了。,mp3\n")
    page.locator("#speak-chosen", has_text="a clip for each line").wait_for()
    assert page.locator("#speak-text").is_hidden()
    card = until(page, submitted(page, "#panel-speak [type=submit]"), "succeeded")
    children = children_of(card, 2)
    children.first.locator(".job-open").click()
    children.first.locator(".play").wait_for()
    assert page.locator("#speak-text").is_visible(), "the list is sent; there is room for a text again"


def test_a_dropped_text_is_spoken_or_a_book_by_the_tab_that_is_open(page):
    drop(page, note_txt="山上有一座红色的房子。")
    page.wait_for_function("() => document.querySelector('#speak-text').value === '山上有一座红色的房子。'")
    drop(page, old_txt="月亮出来了。".encode("gb18030"))
    page.wait_for_function("() => document.querySelector('#speak-text').value === '月亮出来了。'")
    page.click("#tab-book")
    drop(page, note_txt="山上有一座红色的房子。")
    page.locator(".plan-chapters li").wait_for()


def test_a_result_that_was_there_says_so(page, client):
    text = f"今天天气很好。第{uuid.uuid4().int % 1000}号。"
    done = (finish(client, submit_tts(client, text, reuse=True)) for _ in range(20))
    again = next(job for job in done if "reused" in job["output"])  # a result is kept just behind its commit
    card = page.locator(f"#job-{again['id']}")
    card.wait_for()
    until(page, card, "succeeded")
    assert "reused" in card.locator(".job-meta").inner_text()
    card.locator(".job-open").click()
    card.get_by_text("The same work had been done before").wait_for()
