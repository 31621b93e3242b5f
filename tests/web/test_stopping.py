from __future__ import annotations

from threading import Event

import numpy as np
import pytest
from tests.fake_backend import FakeBackend

from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.web.lanes import Lane
from samlet.web.stopping import submit_stoppable

PHOTO = np.full((64, 64, 3), 90, np.uint8)


@pytest.fixture
def lane():
    lane = Lane("segment", threads=1, waiting=4)
    yield lane
    lane.close()


def test_the_model_that_a_job_is_given_answers_as_it_does(lane):
    model = Predictor(FakeBackend(), weights="a")
    masks = submit_stoppable(lane, model, lambda given: given.segment(PHOTO, points=[[9, 9]])).result(20)
    assert masks[0].rle == model.segment(PHOTO, points=[[9, 9]])[0].rle


def test_the_first_question_asked_once_more_is_not_decoded_again(lane):
    backend = FakeBackend()
    model = Predictor(backend)
    embedding, click, other = model.embed(PHOTO), Prompts.points([[9, 9]]), Prompts.points([[9, 10]])

    def ask(given):
        given.segment(PHOTO, click, embedding=embedding, refine="none")
        given.predict(embedding, other)
        return given.predict(embedding, click, candidates="every")

    masks = submit_stoppable(lane, model, ask).result(20)
    assert len(backend.decoded) == 2
    alone = model.predict(embedding, click, candidates="every")
    assert [mask.rle for mask in masks] == [mask.rle for mask in alone]


def test_a_job_that_runs_ends_before_its_next_question(lane):
    backend, asked, go = FakeBackend(), Event(), Event()
    decode = backend.decode

    def slow(features, tokens):
        asked.set()
        assert go.wait(10)
        return decode(features, tokens)

    backend.decode = slow
    clicks = [[x, x] for x in range(1, 20)]
    future = submit_stoppable(lane, Predictor(backend), lambda given: given.segment(PHOTO, points=clicks))
    assert asked.wait(10)
    assert future.cancel()
    go.set()
    lane.submit(lambda: None).result(10)  # its turn comes when the other has ended
    assert len(backend.decoded) == 1
    assert lane.jobs == 0


def test_a_job_that_waits_never_runs(lane):
    go, ran = Event(), []
    first = lane.submit(lambda: go.wait(10))
    future = submit_stoppable(lane, Predictor(FakeBackend()), lambda _: ran.append(1))
    future.cancel()
    go.set()
    assert first.result(10)
    assert lane.submit(lambda: ran).result(10) == []


def test_an_error_is_handed_on(lane):
    with pytest.raises(ZeroDivisionError):
        submit_stoppable(lane, Predictor(FakeBackend()), lambda _: 1 / 0).result(10)
