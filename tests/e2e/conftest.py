"""One real stack for all end-to-end tests: embedded Valkey, web, workers with the demo models, and Flower."""

import contextlib
import os

import httpx
import pytest

from app.stack import Stack, StackError
from app.stack.environment import without_settings
from tests.e2e.browser import ARGUMENTS, CHROMIUM, Manners, open_context

FLOWER_AUTH = ("tester", "of-voxqueue")
READY_SECONDS = 180


@pytest.fixture(scope="session")
def area(tmp_path_factory):
    """The folder of recordings that jobs may name."""
    return tmp_path_factory.mktemp("area")


@pytest.fixture(scope="session")
def stack(tmp_path_factory, area):
    """A running stack on free ports, on the CPU, whatever VOXQUEUE_* says outside."""
    settings = {
        "VOXQUEUE_DEVICE": "cpu",
        "VOXQUEUE_REUSE_BYTES": str(10**9),
        "VOXQUEUE_INPUTS": str(area),
        "VOXQUEUE_FLOWER_BASIC_AUTH": ":".join(FLOWER_AUTH),
    }
    outer = without_settings(os.environ)
    with Stack(tmp_path_factory.mktemp("stack"), env=settings, outer=outer) as running:
        running.wait_ready(READY_SECONDS)
        yield running


@pytest.fixture(scope="session")
def client(stack):
    """An HTTP client of the stack."""
    with httpx.Client(base_url=stack.url, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="session")
def flower(stack):
    """An HTTP client of Flower, with its password."""
    with httpx.Client(base_url=stack.flower_url, timeout=30, auth=FLOWER_AUTH) as opened:
        yield opened


@pytest.fixture(scope="session")
def chromium():
    """A real browser, or a loud skip."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: THE WEB PAGE IS NOT TESTED; apt install chromium fonts-noto-cjk")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open a server's page with some settings of the browser; at the end, say what it did that it must not."""
    opened = []

    def build(url, **options):
        context = open_context(chromium, **options)
        page = context.new_page()
        page.manners = Manners(page, url)
        opened.append((context, page.manners))
        page.goto(url)
        return page

    yield build
    for context, _ in opened:
        context.close()
    for _, manners in opened:
        assert manners.broken == []


@pytest.fixture
def open_page(visit, stack):
    """Open the stack's page and wait until it knows how the server is."""

    def build(**options):
        page = visit(stack.url, **options)
        page.wait_for_selector("#state[data-tone=good]")
        return page

    return build


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Show what the processes logged beside the failure of a test that used them."""
    outcome = yield
    report = outcome.get_result()
    running = item.funcargs.get("stack") if hasattr(item, "funcargs") else None
    if report.failed and isinstance(running, Stack):
        with contextlib.suppress(StackError):  # the session's last teardown comes after its end
            report.sections.append(("logs of the stack", running.report()))
