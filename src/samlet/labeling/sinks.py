"""The forms of output by name."""

from __future__ import annotations

from samlet.errors import InputError
from samlet.labeling.job import Job
from samlet.labeling.parquet import ParquetSink
from samlet.labeling.places import Place
from samlet.labeling.results import Sink
from samlet.labeling.sa1b import Sa1bSink

OUTPUTS = ("parquet", "sa1b")


def make_sink(job: Job, place: Place) -> Sink:
    """What writes a job's results; InputError for a form that there is not."""
    if job.output == "parquet":
        return ParquetSink(place, job.model)
    if job.output == "sa1b":
        return Sa1bSink(place)
    raise InputError(f'There is no output "{job.output}": use {", ".join(OUTPUTS)}.')
