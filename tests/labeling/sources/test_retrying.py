"""What is asked again, how often, and what is not."""

from __future__ import annotations

import errno

import pytest

from samlet.labeling.sources import retrying
from samlet.labeling.sources.retrying import ATTEMPTS, CutError, is_passing, retried, status_of


class AnsweredError(Exception):
    """As aiohttp and gcsfs tell a status."""

    def __init__(self, status=None, code=None, response=None):
        super().__init__()
        self.status, self.code, self.response = status, code, response


class ClientPayloadError(Exception):
    """aiohttp's, by its name; behind it is an error with the status 400."""

    def __init__(self):
        super().__init__()
        self.__cause__ = AnsweredError(code=400)


def boto(status):
    return AnsweredError(response={"ResponseMetadata": {"HTTPStatusCode": status}})


@pytest.fixture
def pauses(monkeypatch):
    made = []
    monkeypatch.setattr(retrying, "_sleep", made.append)
    return made


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (boto(503), True),
        (boto(404), False),
        (AnsweredError(status=500), True),
        (AnsweredError(status=403), False),
        (AnsweredError(code=429), True),
        (AnsweredError(code="SlowDown"), False),
        (ClientPayloadError(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (CutError("1 of 2"), True),
        (OSError(errno.EBUSY, "slow down"), True),
        (OSError(errno.EINVAL, "no"), False),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (PermissionError(errno.EACCES, "no"), False),
        (ValueError("a defect"), False),
    ],
)
def test_what_passes_by_itself(error, passing):
    assert is_passing(error) is passing


def test_a_status_is_found_behind_another_error():
    outer = OSError("translated")
    outer.__cause__ = boto(503)
    assert status_of(outer) == 503
    assert is_passing(outer)
    assert status_of(None) is None


def test_it_is_asked_until_it_answers(pauses):
    answers = iter([boto(503), ConnectionResetError(), "here"])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retried(ask) == "here"
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]


@pytest.mark.parametrize(("error", "asked"), [(boto(503), ATTEMPTS), (boto(404), 1)])
def test_it_is_asked_no_more_than_so_often(pauses, error, asked):
    count = 0

    def ask():
        nonlocal count
        count += 1
        raise error

    with pytest.raises(AnsweredError):
        retried(ask)
    assert count == asked
    assert sum(pauses) < 60
