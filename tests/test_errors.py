import copy

import pytest

from samlet import errors


def test_bad_input_is_a_value_error_too():
    assert issubclass(errors.ImageError, ValueError)
    assert issubclass(errors.PromptError, errors.InputError)
    assert issubclass(errors.InputError, errors.SamletError)


def test_a_missing_extra_names_the_remedy():
    error = errors.MissingExtraError("torch", "Training")
    assert str(error) == 'Training needs an optional part of samlet: run pip install "samlet[torch]".'


def test_errors_travel_between_processes():
    """Workers hand their errors to the parent by pickling them, which rebuilds them as a copy does."""
    error = copy.copy(errors.MissingExtraError("web"))
    assert (error.extra, str(error)) == ("web", str(errors.MissingExtraError("web")))


@pytest.mark.parametrize("kind", [errors.ImageError, errors.OutputError, errors.DataError])
def test_the_message_is_the_sentence(kind):
    assert str(kind("No space left.")) == "No space left."
