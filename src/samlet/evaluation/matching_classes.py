"""The classes of a data set as those of a model: a sample's class becomes the number of the model's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from samlet.data import Sample
from samlet.data.classes import IGNORED, ClassMapSample, ClassSample, Coding
from samlet.errors import InputError
from samlet.evaluation.selection import Selection

_NAMED = 3


def in_classes_of_model(selection: Selection, model: Sequence[str]) -> Selection:
    """The samples with the model's numbers of classes, whose names become the truth; before, those of the data are.

    By name where the model knows every name of the data; by place where there are equally many and no name of the data
    is one of the model's (folders of ImageNet are called by numbers). InputError for anything else.
    """
    data = selection.truth
    unknown = [name for name in data if name not in model]
    if not unknown:
        numbers = [list(model).index(name) for name in data]
    elif len(data) == len(model) and len(unknown) == len(data):
        numbers = list(range(len(data)))
    else:
        named = ", ".join(unknown[:_NAMED]) + (", …" if len(unknown) > _NAMED else "")
        raise InputError(
            f"The data has {len(data)} classes and the model {len(model)}, and the model does not know {named}: give a "
            "model of these classes, or a classes.txt with the model's names."
        )
    codings: dict[Coding, Coding] = {}
    samples = [_renumbered(sample, numbers, codings) for sample in selection.samples]
    return replace(selection, samples=samples, truth=tuple(model))


def _renumbered(sample: Sample, numbers: Sequence[int], codings: dict[Coding, Coding]) -> Sample:
    if isinstance(sample, ClassSample):
        return replace(sample, label=numbers[sample.label])
    if isinstance(sample, ClassMapSample):
        coding = sample.coding
        if coding not in codings:
            new = tuple(IGNORED if number == IGNORED else numbers[number] for number in coding.classes)
            codings[coding] = replace(coding, classes=new)
        return replace(sample, coding=codings[coding])
    return sample
