"""Every error samlet raises on purpose. `str(error)` is the one sentence a user should read.

    SamletError
    ├── InputError (also a ValueError)      what the caller handed over
    │   ├── ImageError
    │   └── PromptError
    ├── ModelError                          the network and its weights
    │   ├── UnknownModelError
    │   ├── CheckpointError
    │   └── WeightsError                    download and cache
    │       └── MissingWeightsError         published, but not here: a download would help
    ├── BackendError                        what runs the network
    │   ├── UnknownBackendError
    │   └── MissingExtraError               an optional dependency is not installed
    ├── OutputError                         disk full, unwritable folder
    ├── DataError                           data sets and annotation records
    ├── TrainingError
    ├── ExportError
    ├── PassedOverError                     all is done but what could not be read; the command line exits with code 3
    └── StoppedError                        asked to stop; what was done is saved

The command line prints the sentence and exits with code 2.
"""

from __future__ import annotations


class SamletError(Exception):
    """Base of the tree: catch it to catch every error that samlet raises on purpose."""


class InputError(SamletError, ValueError):
    """The caller's values make no sense; the sentence names the value and the remedy."""


class ImageError(InputError):
    """An image is missing, unreadable, too large or of an unsupported kind."""


class PromptError(InputError):
    """Points, boxes, labels or a mask hint are malformed or lie outside the image."""


class ModelError(SamletError):
    """Something is wrong with a model or its weights."""


class UnknownModelError(ModelError):
    """No model of the registry has this name."""


class CheckpointError(ModelError):
    """A weights file is corrupt, unsafe to open or belongs to another model."""


class WeightsError(ModelError):
    """Weights are not in the cache and could not be fetched."""


class MissingWeightsError(WeightsError):
    """The published weights of `model` are not in the cache; all else that was asked for fits."""

    def __init__(self, message: str, model: str) -> None:
        # Both arguments reach Exception.args, so the error survives pickling between processes.
        super().__init__(message, model)
        self.model = model

    def __str__(self) -> str:
        return str(self.args[0])


class BackendError(SamletError):
    """A backend failed to start or to run."""


class UnknownBackendError(BackendError):
    """No backend has this name."""


class MissingExtraError(BackendError):
    """An optional dependency is missing. `extra` is the name in `samlet[extra]`; `purpose` opens the sentence."""

    def __init__(self, extra: str, purpose: str = "This") -> None:
        # Both arguments reach Exception.args, so the error survives pickling between processes.
        super().__init__(extra, purpose)
        self.extra = extra
        self.purpose = purpose

    def __str__(self) -> str:
        return f'{self.purpose} needs an optional part of samlet: run pip install "samlet[{self.extra}]".'


class PassedOverError(SamletError):
    """Some inputs could not be read and were passed over, as allowed; all others are done."""


class OutputError(SamletError):
    """A result could not be written; nothing half-written is left behind."""


class DataError(SamletError):
    """A data set or an annotation record is malformed."""


class TrainingError(SamletError):
    """A training run cannot start, go on or resume."""


class ExportError(SamletError):
    """An artifact could not be made, or does not match the model it was made from."""


class StoppedError(SamletError):
    """Long work was asked to stop by a signal and has saved what it had; `signal_number` is 0 if it is not known."""

    def __init__(self, message: str, signal_number: int) -> None:
        # Both arguments reach Exception.args, so the error survives pickling between processes.
        super().__init__(message, signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return str(self.args[0])
