"""What clients see of many jobs: pages, filters, positions, counts; and nothing of another owner's."""

import pytest

from jobs.errors import NotFound
from jobs.ids import new_id
from jobs.states import Kind, Status


@pytest.fixture
def population(desk):
    """Jobs of two owners, two kinds and four states, in the order of their making."""
    ids = []
    for number in range(24):
        kind, queue = ((Kind.TTS, "tts"), (Kind.STT, "stt"))[number // 2 % 2]
        job_id = desk.submit(owner=("ann", "bob")[number % 2], kind=kind, queue=queue)
        ids.append(job_id)
        if number % 3 == 0:
            desk.succeed(desk.claim(job_id))
        elif number % 5 == 0:
            desk.cancel(job_id)
        elif number % 7 == 0:
            desk.claim(job_id)
    desk.parent(2, owner="bob")
    return ids


def pages(read, limit):
    after = None
    while True:
        page = read(after=after, limit=limit)
        yield page.jobs
        after = page.next
        if after is None:
            return


@pytest.mark.parametrize("owner", [None, "ann", "bob"])
@pytest.mark.parametrize("kind", [None, Kind.TTS, Kind.STT])
@pytest.mark.parametrize("status", [None, *Status])
def test_newest_first_by_every_filter_page_by_page(desk, population, owner, kind, status):
    everything = [desk.job(job_id) for job_id in reversed(population)]
    if kind is None:
        everything = [job for job in desk.queries.page(limit=1).jobs if job.kind is Kind.AUDIOBOOK] + everything
    wanted = [
        job.id
        for job in everything
        if owner in {None, job.owner} and kind in {None, job.kind} and status in {None, job.status}
    ]

    def read(**options):
        return desk.queries.page(owner=owner, kind=kind, status=status, **options)

    found = list(pages(read, 5))
    assert [job.id for page in found for job in page] == wanted
    assert all(len(page) == 5 for page in found[:-1])
    assert desk.queries.count(owner=owner, kind=kind, status=status) == len(wanted)


def test_a_page_that_is_just_full_has_no_next(desk):
    ids = [desk.submit() for _ in range(2)]
    page = desk.queries.page(limit=2)
    assert [job.id for job in page.jobs] == ids[::-1]
    assert page.next is None


def test_an_owner_without_a_name_is_an_owner(desk):
    mine, _ = desk.submit(owner=""), desk.submit(owner="bob")
    assert [job.id for job in desk.queries.page(owner="").jobs] == [mine]
    assert desk.queries.count(owner="") == 1


def test_a_cursor_that_is_gone_or_anothers_is_refused(desk):
    mine, bobs = desk.submit(), desk.submit(owner="bob")
    for after in (new_id(), bobs):
        with pytest.raises(NotFound, match="begin the list anew"):
            desk.queries.page(owner="ann", after=after)
    assert desk.queries.page(owner=None, after=bobs).jobs[0].id == mine


def test_another_owners_job_does_not_exist(desk):
    job_id = desk.submit(owner="ann")
    assert desk.queries.get(job_id, "ann").id == desk.queries.get(job_id).id == job_id
    with pytest.raises(NotFound):
        desk.queries.get(job_id, "bob")


class TestChildren:
    def test_by_index_page_by_page_and_by_state(self, desk):
        parent, chapters = desk.parent(7)
        for chapter in (chapters[5], chapters[2]):
            desk.succeed(desk.claim(chapter))

        def read(**options):
            return desk.queries.children(parent, **options)

        assert [job.id for page in pages(read, 3) for job in page] == chapters
        done = desk.queries.children(parent, status=Status.SUCCEEDED)
        assert [job.index for job in done.jobs] == [2, 5]
        after = desk.queries.children(parent, status=Status.SUCCEEDED, after=chapters[3])
        assert [job.index for job in after.jobs] == [5]
        queued = desk.queries.children(parent, status=Status.QUEUED)
        assert [job.index for job in queued.jobs] == [0, 1, 3, 4, 6]

    def test_a_cursor_of_another_family_is_refused(self, desk):
        parent, _ = desk.parent(1)
        _, [other] = desk.parent(1)
        with pytest.raises(NotFound):
            desk.queries.children(parent, after=other)

    def test_they_are_in_no_other_list(self, desk):
        parent, _ = desk.parent(2)
        assert [job.id for job in desk.queries.page().jobs] == [parent]

    def test_counts_of_no_children(self, desk):
        assert set(desk.queries.count_children(desk.submit()).values()) == {0}


class TestPosition:
    def test_more_urgent_first_then_first_come(self, desk):
        bulk, first, second, urgent = (desk.submit(priority=priority) for priority in (7, 4, 4, 1))

        def position(job_id):
            return desk.queries.queue_position(desk.job(job_id))

        assert [position(one) for one in (urgent, first, second, bulk)] == [0, 1, 2, 3]
        claim = desk.claim(first)
        assert position(first) is None
        assert position(second) == 1
        desk.release(claim, front=True)
        assert [position(one) for one in (urgent, first, second, bulk)] == [0, 1, 2, 3]
        assert desk.queries.waiting("tts") == {1: 1, 3: 1, 4: 1, 7: 1}

    def test_queues_are_apart(self, desk):
        desk.submit(queue="stt", kind=Kind.STT)
        assert desk.queries.queue_position(desk.job(desk.submit())) == 0


def test_many_at_once_leaves_out_what_is_gone(desk):
    one, two = desk.submit(), desk.submit()
    assert [job.id for job in desk.queries.get_many([two, new_id(), one])] == [two, one]
    assert desk.queries.get_many([]) == []
