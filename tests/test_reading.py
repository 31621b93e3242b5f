"""The boundary: every error of a library becomes one sentence, and nothing but regular files is opened."""

from __future__ import annotations

import errno
import logging
import os
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from samlet.errors import DataError, InputError, SamletError
from samlet.reading import (
    check_regular,
    decoding,
    is_folder,
    is_missing,
    list_folder,
    read_npz,
    read_safetensors_metadata,
    reading,
)

FOREIGN = [
    ValueError("bad\nvalue"),
    zlib.error("incorrect header check"),
    zipfile.BadZipFile("no archive"),
    RuntimeError("encrypted"),
    NotImplementedError("method 99"),
    KeyError("name"),
    RecursionError(),
    OSError("image file is truncated"),
    OSError(errno.EIO, "Input/output error"),
    MemoryError(),
    ArithmeticError("x" * 5000),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda error: type(error).__name__)
def test_a_foreign_error_becomes_one_sentence_with_the_name_of_the_file(tmp_path: Path, foreign: Exception) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x")
    with pytest.raises(DataError) as caught, reading(path, "a record"):
        raise foreign
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 500
    assert caught.value.__cause__ is foreign


def test_samlets_own_errors_and_interrupts_pass() -> None:
    own = InputError("Say it otherwise.")
    with pytest.raises(InputError) as caught, decoding("a", "a record", DataError):
        raise own
    assert caught.value is own
    with pytest.raises(KeyboardInterrupt), decoding("a", "a record"):
        raise KeyboardInterrupt


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, words in {"pipe": "it is a FIFO", "zero": "it is a device", ".": "is a folder, not a record"}.items():
        with pytest.raises(DataError, match=words), reading(tmp_path / name, "a record"):
            pytest.fail("the block ran")
    with pytest.raises(OSError, match="FIFO") as caught:
        check_regular(tmp_path / "pipe")
    assert "FIFO" in caught.value.strerror


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone", r"gone does not exist\.$"),
        ("file/inside", "does not exist"),
        ("x" * 300, "the name is too long"),
        ("loop", "symbolic links lead in a circle"),
        ("https://example.com/a.jpg", "download it first"),
    ],
)
def test_a_path_that_leads_nowhere_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(b"")
    Path("loop").symlink_to("loop")
    with pytest.raises(InputError, match=words), reading(Path(name), "a record", InputError):
        pytest.fail("the block ran")


def test_folders(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).touch()
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "a")
    assert [place.name for place in list_folder(tmp_path)] == ["a", "b"]
    with pytest.raises(DataError, match="gone does not exist"):
        is_folder(tmp_path / "gone")
    with pytest.raises(InputError, match="the name is too long"):
        is_folder(tmp_path / ("x" * 300), InputError)
    with pytest.raises(DataError, match="a does not exist"):
        list_folder(tmp_path / "a")


def test_missing_is_only_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert is_missing(tmp_path / "gone")
    assert is_missing(tmp_path / "a" / "inside")
    assert not is_missing(tmp_path / "a")
    assert not is_missing(tmp_path / ("x" * 300))


def test_warnings_of_libraries_are_muted_in_all_threads_and_come_back() -> None:
    def warn(_: int) -> None:
        with decoding("a", "a record"):
            warnings.warn_explicit("damaged", UserWarning, "Image.py", 1, module="PIL.Image")

    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(warn, range(200)))
        assert seen == []
        warnings.warn_explicit("heard", UserWarning, "Image.py", 1, module="PIL.Image")
        with decoding("a", "a record"):
            warnings.warn("of samlet or of its caller", stacklevel=1)
        assert [str(warning.message) for warning in seen] == ["heard", "of samlet or of its caller"]
    assert warnings.filters == before


def test_what_pillow_logs_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("PIL.TiffImagePlugin").error("More samples per pixel than can be decoded")
    assert capfd.readouterr().err == ""


def test_arrays_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, one=np.arange(3), two=np.zeros(2))
    arrays = read_npz(path, "an embedding")
    assert sorted(arrays) == ["one", "two"]
    assert arrays["one"].tolist() == [0, 1, 2]
    np.savez(path, one=np.array([{}], object))
    with pytest.raises(DataError, match=r"a\.npz cannot be read as an embedding"):
        read_npz(path, "an embedding")
    monkeypatch.setattr("samlet.reading._LARGEST_NPZ", 1 << 20)
    np.savez_compressed(path, one=np.zeros(1 << 20))
    with pytest.raises(SamletError, match="unpacks to 8 MiB, more than an embedding has"):
        read_npz(path, "an embedding")


@pytest.mark.parametrize(
    ("header", "metadata"),
    [
        (b'{"__metadata__": {"a": "b"}}', {"a": "b"}),
        (b"{}", {}),
        (b"[]", {}),
        (b'{"__metadata__": 3}', {}),
    ],
)
def test_the_texts_of_a_weights_file(tmp_path, header, metadata):
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert read_safetensors_metadata(path) == metadata


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\0" * 8])
def test_what_is_no_weights_file_has_no_texts(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert read_safetensors_metadata(path) == {}


def test_a_damaged_table_of_tensors_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((5).to_bytes(8, "little") + b"{nope")
    with pytest.raises(DataError, match=r"a\.safetensors cannot be read as weights: it is damaged"):
        read_safetensors_metadata(path)
