"""The example plugin and its README, as a plugin author meets them: in a fresh environment."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from stats_aggregator_api import PeriodSummaries, RunOptions
from stats_aggregator_api.testing import check_writer, example_period, summarize
from stats_aggregator_example import writers
from tests.environments import new_environment

ROOT = Path(__file__).parents[2]
README = ROOT / "plugins/example/README.md"

FIND_AND_CALL = """
from importlib.metadata import entry_points
from stats_aggregator_api import PeriodSummaries, RunOptions
from stats_aggregator_api.testing import check_writer, example_period, summarize

(found,) = entry_points(group="stats_aggregator.stats_writer", name="{name}")
check_writer(found.load())
print("---")
(writer,) = found.load()(RunOptions())
stats = {{"Environment/Cumulative Reward": summarize([1.0, 2.0, 6.0])}}
writer.write_stats("3DBall", PeriodSummaries(example_period(step=7), stats), 7)
writer.close()
"""


def readme_block(name):
    """Return the code below the line of the README that ends with the file's name."""
    text = README.read_text(encoding="utf-8")
    (block,) = re.findall(rf"`{re.escape(name)}`[^`]*:\n\n```\w+\n(.*?)```", text, re.DOTALL)
    return block


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Return the python of a fresh environment that has the api alone."""
    return new_environment(tmp_path_factory.mktemp("fresh") / "venv", ["plugins/api"], with_pip=True)


def install(python, *what):
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--constraint", ROOT / "constraints.txt", *what], check=True, timeout=100)


def called(python, name, tmp_path):
    """Return what the writer behind the entry point prints for one period, found and called anew."""
    code = FIND_AND_CALL.format(name=name)
    found = subprocess.run(
        [python, "-I", "-X", "utf8", "-W", "error", "-c", code],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout.partition("---\n")[2]


def test_it_keeps_the_contract():
    check_writer(writers)
    check_writer(writers, {"prefix": ">"})


def test_it_prints_the_headline_of_each_key(capsys):
    (writer,) = writers(RunOptions(plugin_options={"prefix": ">"}))
    stats = {"a": summarize([1.0, 2.0]), "b": summarize([4.0])}
    writer.write_stats("3DBall", PeriodSummaries(example_period(step=7), stats), 7)
    assert capsys.readouterr().out == "> 3DBall step 7 a = 1.5\n> 3DBall step 7 b = 4\n"


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(ValueError, match=r"no option \['prefiks'\]; it knows prefix"):
        writers(RunOptions(plugin_options={"prefiks": ">"}))


def test_in_a_fresh_environment_it_is_found_and_called(tmp_path):
    environment = new_environment(tmp_path / "venv", ["plugins/api", "plugins/example"])
    expected = "[example] 3DBall step 7 Environment/Cumulative Reward = 3\n"
    assert called(environment, "example", tmp_path) == expected


@pytest.mark.parametrize("form", ["pyproject.toml", "setup.py"])
def test_the_plugin_of_the_readme_works_in_both_forms(environment, tmp_path, form):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("my_plugin.py", form):
        (project / name).write_text(readme_block(name), encoding="utf-8")
    install(environment, "-e", project)
    expected = "3DBall reached 3 at step 7, over 3 episodes\n"
    assert called(environment, "my-plugin", tmp_path) == expected


def test_the_test_of_the_readme_passes(tmp_path):
    for name in ("my_plugin.py", "test_my_plugin.py"):
        (tmp_path / name).write_text(readme_block(name), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null"]
    found = subprocess.run(
        [*command, "--rootdir", tmp_path, "test_my_plugin.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "2 passed" in found.stdout, textwrap.indent(found.stdout + found.stderr, "  ")
