"""The thread that reads for all clients that wait: jobs, their errors, and the end."""

import threading

import pytest

from scim_api.audit.feeds import Feeds, Over


@pytest.fixture
def feeds():
    feeds = Feeds(1)
    yield feeds
    feeds.close()


def test_a_job_runs_on_the_feeds_thread_and_its_result_comes_back(feeds):
    [name] = {feeds.run(lambda: threading.current_thread().name) for _ in range(3)}

    assert name.startswith("feeds")


def test_an_error_of_a_job_is_raised_where_it_was_asked_for(feeds):
    with pytest.raises(LookupError):
        feeds.run(lambda: [][1])

    assert feeds.run(lambda: 1) == 1


def test_at_the_end_jobs_that_wait_for_their_turn_are_over(feeds):
    begun, go_on, ends = threading.Event(), threading.Event(), []

    def hold():
        begun.set()
        go_on.wait(10)

    def ask(job):
        try:
            feeds.run(job)
            ends.append("done")
        except Over:
            ends.append("over")

    threads = [threading.Thread(target=ask, args=[job]) for job in (hold, int)]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    feeds.end()
    go_on.set()
    for thread in threads:
        thread.join(10)

    assert sorted(ends) == ["done", "over"]


def test_after_the_end_nothing_is_read(feeds):
    feeds.end()

    with pytest.raises(Over):
        feeds.run(int)
