"""Files here and in a store: listed in order, read in parts, asked for again, and blamed rightly."""

from __future__ import annotations

import pytest

from samlet.errors import DataError, ImageError, InputError, MissingExtraError
from samlet.labeling.sources.retrying import ATTEMPTS
from samlet.labeling.sources.stores import canonical, filesystem_of, find, joined, list_files, opened, read
from samlet.labeling.sources.telling import telling


class NoCredentialsError(Exception):
    """botocore's, by its name."""


class StatusError(Exception):
    def __init__(self, status):
        super().__init__("no")
        self.status = status


def put(store, **files):
    for name, content in files.items():
        store.pipe_file(f"/{name.replace('__', '/')}", content)


def test_files_of_a_folder_come_in_one_order(tmp_path):
    for name in ("b.jpg", "a/2.jpg", "a/1.jpg", ".hidden/x.jpg", "a/.x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12")
    (tmp_path / "a" / "up").symlink_to(tmp_path)  # leads back
    (tmp_path / "c.jpg").symlink_to(tmp_path / "nowhere")
    found = list(list_files(str(tmp_path)))
    names = [entry.path.removeprefix(f"{tmp_path.as_posix()}/") for entry in found]
    assert names == ["a/1.jpg", "a/2.jpg", "b.jpg", "c.jpg"]
    assert [entry.size_bytes for entry in found] == [2, 2, 2, -1]
    assert found[0].version == str((tmp_path / "a/1.jpg").stat().st_mtime_ns)
    assert [entry.path for entry in list_files(str(tmp_path), depth=1)] == [entry.path for entry in found[2:]]


def test_files_of_a_store_come_in_one_order(flaky):
    put(flaky, b=b"12", a__2=b"1", a__1=b"", a__b__3=b"123")
    found = list(list_files("flaky://"))
    assert [(entry.path, entry.size_bytes) for entry in found] == [
        ("flaky:///a/1", 0),
        ("flaky:///a/2", 1),
        ("flaky:///a/b/3", 3),
        ("flaky:///b", 2),
    ]
    assert [entry.path for entry in list_files("flaky://a", depth=1)] == ["flaky:///a/1", "flaky:///a/2"]


def test_parts_are_read_here_and_there(flaky, tmp_path):
    put(flaky, x=b"0123456789")
    (tmp_path / "x").write_bytes(b"0123456789")
    for path in ("flaky://x", str(tmp_path / "x")):
        assert read(path) == read(path, 10) == b"0123456789"
        assert read(path, 3, 4) == b"456"
        assert read(path, 0, 4) == b""
        with opened(path, 4) as (file, size):
            assert (size, file.read(2), file.seek(-3, 2), file.read(9), file.seek(1)) == (10, b"01", 7, b"789", 1)
            assert (file.read(), file.read()) == (b"123456789", b"")


@pytest.mark.parametrize("failures", [[OSError(16, "slow down")], [3], [ConnectionResetError(), 9, TimeoutError()]])
def test_what_passes_is_asked_for_again(flaky, failures):
    put(flaky, x=b"0123456789")
    flaky.failures["x"] = list(failures)
    assert read("flaky://x", 10) == b"0123456789"
    assert flaky.asked["x"] == len(failures) + 1


@pytest.mark.parametrize(
    ("failures", "error", "message"),
    [
        ([OSError(16, "slow down")] * ATTEMPTS, DataError, "its store does not answer: .*slow down.*; try later"),
        ([3] * ATTEMPTS, ImageError, "7 of 10 bytes arrived: it is cut off"),
        ([FileNotFoundError(2, "gone")], ImageError, "flaky://x does not exist"),
        ([PermissionError(13, "no")], ImageError, "access is denied: see what its host wants"),
        ([NoCredentialsError()], InputError, "there are no credentials"),
        ([ValueError("odd\n words")], ImageError, "cannot be read: odd words"),
    ],
)
def test_what_stays_is_blamed_on_the_image_or_on_the_store(flaky, failures, error, message):
    put(flaky, x=b"0123456789")
    flaky.failures["x"] = list(failures)
    with pytest.raises(error, match=message):
        read("flaky://x", 10)
    assert flaky.asked["x"] == len(failures)


@pytest.mark.parametrize(
    ("url", "raised", "error", "message"),
    [
        ("s3://b/x", NoCredentialsError(), InputError, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("gs://b/x", StatusError(401), ImageError, "set GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://b/x", StatusError(403), ImageError, "set AZURE_STORAGE_ACCOUNT_NAME"),
        ("s3://b/x", StatusError(503), DataError, "try later"),
        ("https://h/x", StatusError(503), ImageError, "cannot be read: no"),
        ("https://h/x", TimeoutError(), ImageError, "cannot be read: TimeoutError"),
    ],
)
def test_each_store_has_its_sentence(url, raised, error, message):
    with pytest.raises(error, match=message), telling(url, ImageError):
        raise raised


def test_a_file_that_changed_since_it_was_listed(tmp_path):
    (tmp_path / "x").write_bytes(b"0123")
    with pytest.raises(ImageError, match="has 4 bytes where 5 were listed"):
        read(str(tmp_path / "x"), 5)
    with pytest.raises(ImageError, match="does not exist"):
        read(str(tmp_path / "y"))


def test_what_is_there(flaky, tmp_path):
    put(flaky, a__x=b"01")
    assert find("flaky://a/x").size_bytes == 2
    assert find("flaky://a") is None
    assert find(str(tmp_path)) is None
    for missing in ("flaky://b", str(tmp_path / "b")):
        with pytest.raises(DataError, match="does not exist"):
            find(missing)
    with pytest.raises(DataError, match="does not exist"):
        list(list_files(str(tmp_path / "b")))


def test_unknown_protocols_and_missing_libraries(monkeypatch):
    pytest.importorskip("fsspec")
    with pytest.raises(InputError, match="no way to read nowhere://"):
        filesystem_of("nowhere://x")
    monkeypatch.setattr("fsspec.get_filesystem_class", lambda _: (_ for _ in ()).throw(ImportError("Install s3fs")))
    with pytest.raises(MissingExtraError, match=r'samlet\[cloud\]"'):
        filesystem_of("s3://bucket/x")
    with pytest.raises(InputError, match="Install s3fs"):
        filesystem_of("dropbox://x")


@pytest.mark.parametrize(
    ("root", "name", "expected"),
    [
        ("/data", "a/b.jpg", "/data/a/b.jpg"),
        ("/data", "/else/b.jpg", "/else/b.jpg"),
        ("s3://b/data/", "a/b.jpg", "s3://b/data/a/b.jpg"),
        ("/data", "https://h/b.jpg", "https://h/b.jpg"),
    ],
)
def test_places_as_seen_from_a_folder(root, name, expected):
    assert joined(root, name) == expected


def test_a_path_is_the_same_for_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert canonical("./a") == canonical(str(tmp_path / "a")) == f"{tmp_path.as_posix()}/a"
