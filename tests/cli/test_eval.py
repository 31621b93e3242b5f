"""`samlet eval` on generated folders, with a model whose answers are known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cyclopts import ValidationError
from PIL import Image
from tests.evaluation import fake
from tests.evaluation.fake import annotation, gray_image, predictor

from samlet import loading
from samlet.cli import main
from samlet.cli.eval import app
from samlet.errors import DataError, InputError, OutputError, SamletError
from samlet.evaluation import run


@pytest.fixture
def model(monkeypatch):
    """The fake model, whatever the command line asks to load."""
    model = predictor()
    monkeypatch.setattr(loading, "load", lambda *_, **__: model)
    monkeypatch.setattr("samlet.evaluation.provenance.weights_hash", lambda *_: "0" * 64)
    return model


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three images of two sources; a 20 x 20 and a 40 x 100 mask each."""
    folder = tmp_path / "data"
    folder.mkdir()
    masks = [annotation(10, 10, 30, 30, number=1), annotation(50, 50, 90, 150, number=2)]
    records = [
        {
            "id": mask.id,
            "bbox": list(mask.box_xywh),
            "area": mask.area_px,
            "segmentation": mask.rle | {"counts": mask.rle["counts"].decode()},
        }
        for mask in masks
    ]
    for name in ("coco_1", "coco_2", "pets_1"):
        Image.fromarray(gray_image()).save(folder / f"{name}.png")
        record = {"image": {"width": 256, "height": 256}, "annotations": records}
        (folder / f"{name}.json").write_text(json.dumps(record))
    return folder


def run_app(*arguments: object) -> None:
    app([str(argument) for argument in arguments], exit_on_error=False, print_error=False, result_action="return_value")


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


def test_a_report_is_written(model, data: Path, tmp_path: Path, capsys) -> None:
    run_app("--protocol", "box", "--data", data, "--output", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert report["metrics"]["miou"] == {"all": 1.0, "small": 1.0, "medium": 1.0, "large": None}
    assert report["metrics"]["instances"] == {"all": 6, "small": 3, "medium": 3, "large": 0}
    assert report["metrics"]["per_source"]["coco"] == {"miou": 1.0, "instances": 4, "images": 2}
    assert report["metrics"]["mean_of_sources"] == 1.0
    assert report["metrics"]["boundary_miou"]["all"] == 1.0
    assert set(report["left_out"].values()) == {0}
    assert report["protocol"] == {"start": "box", "clicks": 0, "select": "iou", "feed_mask_back": False}
    assert (report["model"], report["backend"], report["weights_sha256"]) == ("rectangles", "fake", "0" * 64)
    assert set(report["seconds"]) == {"read", "embed", "predict", "score"}
    assert "numpy" in report["versions"]
    assert (tmp_path / "out" / "report.html").read_text().count("<img") == 6
    printed = capsys.readouterr().out
    assert "mean of sources" in printed
    assert "n/a" in printed
    assert str(tmp_path) not in (tmp_path / "out" / "report.json").read_text()


def test_masks_left_out_are_told(model, data: Path, tmp_path: Path, capsys) -> None:
    path = data / "pets_1.json"
    record = json.loads(path.read_text())
    record["annotations"][0]["bbox"] = [400, 10, 20, 20]
    path.write_text(json.dumps(record))
    run_app("--data", data, "--output", tmp_path / "out")
    assert report_of(tmp_path / "out")["left_out"]["box empty or outside the image"] == 1
    assert "left out: 1 (box empty or outside the image)" in capsys.readouterr().out


def test_options_reach_the_protocol(model, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_app("--protocol", "point", "--clicks", 3, "--policy", "single", "--feed-mask-back", "--data", data,
            "--output", out, "--limit", 2, "--max-masks-per-image", 1)  # fmt: skip
    report = report_of(out)
    assert report["protocol"] == {"start": "point", "clicks": 3, "select": "single", "feed_mask_back": True}
    assert report["images"] == 2
    assert report["metrics"]["instances"]["all"] == 2


def test_everything_mode_has_a_recall(model, data: Path, tmp_path: Path, capsys) -> None:
    run_app("--protocol", "everything", "--data", data, "--output", tmp_path / "out", "--limit", 1)
    recall = report_of(tmp_path / "out")["metrics"]["average_recall"]
    assert list(recall) == ["10", "100", "1000"]
    assert list(recall["10"]) == ["all", "small", "medium", "large"]
    assert "AR@1000" in capsys.readouterr().out


def test_several_folders_are_one_data_set(model, data: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    Image.fromarray(gray_image()).save(plain / "photo_1.png")  # without masks: nothing to measure
    run_app("--data", data, plain, "--output", tmp_path / "out")
    assert report_of(tmp_path / "out")["images"] == 3


def test_a_killed_run_goes_on(model, data: Path, tmp_path: Path, monkeypatch) -> None:
    out, measure_image, measured = tmp_path / "out", run.evaluate_image, []

    def killed_at_the_second(predictor, sample, protocol):
        if len(measured) == 1:
            measured.append("killed")
            raise KeyboardInterrupt
        measured.append(sample.name)
        return measure_image(predictor, sample, protocol)

    monkeypatch.setattr(run, "evaluate_image", killed_at_the_second)
    with pytest.raises((KeyboardInterrupt, SystemExit)):  # cyclopts turns one into the other
        run_app("--data", data, "--output", out)
    assert not (out / "report.json").exists()
    run_app("--data", data, "--output", out)
    assert measured == ["coco_1", "killed", "coco_2", "pets_1"]
    run_app("--data", data, "--output", tmp_path / "at once")
    assert report_of(out)["metrics"] == report_of(tmp_path / "at once")["metrics"]


@pytest.fixture
def found_by_workers(monkeypatch):
    """The fake model where worker processes, which are not patched, find it."""
    monkeypatch.setattr(loading, "load", fake.load)
    monkeypatch.setattr("samlet.evaluation.provenance.weights_hash", lambda *_: "0" * 64)


def test_workers_give_the_same_report(found_by_workers, data: Path, tmp_path: Path) -> None:
    run_app("--data", data, "--output", tmp_path / "alone")
    run_app("--data", data, "--output", tmp_path / "two", "--workers", 2)
    alone, two = report_of(tmp_path / "alone"), report_of(tmp_path / "two")
    for differing in ("seconds", "seconds_this_run"):
        del alone[differing], two[differing]
    assert alone == two


def test_shares_of_torchrun_give_the_same_report(
    found_by_workers, data: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    run_app("--data", data, "--output", tmp_path / "alone")
    for rank in (1, 0):
        capsys.readouterr()
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        run_app("--data", data, "--output", tmp_path / "shares")
        assert (tmp_path / "shares" / "report.json").exists() == (rank == 0)
        assert ("The share of process 1 is measured" in capsys.readouterr().out) == (rank == 1)
    alone, shares = report_of(tmp_path / "alone"), report_of(tmp_path / "shares")
    assert alone["metrics"] == shares["metrics"]
    assert sorted(path.name for path in (tmp_path / "shares").iterdir()) == [
        "images.jsonl",
        "report.html",
        "report.json",
    ]


def test_one_process_does_what_a_killed_share_left(found_by_workers, data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    run_app("--data", data, "--output", tmp_path / "out")
    assert not (tmp_path / "out" / "report.json").exists()
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    run_app("--data", data, "--output", tmp_path / "out")
    assert report_of(tmp_path / "out")["images"] == 3


def test_another_measurement_needs_another_folder(model, data: Path, tmp_path: Path) -> None:
    run_app("--data", data, "--output", tmp_path / "out")
    with pytest.raises(InputError, match="different protocol"):
        run_app("--data", data, "--output", tmp_path / "out", "--protocol", "center")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--protocol", "point", "--clicks", "0"], InputError),
        (["--limit", "0"], ValidationError),
        (["--max-masks-per-image", "0"], ValidationError),
        (["--workers", "0"], ValidationError),
        (["--data", "nowhere"], DataError),
    ],
)
def test_bad_input_leaves_nothing_behind(model, data: Path, tmp_path: Path, arguments, error) -> None:
    with pytest.raises(error) as caught:
        run_app("--data", data, "--output", tmp_path / "out", *arguments)
    assert isinstance(caught.value, SamletError | ValidationError)  # of the latter `samlet` makes an InputError
    assert not (tmp_path / "out").exists()


def test_compare_prints_the_difference(model, data: Path, tmp_path: Path, capsys) -> None:
    run_app("--data", data, "--output", tmp_path / "a")
    run_app("--data", data, "--output", tmp_path / "b")
    capsys.readouterr()
    run_app("compare", tmp_path / "a", tmp_path / "b")
    assert "+0.0 (+0.0 to +0.0)" in capsys.readouterr().out


def test_compare_shows_the_recalls_of_everything_mode(model, data: Path, tmp_path: Path, capsys) -> None:
    run_app("--data", data, "--output", tmp_path / "a", "--protocol", "everything", "--limit", 1)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    capsys.readouterr()
    run_app("compare", tmp_path / "a", tmp_path / "b")
    assert "recall of 1000" in " ".join(capsys.readouterr().out.split())


def test_compare_refuses_another_protocol(model, data: Path, tmp_path: Path) -> None:
    run_app("--data", data, "--output", tmp_path / "a")
    run_app("--data", data, "--output", tmp_path / "b", "--select", "single")
    with pytest.raises(InputError, match="another protocol"):
        run_app("compare", tmp_path / "a", tmp_path / "b")


def test_a_broken_photo_is_passed_over_and_told_by_the_exit_code(model, data: Path, tmp_path: Path, capsys) -> None:
    (data / "coco_2.png").write_bytes((data / "coco_2.png").read_bytes()[:60])
    words = ["eval", "--data", str(data), "--output", str(tmp_path / "out")]
    assert main(words) == 2
    assert main([*words, "--max-broken", "1"]) == 3
    assert "1 item could not be read (coco_2); all others are measured" in capsys.readouterr().err
    report = report_of(tmp_path / "out")
    assert (report["broken_images"], report["images"]) == (["coco_2"], 2)
    shutil.copy(data / "coco_1.png", data / "coco_2.png")
    assert main([*words, "--max-broken", "1"]) == 0
    assert report_of(tmp_path / "out")["broken_images"] == []
    assert report_of(tmp_path / "out")["images"] == 3


def test_workers_pass_over_broken_photos_too(found_by_workers, data: Path, tmp_path: Path) -> None:
    photo = (data / "coco_2.png").read_bytes()
    (data / "coco_2.png").write_bytes(photo[:60])  # its size can still be read
    words = ["eval", "--data", str(data), "--output", str(tmp_path / "out"), "--workers", "1", "--max-broken", "1"]
    assert main(words) == 3
    assert report_of(tmp_path / "out")["images"] == 2


def test_the_page_tells_the_command_and_the_data(model, data: Path, tmp_path: Path, monkeypatch) -> None:
    words = ["eval", "--data", str(data), "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["samlet", *words])
    assert main(words) == 0
    text = (tmp_path / "out" / "report.html").read_text()
    assert f"on {data}." in text
    assert "<span>--data</span>" in text


def test_an_output_that_cannot_be_is_refused_before_the_model_is_loaded(
    data: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(loading, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    (tmp_path / "out").write_text("in the way")
    with pytest.raises((OutputError, ValidationError), match="Cannot write"):
        run_app("--data", data, "--output", tmp_path / "out")


def test_the_old_option_still_works(model, data: Path, tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match='select="single"'):
        run_app("--data", data, "--output", tmp_path / "out", "--policy", "first")
    assert report_of(tmp_path / "out")["protocol"]["select"] == "single"
