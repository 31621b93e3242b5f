from __future__ import annotations

import os
import subprocess
import sys

import pytest

import samlet as package
from samlet import cli


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_names_every_verb(samlet, words):
    code, out, err = samlet(*words)
    assert (code, err) == (0, "")
    assert all(f"  {name} " in out and line in out for name, _, line in cli.VERBS)


@pytest.mark.parametrize("verb", [name for name, _, _ in cli.VERBS])
def test_every_verb_has_help(samlet, verb):
    code, out, err = samlet(verb, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: samlet {verb}" in out


def test_version(samlet):
    assert samlet("--version") == (0, f"samlet {package.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sgment"], "sgment"),
        (["--vresion"], "--vresion"),
        (["models", "pul"], "pul"),
        (["models", "pull"], "NAME"),
        (["segment"], "IMAGES"),
        (["segment", "a.jpg", "--pont", "1,2"], "--point"),
        (["segment", "a.jpg", "--point"], "--point"),
        (["doctor", "--json=perhaps"], "perhaps"),
    ],
)
def test_a_usage_mistake_is_one_sentence(refused, words, sentence):
    assert sentence in refused(*words)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_verbs_options_and_choices(samlet, shell):
    code, out, err = samlet("completion", shell)
    assert (code, err) == (0, "")
    assert all(word in out for word in ("segment", "everything", "points-per-side", "openvino", "distill-encoder"))


def test_a_shell_that_is_not_known(refused):
    assert "tcsh" in refused("completion", "tcsh")


HEAVY = "{'torch', 'onnxruntime', 'cv2', 'PIL', 'numpy', 'cyclopts', 'rich'}"


def test_help_loads_nothing_heavy():
    loaded = run_python(f"import sys; from samlet.cli import main; main(['--help']); print({HEAVY} & set(sys.modules))")
    assert loaded.stdout.splitlines()[-1] == "set()", loaded.stderr


def test_the_list_of_models_loads_no_runtime():
    heavy = "{'torch', 'onnxruntime', 'cv2'}"
    loaded = run_python(f"import sys; from samlet.cli import main; main(['models']); print({heavy} & set(sys.modules))")
    assert loaded.stdout.splitlines()[-1] == "set()", loaded.stderr


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "error: Interrupted.\n"),
        (PermissionError(13, "Permission denied", "a/b"), 2, 'error: "a/b": Permission denied.\n'),
        (OSError("no disk"), 2, "error: no disk.\n"),
        (
            ZeroDivisionError("a\nb"),
            1,
            "error: This is a defect of samlet, please report it (ZeroDivisionError: a b).\n",
        ),
    ],
)
def test_other_endings(samlet, monkeypatch, error, code, sentence):
    def fail(_words):
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert samlet("segment")[::2] == (code, sentence)


def test_a_reader_that_goes_away_is_no_error():
    piped = run_python(
        "import subprocess, sys\n"
        "code = 'import sys; from samlet.cli import main; sys.exit(main([\"models\"]))'\n"
        "pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}\n"
        "with subprocess.Popen([sys.executable, '-c', code], **pipes) as models:\n"
        "    models.stdout.close()\n"
        "    print(models.stderr.read().decode() + '|')\n"
    )
    assert piped.stdout == "|\n"


def test_a_name_that_is_no_text_is_given_back_as_it_came():
    code = (
        "import sys; from samlet import cli; cli._run = lambda words: print(words[0]); sys.exit(cli.main(sys.argv[1:]))"
    )
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    ran = subprocess.run([sys.executable, "-c", code, b"caf\xe9"], env=environment, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"caf\xe9\n", b"")


def test_a_name_that_is_too_long_is_one_sentence(refused):
    assert "name too long" in refused("models", "import", "a" * 300).lower()
