"""The log: append-only, resumable after a kill at any byte, and only with the measurement it belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from samlet.errors import DataError, InputError, OutputError
from samlet.evaluation.results import ImageResult, InstanceResult, ResultLog

HEADER = {"protocol": {"start": "box", "clicks": 0}, "samples_sha256": "ab"}


def result(name: str, true_iou: float = 1 / 3) -> ImageResult:
    instances = (
        InstanceResult(7, 100.5, true_iou, 0.9),
        InstanceResult("x", 4.0, 0.0, 0.1, 0.2, "cat", (0.1, 0.2, 0.3)),
    )
    return ImageResult(name, "coco", instances, {"embed": 0.1, "predict": 0.2})


def filled(path: Path, *names: str) -> ResultLog:
    log = ResultLog(path, HEADER)
    for name in names:
        log.append(result(name))
    return log


def test_results_come_back_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.jsonl"
    filled(path, "ä_1", "b_1")
    again = ResultLog(path, HEADER)
    assert len(again) == 2
    assert again["ä_1"] == result("ä_1")
    assert "b_1" in again
    assert "c_1" not in again


def test_a_kill_at_any_byte_loses_at_most_the_image_being_written(tmp_path: Path) -> None:
    filled(tmp_path / "whole.jsonl", "a_1", "b_1", "c_1")
    whole = (tmp_path / "whole.jsonl").read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (*range(0, len(whole), 17), *ends, *(end - 1 for end in ends)):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(whole[:cut])
        log = ResultLog(path, HEADER)
        assert len(log) == max(0, sum(end <= cut for end in ends) - 1)
        for name in ("a_1", "b_1", "c_1"):
            if name not in log:
                log.append(result(name))
        assert path.read_bytes() == whole


def test_another_measurement_is_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    filled(path, "a_1")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"another measurement \(different samples_sha256\); choose another --output"):
        ResultLog(path, HEADER | {"samples_sha256": "cd"})
    with pytest.raises(InputError, match="different backend, protocol"):
        ResultLog(path, HEADER | {"protocol": {"start": "point", "clicks": 1}, "backend": "onnx"})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line", ["not json", "{}", '{"name": "a", "source": "b", "seconds": {}, "instances": [{}]}', "[]"]
)
def test_a_damaged_log_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    filled(path, "a_1")
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"log\.jsonl is damaged"):
        ResultLog(path, HEADER)


def test_a_log_whose_header_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("[]\n")
    with pytest.raises(DataError, match="is damaged"):
        ResultLog(path, HEADER)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        ResultLog(tmp_path / "file" / "log.jsonl", HEADER)
