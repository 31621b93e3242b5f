"""Stage 3 on a segmenter so small that a step takes moments: rounds, what learns, and what the IoU loss is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.small_sam import IMAGE, small_sam
from tests.training.toy_stage import config
from torch import nn

from samlet.data import Annotation, Sample
from samlet.errors import TrainingError
from samlet.geometry.rle import encode
from samlet.prompts import ABSENT_LABEL
from samlet.training.batches.masks import MaskBatches
from samlet.training.config import FinetuneConfig, TrainConfig
from samlet.training.loop.batch_norm import set_training
from samlet.training.stages.dialogues import corrected_answers
from samlet.training.stages.finetune import Finetune
from samlet.training.stages.losses import spots_needed, true_iou


def sample(number, masks):
    """A picture of colored rectangles, each a mask; `masks` are x0, y0, x1, y1 in 64 x 64 pixels."""
    picture = np.full((64, 64, 3), 40, np.uint8)
    annotations = []
    for index, (x0, y0, x1, y1) in enumerate(masks):
        picture[y0:y1, x0:x1] = (90 + 50 * index) % 256
        mask = np.zeros((64, 64), bool)
        mask[y0:y1, x0:x1] = True
        annotations.append(Annotation(index, encode(mask), (x0, y0, x1 - x0, y1 - y0), float(mask.sum())))
    return Sample(f"set_{number}", "set", lambda: picture, (64, 64), tuple(annotations))


SAMPLES = [
    sample(1, [(4, 4, 40, 30), (10, 36, 60, 60)]),
    sample(2, [(30, 2, 62, 50), (0, 20, 25, 64), (34, 52, 60, 62)]),
]


def settings(**changes):
    return config(FinetuneConfig, batch_size=2, canvases=((1.0, 64),), **changes)


def batch_for(chosen, step=0):
    return MaskBatches(SAMPLES, IMAGE, chosen, spots_needed(chosen.points)).at(step)


def test_later_rounds_add_a_click_and_show_masks_to_some(monkeypatch):
    chosen = settings(rounds=3, hint_share=0.5)
    batch = batch_for(chosen)
    student = small_sam()
    seen = []
    decode = student.decode_tokens

    def spy(embeddings, points_xy, labels, mask_hint=None, image_index=None, hinted=None):
        seen.append((labels, mask_hint, hinted))
        return decode(embeddings, points_xy, labels, mask_hint, image_index, hinted)

    monkeypatch.setattr(student, "decode_tokens", spy)
    losses = Finetune(student, chosen)(batch)
    assert all(torch.isfinite(loss) for loss in losses.values())
    first = batch.labels.shape[1]
    assert [labels.shape[1] for labels, _, _ in seen] == [first, first + 1, first + 2]
    assert seen[0][1] is None
    assert seen[1][1].shape == (5, 256, 256)
    assert torch.equal(seen[2][2], batch.hints[:, 1] < 0.5)
    assert set(seen[2][0][:, first:].unique().tolist()) <= {0, 1, ABSENT_LABEL}


@pytest.mark.parametrize(("box_share", "moves"), [(1.0, True), (0.0, False)])
def test_boxes_may_teach_all_masks_and_clicks_never_do(box_share, moves):
    best, every = (settings(box_share=box_share, boxes_teach_all=choice) for choice in (False, True))
    student, batch = small_sam(), batch_for(best)
    alone, together = (Finetune(student, chosen)(batch) for chosen in (best, every))
    assert bool(together["bce"] + together["dice"] > alone["bce"] + alone["dice"]) is moves  # others are worse
    assert torch.equal(together["iou"], alone["iou"])


def test_the_first_of_several_rounds_is_the_only_round_of_one():
    one, three = settings(), settings(rounds=3)
    first, later = batch_for(one), batch_for(three)
    for field in ("pixels", "points_xy", "labels", "masks"):
        assert torch.equal(getattr(first, field), getattr(later, field))
    assert first.clicks.shape == (5, 0)
    assert later.clicks.shape == later.hints.shape == (5, 2)


def test_a_hint_counts_for_those_it_is_shown_to_and_no_one_else():
    student = small_sam()
    batch = batch_for(settings())
    hint = torch.randn(5, 256, 256)
    with torch.no_grad():
        embeddings = student.encode(batch.pixels)
        arguments = (embeddings, batch.points_xy, batch.labels)
        shown = torch.tensor([True, False, True, False, False])
        mixed = student.decode_tokens(*arguments, hint, batch.image_index, shown)[0]
        always = student.decode_tokens(*arguments, hint, batch.image_index)[0]
        never = student.decode_tokens(*arguments, None, batch.image_index)[0]
    assert torch.allclose(mixed, torch.where(shown[:, None], always, never), atol=1e-6)
    assert (always - never).abs().max() > 1e-4


def test_it_trains_encoder_decoder_and_iou_head_but_no_statistics():
    student = small_sam()
    stage = Finetune(student, settings())
    set_training(stage, settings().batch_norm)
    losses = stage(batch_for(settings()))
    assert set(losses) == {"bce", "dice", "iou"}
    sum(losses.values()).backward()
    for name in ("image_encoder.0.conv.weight", "mask_decoder.mask_tokens.weight"):
        assert student.get_parameter(name).grad.abs().sum() > 0
    assert student.get_parameter("mask_decoder.iou_prediction_head.layers.2.weight").grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in student.prompt_encoder.parameters())
    assert not any(module.training for module in stage.modules() if isinstance(module, nn.BatchNorm2d))


def test_losses_on_points_fall_too():
    chosen = settings(points=200, focal=2.0)
    batch = batch_for(chosen)
    stage = Finetune(small_sam(), chosen).train()
    optimizer = torch.optim.AdamW(stage.parameters(), lr=3e-3)
    totals = []
    for _ in range(5):
        totals.append(sum(stage(batch).values()))
        optimizer.zero_grad()
        totals[-1].backward()
        optimizer.step()
    assert totals[-1] < 0.95 * totals[0]


def test_processes_with_unequal_shares_average_to_the_mean_of_all_prompts(monkeypatch):
    chosen = settings()
    stage = Finetune(small_sam(), chosen).eval()
    mine = MaskBatches(SAMPLES[:1], IMAGE, chosen).at(0)  # 2 images, 4 prompts
    with torch.no_grad():
        alone = stage(mine)
        monkeypatch.setattr(
            "samlet.training.stages.finetune.average", lambda count: (count + 1) / 2
        )  # the other has 1 prompt
        shared = stage(mine)
    for name, value in alone.items():
        assert shared[name].item() == pytest.approx(value.item() * 4 / 2.5)


@pytest.mark.parametrize(
    ("frozen", "learning"),
    [
        (("prompt_encoder",), {"image_encoder", "mask_decoder"}),
        (("prompt_encoder", "image_encoder"), {"mask_decoder"}),
        (("mask_decoder",), {"image_encoder", "prompt_encoder"}),
    ],
)
def test_frozen_parts_get_no_gradient(frozen, learning):
    chosen = settings(frozen=frozen, rounds=2, hint_share=1.0)
    student = small_sam()
    sum(Finetune(student, chosen)(batch_for(chosen)).values()).backward()
    touched = {n.split(".")[0] for n, p in student.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert touched == learning


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frozen": ("decoder",)}, "no part 'decoder'"),
        ({"frozen": ("image_encoder", "mask_decoder")}, "leave one of them to learn"),
        ({"rounds": 0}, "rounds is 0"),
        ({"lora": -1}, "lora is -1"),
        ({"points": -5}, "points is -5"),
        ({"held_clicks": -1}, "held_clicks is -1"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(TrainingError, match=message):
        settings(**changes)


def test_a_saved_config_comes_back_and_an_old_one_gets_todays_defaults():
    chosen = settings(frozen=("image_encoder", "prompt_encoder"), lora=4, rounds=2)
    record = chosen.to_json()
    assert TrainConfig.from_json({**record, "frozen": list(record["frozen"])}) == chosen
    new = {"rounds", "hint_share", "points", "focal", "frozen", "lora", "box_jitter", "max_clicks", "center_share"}
    old = {name: value for name, value in settings().to_json().items() if name not in new}
    assert TrainConfig.from_json(old) == settings()


def chosen_iou(stage, batch):
    """What a user gets: the mean true IoU of the mask with the best predicted IoU; and how the two rank alike."""
    with torch.no_grad():
        logits, iou = stage.student(batch.pixels, batch.points_xy, batch.labels, None, batch.image_index)
    true = true_iou(logits, batch.masks[:, None], batch.valid[:, None])[:, 1:]
    iou = iou[:, 1:]
    ranks = [value.flatten().argsort().argsort().float() for value in (iou, true)]
    return true.gather(1, iou.argmax(1, keepdim=True)).mean().item(), torch.corrcoef(torch.stack(ranks))[0, 1].item()


@pytest.mark.parametrize("iou_weight", [1.0, 0.0])
def test_the_iou_loss_teaches_which_mask_to_choose(iou_weight):
    """The masks stay as they are, so only the choice can improve; without the loss, the official way, it does not."""
    chosen = settings(bce_weight=0.0, dice_weight=0.0, iou_weight=iou_weight)
    stage = Finetune(small_sam(), chosen).eval()
    batch = batch_for(chosen)
    stage.requires_grad_(False)
    stage.student.mask_decoder.iou_prediction_head.requires_grad_(True)
    optimizer = torch.optim.Adam(stage.student.mask_decoder.iou_prediction_head.parameters(), lr=1e-2)
    before, ranked_before = chosen_iou(stage, batch)
    for _ in range(12 if iou_weight else 1):
        loss = sum(stage(batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after, ranked_after = chosen_iou(stage, batch)
    if iou_weight:
        assert after > before + 0.02
        assert ranked_after > max(ranked_before + 0.2, 0.6)
    else:
        assert (after, ranked_after) == (before, ranked_before)


def test_what_a_lone_click_answers_is_held_where_it_was_and_taught_nothing():
    chosen = settings(box_share=0.0, max_clicks=1, held_clicks=2)
    batch = batch_for(chosen)
    assert batch.anywhere.sum() == 4  # of 2 images
    assert not batch.masks[batch.anywhere].any()
    stage = Finetune(small_sam(), chosen)
    stage._start[0].load_state_dict(small_sam(seed=1).state_dict())  # so that there is something to go back to
    optimizer = torch.optim.Adam(stage.parameters(), lr=3e-3)
    totals = []
    for _ in range(6):
        losses = stage(batch)
        totals.append(losses["held"].item())
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["bce"] == losses["dice"] == losses["iou"] == 0
    assert totals[-1] < totals[0]
    assert not any(name.startswith("_start") for name in stage.state_dict())
    assert all(parameter.grad is None for parameter in stage._start[0].parameters())


def error_of_a_hit(taught_from):
    """BCE of the masks that hit an object, before and after some steps."""
    chosen = settings(box_share=0.0, max_clicks=1, held_clicks=1, taught_from=taught_from)
    batch = batch_for(chosen)
    stage = Finetune(small_sam(), chosen)

    def answers():
        return stage.student(batch.pixels, batch.points_xy, batch.labels, None, batch.image_index)[0]

    with torch.no_grad():
        start = answers()
    masks = (start[:, 1].roll(4, -1) > 0).float() * ~batch.anywhere[:, None, None]
    hits = true_iou(start, masks[:, None], batch.valid[:, None]) > 0.5
    assert hits.any()
    optimizer = torch.optim.Adam([p for p in stage.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(6):
        optimizer.zero_grad()
        sum(stage(replace(batch, masks=masks)).values()).backward()
        optimizer.step()
    with torch.no_grad():
        after = answers()
    target = masks[:, None].expand_as(start)[hits]
    return [nn.functional.binary_cross_entropy_with_logits(logits[hits], target).item() for logits in (start, after)]


def test_a_lone_clicks_mask_that_hits_the_object_learns_the_object():
    before, taught = error_of_a_hit(0.5)
    _, held = error_of_a_hit(1.0)
    assert taught < before - 0.02
    assert held > before - 0.005


def test_boxes_and_later_clicks_are_taught_beside_what_is_held():
    held = settings(box_share=1.0, rounds=2, hint_share=1.0, held_clicks=1)
    student = small_sam()
    losses = Finetune(student, held)(batch_for(held))
    assert set(losses) == {"bce", "dice", "iou", "held"}
    free = settings(box_share=1.0, rounds=2, hint_share=1.0)
    alone = Finetune(student, free)(batch_for(free))
    for name in ("bce", "dice", "iou"):  # clicks of the second round are drawn from another row of chance
        assert losses[name].item() == pytest.approx(alone[name].item(), rel=0.02)


def test_a_dialogue_shows_what_segment_would_and_asks_where_it_is_deepest(monkeypatch):
    chosen = settings(rounds=3, hint_share=1.0, as_dialogue=True)
    batch = batch_for(chosen)
    student = small_sam()
    seen = []
    decode = student.decode_tokens

    def spy(embeddings, points_xy, labels, mask_hint=None, image_index=None, hinted=None):
        seen.append((mask_hint, points_xy, labels))
        answer = decode(embeddings, points_xy, labels, mask_hint, image_index, hinted)
        seen[-1] += (student.upscale(*answer[1:]).detach()[:, student.spec.single_column],)
        return answer

    monkeypatch.setattr(student, "decode_tokens", spy)
    Finetune(student, chosen)(batch)
    shown, points_xy, labels, single = seen[1]
    expected = corrected_answers(shown, single, points_xy[:, -1], labels[:, -1])
    assert torch.equal(seen[2][0], expected)


def test_a_step_offers_the_spots_its_losses_need():
    assert batch_for(settings(points=10)).spots.shape == (spots_needed(10), 2)
    assert batch_for(settings()).spots.shape == (0, 2)
