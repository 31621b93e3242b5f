"""The RPN stage: which anchor finds which box, boxes under views, what learns, and a run from end to end."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.small_rpn import IMAGE, small_rpn
from tests.training.toy_stage import config as toy_config
from torch import nn

from samlet.data import open_folders
from samlet.errors import TrainingError
from samlet.geometry.rle import encode as encode_rle
from samlet.models import create, load_checkpoint
from samlet.training.batches.views import View
from samlet.training.config import RpnConfig
from samlet.training.recipes import RECIPES
from samlet.training.runs import Run, train
from samlet.training.stages.rpn import BoxBatches, TrainRpn, assign, focal_loss, seen_boxes

BOXES_XYWH = ([10, 5, 30, 20], [20, 25, 25, 15])


def config(**changes):
    return toy_config(RpnConfig, **{"student": "edge-sam-rpn", "batch_size": 2, "canvases": ((1.0, 128),), **changes})


@pytest.fixture
def folder(tmp_path):
    """Two pictures with a bright box each of its two masks, and one without annotations."""
    path = tmp_path / "images"
    path.mkdir()
    for index, (height, width) in enumerate([(60, 90), (80, 50), (40, 40)]):
        picture = np.full((height, width, 3), 30, np.uint8)
        annotations = []
        for number, (x, y, w, h) in enumerate(BOXES_XYWH):
            mask = np.zeros((height, width), bool)
            mask[y : y + h, x : x + w] = True
            picture[mask] = 120 + 60 * number
            rle = encode_rle(mask)
            code = {"size": rle["size"], "counts": rle["counts"].decode()}
            annotations.append({"id": number, "bbox": [x, y, w, h], "area": w * h, "segmentation": code})
        Image.fromarray(picture).save(path / f"set_{index}.png")
        if index < 2:
            record = {"image": {"image_id": index, "width": width, "height": height}, "annotations": annotations}
            (path / f"set_{index}.json").write_text(json.dumps(record))
    return path


SQUARES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [5, 0, 15, 10], [40, 40, 50, 50], [80, 80, 90, 90]])


@pytest.mark.parametrize(
    ("boxes", "owners"),
    [
        pytest.param([[0.0, 0, 10, 10]], [0, 0, -1, -1, -1], id="an IoU of a half is enough, a third is not"),
        pytest.param([[0.0, 0, 10, 10], [5, 0, 15, 10]], [0, 0, 1, -1, -1], id="the larger overlap wins"),
        pytest.param([[44.0, 44, 46, 46]], [-1, -1, -1, 0, -1], id="a box always has its best anchor"),
        pytest.param([[20.0, 20, 30, 30]], [-1] * 5, id="a box that no anchor touches has none"),
        pytest.param([], [-1] * 5, id="no boxes"),
    ],
)
def test_which_anchor_finds_which_box(boxes, owners):
    assert assign(SQUARES, torch.tensor(boxes).reshape(-1, 4)).tolist() == owners


def test_focal_loss_is_weighted_cross_entropy_and_forgets_what_is_easy():
    logits, found = torch.tensor([2.0, -1.0, 8.0]), torch.tensor([True, False, True])
    p = logits.sigmoid()
    expected = -0.25 * (1 - p[0]) ** 1.5 * p[0].log() - 0.75 * p[1] ** 1.5 * (1 - p[1]).log()
    assert focal_loss(logits, found).item() == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize(
    ("view", "seen"),
    [
        pytest.param(View(0, 0, 100, 80, False), [10, 20, 40, 60], id="the whole image"),
        pytest.param(View(0, 0, 100, 80, True), [60, 20, 90, 60], id="mirrored"),
        pytest.param(View(20, 30, 60, 50, False), [0, 0, 20, 20], id="cut"),
        pytest.param(View(20, 30, 60, 50, True), [20, 0, 40, 20], id="cut and mirrored"),
        pytest.param(View(50, 0, 100, 80, False), [0, 20, 0, 60], id="outside"),
    ],
)
def test_a_box_in_a_view(view, seen):
    boxes = np.array([[10.0, 20, 40, 60]])
    assert seen_boxes(view, boxes).tolist() == [seen]
    assert boxes.tolist() == [[10, 20, 40, 60]]


def test_batches_hold_the_boxes_of_their_images_on_the_prompt_canvas(folder):
    batches = BoxBatches(open_folders([folder]), IMAGE, config(min_crop=1.0))
    batch = batches.at(0)
    assert batch.pixels.shape == (2, 3, 128, 128)
    assert batch.image_index.tolist() == [0, 0, 1, 1]
    for image, boxes in zip(batch.pixels, batch.boxes_xyxy.reshape(2, 2, 4), strict=True):
        x0, y0, x1, y1 = (boxes[1] / 8 + torch.tensor([2, 2, -2, -2])).round().int().tolist()
        assert image[:, y0:y1, x0:x1].amax() - image[:, y0:y1, x0:x1].amin() < 0.4  # inside one color: it lies right
    assert torch.equal(batch.boxes_xyxy, batches.at(0).boxes_xyxy)


def test_images_without_boxes_cannot_be_learned_from(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a_1.png")
    with pytest.raises(TrainingError, match="none of the 1 images has a box"):
        BoxBatches(open_folders([tmp_path]), IMAGE, config())


def test_a_canvas_that_cannot_be_halved_seven_times_is_refused():
    with pytest.raises(TrainingError, match="multiple of 128"):
        config(canvases=((1.0, 200),))


def test_the_loss_falls_and_nothing_but_neck_and_head_learns(folder):
    student = small_rpn()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    stage = TrainRpn(student).train()
    batch = BoxBatches(open_folders([folder]), IMAGE, config(min_crop=1.0)).at(0)
    optimizer = torch.optim.AdamW([p for p in stage.parameters() if p.requires_grad], lr=3e-3)
    totals = []
    for _ in range(8):
        losses = stage(batch)
        assert set(losses) == {"objectness", "box"}
        totals.append(sum(losses.values()))
        optimizer.zero_grad()
        totals[-1].backward()
        optimizer.step()
    assert totals[-1] < totals[0] / 2
    changed = {name.partition(".")[0] for name, value in student.state_dict().items() if not value.equal(before[name])}
    assert changed == {"fpn", "rpn_head"}
    norms = [name for name, module in stage.named_modules() if isinstance(module, nn.BatchNorm2d) and module.training]
    assert norms
    assert all(name.startswith(("student.fpn", "student.rpn_head")) for name in norms)


@pytest.mark.parametrize("head", ["rpn", "centernet"])
def test_the_other_heads_are_not_trained(head):
    with pytest.raises(TrainingError, match="runs the head of small-rpn and does not train it"):
        TrainRpn(small_rpn(head))


def test_an_image_without_boxes_is_all_background(folder):
    batch = BoxBatches(open_folders([folder]), IMAGE, config()).at(0)
    empty = replace(batch, boxes_xyxy=torch.zeros(0, 4), image_index=torch.zeros(0, dtype=torch.long))
    losses = TrainRpn(small_rpn()).train()(empty)
    assert losses["box"] == 0
    assert losses["objectness"] > 0


def test_a_run_turns_an_edge_sam_into_one_with_proposals(folder, tmp_path):
    base = create("edge-sam")
    save_file(base.state_dict(), tmp_path / "edge_sam.safetensors")
    settings = config(steps=2, checkpoint_every=1)
    run = Run(tmp_path / "run")
    path = train(settings, run, checkpoint=tmp_path / "edge_sam.safetensors", data=open_folders([folder]))
    trained = create("edge-sam-rpn")
    load_checkpoint(trained, path)
    for name, value in base.state_dict().items():
        assert torch.equal(trained.state_dict()[name], value), name
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1


def test_a_student_without_proposals_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="edge-sam proposes no regions"):
        train(config(student="edge-sam"), Run(tmp_path / "run"), checkpoint=tmp_path / "no", data=[])


def test_the_papers_recipe_is_twelve_epochs_of_coco():
    recipe = RECIPES["edge_sam_stage3"]()
    assert isinstance(recipe, RpnConfig)
    assert recipe.steps * recipe.batch_size / 117_266 == pytest.approx(12, rel=1e-3)  # the images with boxes
