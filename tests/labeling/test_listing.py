from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.labeling.small_jobs import BOX, Pictures, names

from samlet.errors import InputError, OutputError
from samlet.geometry.rle import Rle
from samlet.labeling import listing
from samlet.labeling.items import Item, ObjectPrompt
from samlet.labeling.listing import KeptListing, Listed, Listing, difference, digest_of, shards_of_piece
from samlet.labeling.places import Folder

pytest.importorskip("pyarrow")

MASK = ObjectPrompt(mask=Rle(size=[4, 4], counts=b"04<"), label="ü")
CLICKS = ObjectPrompt(points_xy=((1.5, 2.0), (3.0, 0.25)), point_labels=(1, 0))


@dataclass(frozen=True)
class Given:
    """These items."""

    given: tuple[Item, ...]
    name: str = "given"

    def items(self):
        yield from self.given


ITEMS = (
    Item("b", "s3://x/b.jpg", 7, "etag"),
    Item("ä", "/ä.jpg", prompts=()),
    Item("a", "a.jpg", prompts=(BOX, MASK, CLICKS)),
    Item("\U0001f41f", "fish.jpg"),
    Item("～", "wide.jpg"),
)


def test_shards_are_runs_of_the_order_by_id_as_python_sorts(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "_ROWS_OF_PIECE", 4)
    place, source = Folder(tmp_path), Given(ITEMS)
    whole = Listing.of([source, Given((Item("c", "c"),))])
    assert len(whole) == 6
    whole.write(place, 2)
    assert place.names("listing") == ["000000.parquet", "000001.parquet"]
    kept = KeptListing(place, 2)
    read = [listed for shard in range(3) for listed in kept.shard(shard)]
    assert [listed.item.image_id for listed in read] == sorted([item.image_id for item in ITEMS] + ["c"])
    assert read[2] == Listed(Item("c", "c"), 1)
    assert [listed.item for listed in read if listed.source == 0] == sorted(ITEMS, key=lambda item: item.image_id)


def test_the_digest_is_of_what_the_sources_say():
    whole = Listing.of([Pictures(names(5))])
    assert digest_of([Pictures(names(5))]) == (5, whole.sha256)
    others = [Pictures(names(4)), Pictures(names(5), version="2"), Pictures(names(5), prompts=None)]
    assert len({whole.sha256, *(digest_of([other])[1] for other in others)}) == 4


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (ITEMS[:4], "～ is gone"),
        ((*ITEMS, Item("new", "new.jpg")), "new of given is new"),
        ((Item("b", "s3://x/b.jpg", 7, "other"), *ITEMS[1:]), "b of given has changed"),
        (ITEMS[::-1], "the order or the sources have changed"),
    ],
)
def test_a_difference_is_named(tmp_path, now, words):
    Listing.of([Given(ITEMS)]).write(Folder(tmp_path), 2)
    assert difference(Folder(tmp_path), [Given(now)]) == words


def test_a_sample_is_spread_over_all():
    whole = Listing.of([Pictures(names(1000))])
    numbers = [int(listed.item.image_id) for listed in whole.sample(20)]
    assert (len(numbers), numbers == sorted(numbers), numbers[0], numbers[-1]) == (20, True, 25, 975)
    assert len(Listing.of([Pictures(names(3))]).sample(20)) == 3


def test_bad_listings(tmp_path):
    with pytest.raises(InputError, match="no image to label in given"):
        Listing.of([Given(())])
    with pytest.raises(InputError, match=r'Two images have the id "ä": /ä\.jpg of given and ä\.jpg of again'):
        Listing.of([Given(ITEMS), Given((Item("ä", "ä.jpg"),), "again")]).check()
    with pytest.raises(InputError, match=r"\\udcff\.jpg in given is no name in UTF-8, which tables need: rename it"):
        Listing.of([Given((Item("\udcff.jpg", "\udcff.jpg"),))])
    with pytest.raises(OutputError, match=r"000000\.parquet is gone"):
        KeptListing(Folder(tmp_path / "lost"), 2).shard(0)


@pytest.mark.parametrize(("images_per_shard", "shards"), [(1, 1024), (64, 1024), (512, 128), (100_000, 1)])
def test_pieces_are_some_ten_thousand_images(images_per_shard, shards):
    assert shards_of_piece(images_per_shard) == shards
