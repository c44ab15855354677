"""The web page over a server without workers: keys, waiting jobs, and a server that goes away."""

import threading

import pytest
from werkzeug.serving import make_server

from app import create_app
from app.keys import create_key
from jobs.settings import Settings
from tests.e2e.browser import speak, until

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture
def serve(redis_url, tmp_path):
    """Start the application on an empty ledger with some settings; stop it at the end."""
    running = []

    def start(**changes):
        application = create_app(Settings(redis_url=redis_url, data_dir=tmp_path, **{"api_keys": "", **changes}))
        server = make_server("127.0.0.1", 0, application, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join(10)


def test_waiting_jobs_show_their_place_and_cancel_at_once(serve, visit):
    url, _ = serve()
    page = visit(url)
    page.wait_for_function("() => document.querySelector('#state').textContent.includes('No worker')")
    first, second = speak(page, "今天是三月十七号。"), speak(page, "山上有一座红色的房子。")
    assert "Next in the queue" in first.locator(".job-progress").inner_text()
    assert "1 job before it" in second.locator(".job-progress").inner_text()
    first.get_by_role("button", name="Cancel").click()
    until(page, first, "canceled")
    page.wait_for_function("card => card.textContent.includes('Next in the queue')", arg=second.element_handle())


def test_a_full_queue_is_told_in_plain_words_and_the_text_is_kept(serve, visit):
    url, _ = serve(max_waiting=1)
    page = visit(url)
    page.manners.allow("429")
    speak(page, "今天是三月十七号。")
    page.fill("#speak-text", "山上有一座红色的房子。")
    page.click("#panel-speak [type=submit]")
    page.locator("#speak-problem").wait_for()
    assert page.inner_text("#speak-problem").startswith("The queue is full.")
    assert page.input_value("#speak-text") == "山上有一座红色的房子。"


def test_the_filter_shows_only_jobs_of_a_status(serve, visit):
    url, _ = serve()
    page = visit(url)
    card = speak(page, "今天是三月十七号。")
    other = speak(page, "山上有一座红色的房子。")
    card.get_by_role("button", name="Cancel").click()
    until(page, card, "canceled")
    page.select_option("#jobs-filter", "canceled")
    other.wait_for(state="detached")
    assert card.is_visible()


def test_a_key_is_asked_for_once_and_left_behind_at_sign_out(serve, visit):
    secret, key = create_key("reader")
    url, _ = serve(api_keys=str(key))
    page = visit(url)
    page.manners.allow("401")
    page.locator("#key-dialog[open]").wait_for()
    page.fill("#key", "wrong")
    page.click("#key-form [type=submit]")
    page.locator("#key-problem").wait_for()
    assert page.inner_text("#key-problem") == "That is no key of this server."
    page.fill("#key", secret)
    page.click("#key-form [type=submit]")
    page.locator("#key-dialog").wait_for(state="hidden")
    card = speak(page, "今天是三月十七号。")
    page.reload()
    card.wait_for()
    assert secret not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
    page.click("#sign-out")
    page.locator("#key-dialog[open]").wait_for()
    assert page.locator(".job").count() == 0


def test_a_server_that_goes_away_is_told_and_its_jobs_stay_on_the_screen(serve, visit):
    url, server = serve()
    page = visit(url)
    page.manners.allow("net::ERR_")  # refused, reset, empty or cut short: as the moment has it
    card = speak(page, "今天是三月十七号。")
    server.shutdown()
    server.server_close()
    page.locator("#jobs-problem").wait_for()
    assert "Your jobs are safe" in page.inner_text("#jobs-problem")
    assert card.is_visible()
