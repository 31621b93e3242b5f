"""The log: append-only, resumable after a kill at any byte, and only with the measurement it belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from samlet.data import Sample
from samlet.errors import DataError, InputError, OutputError
from samlet.evaluation.results import LOG_FILE, BrokenImage, ImageResult, InstanceResult, ResultLog, Share, read_results

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


def shares(of: int) -> list[Share]:
    return [Share(rank, of) for rank in range(of)]


@pytest.mark.parametrize("of", [1, 2, 3, 8])
def test_shares_are_all_images_each_once(of: int) -> None:
    samples = [Sample(f"a_{index}", "a", Path("none"), (1, 1)) for index in range(7)]
    taken = [sample.name for share in shares(of) for sample in share.take(samples)]
    assert sorted(taken) == [sample.name for sample in samples]


def test_shares_come_from_torchrun(monkeypatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Share.from_environment() == Share(0, 1)
    assert Share().log_name == LOG_FILE
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert Share.from_environment() == Share(2, 3)
    assert Share(2, 3).log_name == "images.2-of-3.jsonl"


@pytest.mark.parametrize(
    ("asked", "world_size", "expected"),
    [("cuda", "8", "cuda:3"), ("cuda", "1", "cuda"), ("cuda:1", "8", "cuda:1"), ("cpu", "8", "cpu"), (None, "8", None)],
)
def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch, asked, world_size: str, expected) -> None:
    monkeypatch.setenv("WORLD_SIZE", world_size)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert Share.from_environment().device(asked) == expected


@pytest.mark.parametrize(("rank", "of"), [("3", "3"), ("-1", "2"), ("one", "2"), ("0", "0"), ("1", "")])
def test_a_share_that_makes_no_sense_is_refused(monkeypatch, rank: str, of: str) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", of)
    with pytest.raises(InputError, match="leave them unset"):
        Share.from_environment()


def test_the_last_to_finish_puts_the_shares_together(tmp_path: Path) -> None:
    names = ["a_1", "b_1", "c_1"]
    first, second = (ResultLog(tmp_path / share.log_name, HEADER) for share in shares(2))
    second.append(result("b_1", 0.5))
    assert second.gather(names) is None
    first.append(result("c_1"))
    first.append(result("a_1"))
    assert first.gather(names) == [result("a_1"), result("b_1", 0.5), result("c_1")]
    assert [path.name for path in tmp_path.iterdir()] == [LOG_FILE]
    assert [found.name for found in read_results(tmp_path / LOG_FILE)] == names
    assert second.gather(names) == first.gather(names)  # both may come to see that all is there


def test_what_shares_measured_before_a_kill_is_not_measured_again(tmp_path: Path) -> None:
    first, second = (ResultLog(tmp_path / share.log_name, HEADER) for share in shares(2))
    first.append(result("a_1"))
    second.append(result("b_1"))
    cut = second.path.read_bytes()[:-9]
    second.path.write_bytes(cut)
    for path in (tmp_path / LOG_FILE, tmp_path / Share(1, 3).log_name):  # resumed alone, and by three
        log = ResultLog(path, HEADER)
        assert "a_1" in log
        assert "b_1" not in log
    assert second.path.read_bytes() == cut  # the log of another process is never touched
    with pytest.raises(InputError, match="another measurement"):
        ResultLog(tmp_path / Share(2, 3).log_name, {})
    assert not (tmp_path / Share(2, 3).log_name).exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        ResultLog(tmp_path / "file" / "log.jsonl", HEADER)


def test_what_a_process_measured_anew_stands_above_what_lay_there(tmp_path: Path) -> None:
    filled(tmp_path / LOG_FILE, "a_1", "b_1")
    first, second = (ResultLog(tmp_path / share.log_name, HEADER) for share in shares(2))
    first.append(result("a_1", 0.75))  # its photo has changed
    assert first["a_1"].instances[0].true_iou == 0.75
    second_sees = second.gather(["a_1", "b_1"])
    assert second_sees == [result("a_1", 0.75), result("b_1")]
    assert [found.instances[0].true_iou for found in read_results(tmp_path / LOG_FILE)] == [0.75, 1 / 3]


def test_of_two_lines_of_an_image_the_last_counts(tmp_path: Path) -> None:
    log = filled(tmp_path / LOG_FILE, "a_1")
    log.append(result("a_1", 0.75))
    assert read_results(tmp_path / LOG_FILE) == [result("a_1", 0.75)]
    log.append(BrokenImage("a_1", "it was torn"))
    assert read_results(tmp_path / LOG_FILE) == []
    assert "a_1" not in log
