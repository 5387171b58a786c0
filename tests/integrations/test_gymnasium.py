"""Gymnasium as a source: what its own statistics say of the same episodes is what is reported."""

from __future__ import annotations

import copy
import logging
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import Autoreset, RecordEpisodeStatistics
from gymnasium.wrappers import vector as vector_wrappers

from stats_aggregator_client import SettingError, StatsAggregationMethod, StatsClient
from stats_aggregator_client.integrations.episodes import LENGTH, RETURN, SECONDS
from stats_aggregator_client.integrations.gymnasium import ReportEpisodes, ReportVectorEpisodes
from tests.integrations.counting import Counting
from tests.integrations.snippets import run_snippet, snippets
from tests.meta.repository import ROOT
from tests.system.daemons import Daemon
from tests.worker_client.peer import Peer

NUM_ENVS, NUM_STEPS, SEED = 4, 400, 11
MODES = pytest.mark.parametrize("mode", AutoresetMode, ids=lambda mode: mode.name)


def maker(name: str, **options: Any) -> Callable[[], gymnasium.Env]:
    """Return what makes an environment that keeps Gymnasium's own statistics of itself."""
    return lambda: RecordEpisodeStatistics(gymnasium.make(name, **options))


def play(envs: Any, mode: AutoresetMode, num_steps: int = NUM_STEPS) -> list[tuple[float, int]]:
    """Play at random; return the return and length of each episode as Gymnasium's statistics say them."""
    envs.reset(seed=SEED)
    envs.action_space.seed(SEED)
    found = []
    for _ in range(num_steps):
        *_, terminated, truncated, infos = envs.step(envs.action_space.sample())
        said = infos.get("final_info", {}) if mode is AutoresetMode.SAME_STEP else infos
        ended = np.flatnonzero(said.get("_episode", ()))
        found += [(float(said["episode"]["r"][index]), int(said["episode"]["l"][index])) for index in ended]
        done = terminated | truncated
        if mode is AutoresetMode.DISABLED and done.any():
            envs.reset(options={"reset_mask": done})
    return found


def stored(peer: Peer, client: StatsClient, category: str = "play") -> tuple[list[tuple[float, int]], int]:
    """Return the episodes and the number of steps that were reported."""
    assert client.flush(20)
    values = peer.stored.values(category)
    assert len(values[SECONDS]) == len(values[RETURN])
    assert min(values[SECONDS]) > 0
    episodes = list(zip(values[RETURN], map(int, values[LENGTH]), strict=True))
    return episodes, sum(batch.steps for batch in peer.stored.batches(category))


def steps_played(mode: AutoresetMode, num_episodes: int, num_steps: int = NUM_STEPS) -> tuple[int, int]:
    """Return the least and the most steps: in NEXT_STEP one in each env after an episode is its reset."""
    total = NUM_ENVS * num_steps
    resets = num_episodes if mode is AutoresetMode.NEXT_STEP else 0
    return total - resets, total - max(resets - NUM_ENVS, 0)


@MODES
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CartPole-v1", {}),
        ("CartPole-v1", {"max_episode_steps": 9}),
        ("Pendulum-v1", {"max_episode_steps": 30}),
    ],
    ids=["terminated", "both", "truncated"],
)
def test_a_vector_reports_the_episodes_that_each_env_counted(
    peer: Peer, client: StatsClient, mode: AutoresetMode, name: str, options: dict[str, Any]
) -> None:
    envs = SyncVectorEnv([maker(name, **options)] * NUM_ENVS, autoreset_mode=mode)
    began = time.monotonic()
    expected = play(ReportVectorEpisodes(envs, "play", client=client), mode)
    ended = time.monotonic()
    episodes, steps = stored(peer, client)
    # Episodes of one env come one after the other.
    assert sum(peer.stored.values("play")[SECONDS]) <= NUM_ENVS * (ended - began)
    assert episodes == expected
    assert len(expected) > NUM_ENVS
    least, most = steps_played(mode, len(expected))
    assert least <= steps <= most


@MODES
def test_a_vector_of_processes_reports_the_same(peer: Peer, client: StatsClient, mode: AutoresetMode) -> None:
    envs = AsyncVectorEnv([maker("CartPole-v1")] * 2, context="spawn", autoreset_mode=mode)
    expected = play(ReportVectorEpisodes(envs, "play", client=client), mode, 150)
    envs.close()
    assert stored(peer, client)[0] == expected
    assert len(expected) > 2


@pytest.mark.parametrize(
    "made",
    [
        {"vectorization_mode": "sync"},
        {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": "SameStep"}},
        {"vectorization_mode": "vector_entry_point"},
    ],
    ids=["NEXT_STEP", "SAME_STEP", "written as a vector"],
)
def test_the_vectors_own_statistics_say_the_same(
    peer: Peer, client: StatsClient, made: dict[str, Any]
) -> None:
    envs = gymnasium.make_vec("CartPole-v1", NUM_ENVS, **made)
    recorded = vector_wrappers.RecordEpisodeStatistics(
        ReportVectorEpisodes(envs, "play", client=client), 10_000
    )
    play(recorded, AutoresetMode.NEXT_STEP)
    episodes, _ = stored(peer, client)
    assert episodes == list(zip(recorded.return_queue, recorded.length_queue, strict=True))
    assert len(episodes) == recorded.episode_count > NUM_ENVS


@pytest.mark.parametrize("resets_itself", [False, True])
def test_one_env_reports_what_it_counted(peer: Peer, client: StatsClient, resets_itself: bool) -> None:
    made = maker("CartPole-v1", max_episode_steps=20)()
    env = ReportEpisodes(Autoreset(made) if resets_itself else made, "play", client=client)
    env.reset(seed=SEED)
    env.action_space.seed(SEED)
    expected, steps = [], 0
    for _ in range(NUM_STEPS):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        steps += 1
        if terminated or truncated:
            expected.append((float(info["episode"]["r"]), info["episode"]["l"]))
            if resets_itself:
                env.step(0)
            else:
                env.reset()
    assert stored(peer, client) == (expected, steps)
    assert len(expected) > 10


def test_an_episode_that_is_broken_off_is_not_reported(peer: Peer, client: StatsClient) -> None:
    env = ReportEpisodes(Counting(5), "play", client=client)
    for num_steps in (3, 5, 2, 5):
        env.reset()
        for _ in range(num_steps):
            env.step(0)
    env.step(0)  # after the end and without a reset: no step of any episode
    assert stored(peer, client) == ([(5.0, 5), (5.0, 5)], 15)


def test_an_env_of_a_vector_that_is_over_counts_nothing_until_its_reset(
    peer: Peer, client: StatsClient
) -> None:
    made = AsyncVectorEnv([lambda: Counting(2), lambda: Counting(5)], autoreset_mode=AutoresetMode.DISABLED)
    envs = ReportVectorEpisodes(made, "play", client=client)
    for _ in range(2):
        envs.reset()
        for _ in range(6):
            envs.step(np.zeros(2, int))
    envs.close()
    assert stored(peer, client) == ([(2.0, 2), (5.0, 5)] * 2, 14)


@MODES
def test_scalars_in_info_are_reported_each_once(peer: Peer, client: StatsClient, mode: AutoresetMode) -> None:
    lengths = [2, 3, 5]
    envs = ReportVectorEpisodes(
        SyncVectorEnv([lambda length=length: Counting(length) for length in lengths], autoreset_mode=mode),
        "play",
        client=client,
        step_keys={"speed": StatsAggregationMethod.MAX, "sometimes": StatsAggregationMethod.SUM},
        episode_keys=["success", "name", "nobody has this"],
    )
    envs.reset()
    for _ in range(60):
        *_, terminated, truncated, _ = envs.step(np.zeros(len(lengths), int))
        if mode is AutoresetMode.DISABLED and (terminated | truncated).any():
            envs.reset(options={"reset_mask": terminated | truncated})
    episodes, steps = stored(peer, client)
    values = peer.stored.values("play")
    assert len(values["Info/speed"]) == steps
    assert min(values["Info/speed"]) == 1.0, "what reset puts there is no step's"
    assert values["Info/sometimes"].count(2.0) == len(values["Info/sometimes"]) > 0
    assert sorted(values["Info/success"]) == sorted(float(length % 2) for _, length in episodes)
    per_env = [60 if mode is not AutoresetMode.NEXT_STEP else 60 - 60 // (length + 1) for length in lengths]
    assert steps == sum(per_env)
    assert "Info/name" not in values
    assert client.statistics().not_numbers == len(episodes)


@pytest.mark.parametrize("context", ["spawn", "fork"])
def test_workers_of_a_vector_pool_into_what_their_envs_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str
) -> None:
    expected = {}
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl") as daemon:
        monkeypatch.setenv("STATS_AGGREGATOR_ADDRESS", daemon.address)
        monkeypatch.setenv("STATS_AGGREGATOR_RUN_ID", "run")
        for mode in AutoresetMode:
            make = maker("CartPole-v1", max_episode_steps=25)
            fns = [lambda make=make, mode=mode: ReportEpisodes(make(), mode.name)] * 2
            envs = AsyncVectorEnv(fns, context=context, autoreset_mode=mode)
            expected[mode.name] = play(envs, mode, 200)
            envs.close()
        workers = {worker["worker"] for worker in daemon.status()["workers"]}
        assert daemon.stop() == 0
        lines = {line["category"]: line for line in daemon.summaries("run")}
    assert lines.keys() == expected.keys()
    for mode, episodes in expected.items():
        found = lines[mode]["stats"]
        returns, lengths = zip(*episodes, strict=True)
        for key, values in ((RETURN, returns), (LENGTH, lengths)):
            assert (found[key]["num"], found[key]["sum"]) == (len(values), sum(values))
            assert (found[key]["min"], found[key]["max"]) == (min(values), max(values))
            assert found[key]["p95"] == np.percentile(values, 95, method="inverted_cdf")
        assert lines[mode]["workers_reporting"] == 2
        resets = len(episodes) if mode == "NEXT_STEP" else 0
        assert 400 - resets <= lines[mode]["step"] <= 400 - max(resets - 2, 0)
    assert len(workers) >= 2


def test_nothing_that_an_env_returns_is_changed(client: StatsClient) -> None:
    def answers(wrap: Callable[[Any], Any]) -> list[Any]:
        envs = wrap(gymnasium.make_vec("CartPole-v1", 2, "sync", wrappers=[RecordEpisodeStatistics]))
        found = [envs.reset(seed=SEED)]
        for step in range(60):
            *most, infos = envs.step(np.array([step % 2, 0]))
            infos.get("episode", {}).pop("t", None)
            infos.get("episode", {}).pop("_t", None)
            found.append((*most, infos))
        return found

    plain = answers(lambda envs: envs)
    assert repr(answers(lambda envs: ReportVectorEpisodes(envs, "play", client=client))) == repr(plain)
    assert any("episode" in infos for *_, infos in plain)


@pytest.mark.parametrize("vector", [False, True])
def test_an_env_that_never_ends_an_episode_is_said_once(
    client: StatsClient, caplog: pytest.LogCaptureFixture, vector: bool
) -> None:
    env: Any
    if vector:
        made = SyncVectorEnv([lambda: Counting(3), lambda: Counting(10**9)])
        env, action = ReportVectorEpisodes(made, "play", client=client, silence_s=0.0), np.zeros(2, int)
        who = "environment 1"
    else:
        env, action = ReportEpisodes(Counting(10**9), "play", client=client, silence_s=0.0), 0
        who = "an environment"
    env.reset()
    for _ in range(3000):
        env.step(action)
    said = [record.message for record in caplog.records if "no episode" in record.message]
    assert len(said) == 1
    assert said[0].startswith(f"{who} of 'play' has finished no episode in 0 minutes and 1024 steps")


def test_an_env_that_was_idle_for_long_is_not_called_silent(
    client: StatsClient, caplog: pytest.LogCaptureFixture
) -> None:
    env = ReportEpisodes(Counting(600), "play", client=client, silence_s=0.0)
    for _ in range(3):
        env.reset()
        for _ in range(600):
            env.step(0)
    assert [record for record in caplog.records if "no episode" in record.message] == []


def test_an_env_that_returns_what_is_no_reward_hurts_nobody(
    client: StatsClient, caplog: pytest.LogCaptureFixture
) -> None:
    env = ReportEpisodes(Counting(3, reward="much"), "play", client=client)
    env.reset()
    assert [env.step(0)[1] for _ in range(3)] == ["much"] * 3
    assert len([record for record in caplog.records if "was not reported: ValueError" in record.message]) == 1


def test_where_the_environments_settings_are_wrong_the_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STATS_AGGREGATOR_ADDRESS", "nowhere")
    monkeypatch.setattr("stats_aggregator_client.default._client", None)
    env = ReportEpisodes(Counting(3), "play")
    env.reset()
    assert [env.step(0)[2] for _ in range(3)] == [False, False, True]
    (said,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert said.startswith("no stats are sent: STATS_AGGREGATOR_ADDRESS is 'nowhere'")


def test_it_is_copied_pickled_and_made_again_as_other_wrappers_are(peer: Peer, client: StatsClient) -> None:
    env = ReportEpisodes(gymnasium.make("CartPole-v1"), "play", client=client, step_keys=["speed"])
    env.reset(seed=SEED)
    env.step(0)
    twin = copy.deepcopy(env)
    assert repr(env.step(1)) == repr(twin.step(1))
    again = gymnasium.make(env.spec)
    assert isinstance(again, ReportEpisodes)
    without_client = pickle.loads(pickle.dumps(ReportEpisodes(Counting(3), "play")))
    assert isinstance(without_client, ReportEpisodes)
    with pytest.raises(TypeError, match="'play' was given a client, which stays in its process"):
        pickle.dumps(env)
    assert client.flush(20)
    assert sum(batch.steps for batch in peer.stored.batches("play")) == 3


def test_making_one_connects_to_nobody(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATS_AGGREGATOR_ADDRESS", peer.address)
    monkeypatch.setattr("stats_aggregator_client.default._client", None)
    ReportEpisodes(Counting(3), "play").close()
    from stats_aggregator_client import default

    assert default._client is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"category": ""}, "category is ''"),
        ({"category": "play", "step_keys": "speed"}, "step_keys is 'speed'; several keys are expected"),
        ({"category": "play", "episode_keys": ["a\n"]}, "episode_keys is 'Info/a"),
        (
            {"category": "play", "step_keys": {"goals": "sum"}},
            "step_keys is 'sum'; it may be StatsAggregationMethod's AVERAGE",
        ),
    ],
)
def test_settings_that_cannot_be_right_are_told_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match="^" + said.replace("(", r"\(")):
        ReportEpisodes(Counting(3), **options)


@pytest.mark.parametrize("there", [True, False])
def test_it_says_whether_all_was_delivered(peer: Peer, there: bool) -> None:
    address = peer.address if there else "tcp://127.0.0.1:9"
    with StatsClient(address, close_timeout_s=0.0, flush_interval_s=3600) as client:
        env = ReportEpisodes(Counting(3), "play", client=client)
        assert env.deliver_stats(), "nothing was reported yet"
        env.reset()
        for _ in range(3):
            env.step(0)
        # Where no daemon was ever there it is no hour, but a second.
        assert env.deliver_stats(3600) is there


PAGE = "worker_client/docs/gymnasium.md"


@pytest.mark.parametrize("number", range(2))
def test_the_pages_snippets_run_as_they_stand_there(tmp_path: Path, number: int) -> None:
    blocks = snippets(PAGE)
    assert len(blocks) == 2
    lines = run_snippet(blocks[number], tmp_path)
    assert {line["category"] for line in lines} == {"CartPole"}
    (steps,) = {line["step"] for line in lines[-1:]}
    returns = sum(line["stats"][RETURN]["sum"] for line in lines if RETURN in line["stats"])
    assert 0 < returns <= steps, "CartPole rewards each step with 1"
    assert len((ROOT / PAGE).read_text().splitlines()) <= 60
