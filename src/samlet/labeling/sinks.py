"""The forms of output by name."""

from __future__ import annotations

from samlet.errors import InputError
from samlet.labeling.job import Job
from samlet.labeling.parquet import ParquetSink
from samlet.labeling.places import Place
from samlet.labeling.results import Sink

OUTPUTS = ("parquet",)


def make_sink(job: Job, place: Place) -> Sink:
    """What writes a job's results; InputError for a form that there is not."""
    if job.output == "parquet":
        return ParquetSink(place, job.model)
    raise InputError(f'There is no output "{job.output}": use {", ".join(OUTPUTS)}.')
