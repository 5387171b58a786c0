"""Plugins: what is found, what is selected, and what a bad one looks like."""

import importlib

import pytest

from stats_aggregator.dispatch.plugins import Selection, build_path, discover, load, make_writers
from stats_aggregator.errors import RegistrationFault, UnknownWriter
from stats_aggregator_api import ADAPTER_GROUP, ML_AGENTS_STATS_WRITER, CheckpointSettings, RunOptions
from tests.aggregator.writers_process import install

WRITER = """
from stats_aggregator_api import StatsWriter
class Writer(StatsWriter):
    def __init__(self, options): self.options = options
    def write_stats(self, category, values, step): pass
def writers(options): return [Writer(options)]
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A directory on the path, where plugins are installed."""
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    yield directory
    importlib.invalidate_caches()


def by_key(*arguments):
    return {plugin.entry.key: plugin for plugin in discover(Selection(*arguments))}


def states(*arguments):
    return {key: plugin.entry.state for key, plugin in by_key(*arguments).items()}


def test_by_default_console_tensorboard_and_third_parties_run_and_our_others_do_not(site):
    install(site, "mine", WRITER)
    found = states()
    assert {name: found[name] for name in ("console", "tensorboard", "csv", "jsonl", "mine")} == {
        "console": "selected", "tensorboard": "selected", "csv": "disabled", "jsonl": "disabled",
        "mine": "selected",
    }  # fmt: skip


def test_a_list_is_exact_and_add_and_no_adjust_either(site):
    install(site, "mine", WRITER)

    def selected(*arguments):
        return {key for key, state in states(*arguments).items() if state == "selected"} - {"example"}

    assert selected(("csv",)) == {"csv"}
    assert selected((), ("csv",)) == {"console", "tensorboard", "mine", "csv"}
    assert selected((), (), ("console", "mine")) == {"tensorboard"}
    assert selected(("csv", "mine"), ("jsonl",), ("mine",)) == {"csv", "jsonl"}


@pytest.mark.parametrize(
    ("option", "place"), [("--writer", "writers"), ("--add-writer", "add"), ("--no-writer", "remove")]
)
def test_an_unknown_name_is_answered_with_the_option_the_nearest_and_the_known(option, place):
    with pytest.raises(
        UnknownWriter, match=f"^{option} 'tensorbord' .*mean 'tensorboard'.*console, csv"
    ) as raised:
        discover(Selection(**{place: ("tensorbord",)}))
    assert {"console", "csv", "jsonl", "tensorboard"} <= set(raised.value.known)


def test_an_entry_tells_where_it_comes_from(site):
    install(site, "mine", WRITER, distribution="My_Writers")
    entry = by_key()["mine"].entry
    assert (entry.distribution, entry.version, entry.value) == (
        "my-writers",
        "1.0",
        "My_Writers_mine:writers",
    )
    assert entry.group == "stats_aggregator.stats_writer"
    assert str(entry) == "mine (my-writers 1.0)"


def test_a_disabled_plugin_says_why_and_is_not_imported(site):
    install(site, "mine", "raise AssertionError('imported')")
    plugin = load(by_key((), (), ("mine",))["mine"])
    assert (plugin.entry.state, plugin.entry.why, plugin.register) == (
        "disabled",
        "named by --no-writer",
        None,
    )


def test_the_same_distribution_twice_on_the_path_is_one_plugin(site, tmp_path, monkeypatch):
    install(site, "mine", WRITER)
    install(tmp_path / "again", "mine", WRITER)
    monkeypatch.syspath_prepend(tmp_path / "again")
    assert [key for key in by_key() if key.startswith("mine")] == ["mine"]


def test_two_distributions_with_one_name_are_two_plugins_and_the_clash_is_said(site):
    install(site, "mine", WRITER, distribution="b-writers")
    install(site, "mine", WRITER, distribution="a-writers")
    found = by_key()
    assert found["mine"].entry.distribution == "a-writers"
    assert found["mine@b-writers"].entry.why == "a-writers has a writer of this name too"
    assert states(("mine",))["mine@b-writers"] == "selected"


def test_a_stranger_with_the_name_of_one_of_ours_does_not_take_its_place(site):
    install(site, "csv", WRITER, distribution="a-writers")
    found = by_key()
    assert found["csv"].entry.distribution == "stats-aggregator-writers"
    assert found["csv@a-writers"].entry.state == "selected"


def test_a_loaded_plugin_makes_writers_for_a_run(site):
    install(site, "mine", WRITER)
    plugin = load(by_key()["mine"])
    assert plugin.entry.state == "loaded"
    options = RunOptions(checkpoint_settings=CheckpointSettings(run_id="r"), plugin_options={"a": 1})
    (writer,) = make_writers(plugin, options)
    assert writer.options is options
    assert writer.options.checkpoint_settings.resume is True


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("raises", "raise TypeError('made for another version')", "TypeError: made for another version"),
        ("missing", "import not_installed_anywhere", "ModuleNotFoundError: No module named"),
        ("nothing", "", "AttributeError: module"),
        ("number", "writers = 7", "is 7, no function that takes RunOptions"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_failed_and_says_why(site, name, source, why):
    install(site, name, source)
    entry = load(by_key()[name]).entry
    assert entry.state == "failed"
    assert why in entry.why
    assert entry.distribution == f"{name}-plugin"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_loading_is_not_swallowed(site, error):
    install(site, f"stops{error.__name__}", f"raise {error.__name__}")
    with pytest.raises(error):
        load(by_key()[f"stops{error.__name__}"])


@pytest.mark.parametrize("returned", ["None", "(1, 2)", "[object()]", "iter([])"])
def test_a_registration_that_returns_no_list_of_writers_is_a_fault(site, returned):
    install(site, "wrong", f"def writers(options): return {returned}", distribution=f"wrong{len(returned)}")
    plugin = load(by_key()["wrong"])
    with pytest.raises(
        RegistrationFault, match=rf"wrong{len(returned)}_wrong:writers returned .*StatsWriter"
    ):
        make_writers(plugin, RunOptions())


def test_a_plugin_of_ml_agents_without_an_adapter_is_listed_with_what_to_install(site):
    install(site, "theirs", WRITER, group=ML_AGENTS_STATS_WRITER)
    entry = load(by_key()["theirs"]).entry
    assert (entry.state, entry.why) == ("failed", "needs an adapter: install stats-aggregator-mlagents")
    assert states((), (), ("theirs",))["theirs"] == "disabled"


def test_a_plugin_of_ml_agents_is_made_by_the_adapter(site):
    install(site, "theirs", "raise AssertionError('not ours to import')", group=ML_AGENTS_STATS_WRITER)
    adapter = (
        WRITER
        + """
from stats_aggregator_api import Adapter
class Adapts(Adapter):
    def load(self, entry_point): return lambda options: [Writer((entry_point.name, options))]
    def build_path(self): return "/names"
"""
    )
    target = "adapter_mlagents_stats_writer:Adapts"
    install(site, ML_AGENTS_STATS_WRITER, adapter, group=ADAPTER_GROUP, distribution="adapter", target=target)
    plugin = load(by_key()["theirs"])
    assert plugin.entry.state == "loaded"
    options = RunOptions()
    (writer,) = make_writers(plugin, options)
    assert writer.options == ("theirs", options)
    assert build_path() == "/names"


def test_a_plugin_that_its_adapter_cannot_load_is_skipped(site):
    install(site, "theirs", "", group=ML_AGENTS_STATS_WRITER)
    adapter = """
from stats_aggregator_api import Adapter
class Fails(Adapter):
    def load(self, entry_point): raise ImportError(f"{entry_point.name} needs more")
    def build_path(self): return None
"""
    target = "failing_mlagents_stats_writer:Fails"
    install(site, ML_AGENTS_STATS_WRITER, adapter, group=ADAPTER_GROUP, distribution="failing", target=target)
    entry = load(by_key()["theirs"]).entry
    assert (entry.state, entry.why) == ("failed", "ImportError: theirs needs more")


def test_a_plugin_in_both_groups_runs_once_by_our_contract(site):
    install(site, "both", WRITER)
    info = site / "both_plugin-1.0.dist-info" / "entry_points.txt"
    info.write_text(info.read_text() + f"[{ML_AGENTS_STATS_WRITER}]\nboth = elsewhere:writers\n")
    found = by_key()
    assert load(found["both"]).entry.state == "loaded"
    assert found["both@both-plugin"].entry.state == "disabled"
    assert "registered in stats_aggregator.stats_writer too" in found["both@both-plugin"].entry.why
