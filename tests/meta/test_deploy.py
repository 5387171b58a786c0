"""The files in deploy/ name commands that run, options that exist and directories that agree."""

import configparser
import re
import shlex
import signal
import subprocess
import sys
import urllib.request

import pytest
import yaml

from stats_aggregator.periods.every import parse_span_ns
from stats_aggregator.server.config import DEFAULT_BIND, load_config
from stats_aggregator.server.server import EXIT_LEFT
from tests.meta.repository import BIN, DISTRIBUTIONS, ROOT, WAIT_S, user_environment
from tests.meta.serving import Serving
from tests.system.daemons import wait_until

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def instructions():
    """The Dockerfile as (instruction, rest) pairs."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


DOCKERFILE = instructions()


def only(instruction):
    (found,) = (rest for name, rest in DOCKERFILE if name == instruction)
    return found


def exec_form(text):
    """The words of a command in JSON form."""
    return yaml.safe_load(text[text.index("[") :])


class TestDockerfile:
    def test_what_is_copied_exists(self):
        sources = [word for name, rest in DOCKERFILE if name == "COPY" for word in rest.split()[:-1]]
        assert sources
        assert [source for source in sources if not (ROOT / source).exists()] == []

    def test_what_is_installed_was_copied_and_is_all_that_is_published(self):
        copied = {}
        for name, rest in DOCKERFILE:
            if name == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    copied[target + source if target.endswith("/") else target] = source
        (install,) = (
            shlex.split(rest) for name, rest in DOCKERFILE if name == "RUN" and "pip install" in rest
        )
        paths = [word.partition("[")[0] for word in install if word.startswith("/")]
        assert [path for path in paths if path not in copied] == []
        # A daemon runs every plugin that is installed: that of W&B is for those who want it.
        left_out = {"plugins/example", "plugins/wandb"}
        published = {str(path.relative_to(ROOT)) for path in DISTRIBUTIONS} - left_out
        assert {copied[path] for path in paths} == published | {"constraints.txt"}
        assert "/src/aggregator[demo]" in install

    def test_what_is_copied_is_sent_to_the_builder(self):
        sent = [
            line[1:]
            for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
            if line[0] == "!"
        ]
        sources = {word for name, rest in DOCKERFILE if name == "COPY" for word in rest.split()[:-1]}
        assert {source.split("/")[0] for source in sources} == set(sent)

    def test_it_runs_as_nobody_special_where_it_may_write(self):
        names = [name for name, _ in DOCKERFILE]
        user = only("USER")
        setup = next(rest for name, rest in DOCKERFILE if name == "RUN")
        assert f"useradd --create-home --uid 1000 {user}" in setup
        volumes = exec_form(only("VOLUME"))
        assert f"chown {user}:{user} {' '.join(volumes)}" in setup
        assert names.index("USER") < names.index("ENTRYPOINT")
        variables = dict(word.split("=", 1) for word in only("ENV").split())
        assert [variables["STATS_AGGREGATOR_DATA_DIR"], variables["STATS_AGGREGATOR_RESULTS_DIR"]] == volumes
        assert only("EXPOSE") == DEFAULT_BIND.rpartition(":")[2]

    def test_its_command_serves_and_its_health_check_says_so(self, tmp_path):
        environment = user_environment(tmp_path)
        command = exec_form(only("ENTRYPOINT")) + exec_form(only("CMD"))
        check = exec_form(only("HEALTHCHECK"))
        with Serving(command, tmp_path, environment) as serving:
            environment["STATS_AGGREGATOR_ADDRESS"] = serving.address
            assert subprocess.run(check, env=environment, timeout=WAIT_S).returncode == 0
            code, log = serving.stop()
        assert (code, "ERROR" in log) == (0, False)
        assert subprocess.run(check, env=environment, timeout=WAIT_S).returncode == 1


class TestCompose:
    def test_the_open_daemon_is_not_published(self):
        assert "ports" not in SERVICES["aggregator"]
        published = [port for service in SERVICES.values() for port in service.get("ports", [])]
        assert published == ["127.0.0.1:6006:6006"]

    def test_the_parts_fit_together(self):
        version = re.search(r'version = "(.*)"', (ROOT / "aggregator" / "pyproject.toml").read_text())[1]
        assert {service["image"] for service in SERVICES.values()} == {f"stats-aggregator:{version}"}
        build = SERVICES["aggregator"]["build"]
        assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
        policies = {name: service["pull_policy"] for name, service in SERVICES.items()}
        assert policies == {"aggregator": "build", "worker": "never", "tensorboard": "never"}
        for service in SERVICES.values():
            assert set(service.get("depends_on", {})) <= set(SERVICES)
            mounts = [volume.split(":")[:2] for volume in service.get("volumes", [])]
            assert {name for name, _ in mounts} <= set(COMPOSE["volumes"])
            assert {point for _, point in mounts} <= set(exec_form(only("VOLUME")))
        address = SERVICES["worker"]["environment"]["STATS_AGGREGATOR_ADDRESS"]
        bind = SERVICES["aggregator"]["command"][2]
        assert address == bind.replace("0.0.0.0", "aggregator")

    def test_the_daemon_has_the_time_to_drain(self, tmp_path):
        words = SERVICES["aggregator"]["command"]
        drain_ns = parse_span_ns("--drain-timeout", words[words.index("--drain-timeout") + 1])
        assert parse_span_ns("stop_grace_period", SERVICES["aggregator"]["stop_grace_period"]) >= 2 * drain_ns

    @pytest.mark.parametrize("name", ["worker", "tensorboard"])
    def test_what_is_no_daemon_is_not_asked_for_its_health(self, name):
        assert SERVICES[name]["healthcheck"] == {"disable": True}

    def test_the_daemon_takes_the_stats_of_a_worker_that_ends_when_told(self, tmp_path):
        words = [word.replace(":5757", ":0") for word in SERVICES["aggregator"]["command"]]
        environment = user_environment(tmp_path)
        with Serving([*exec_form(only("ENTRYPOINT")), *words], tmp_path, environment) as serving:
            environment["STATS_AGGREGATOR_ADDRESS"] = serving.address.replace("0.0.0.0", "127.0.0.1")
            worker = subprocess.Popen(
                SERVICES["worker"]["entrypoint"], env=environment, stdout=subprocess.PIPE
            )
            status = ["stats-aggregator", "status", "--json"]
            try:
                wait_until(
                    lambda: (
                        b'"CartPole"' in subprocess.run(status, env=environment, capture_output=True).stdout
                    ),
                    "a worker's category in the daemon's status",
                )
            finally:
                worker.send_signal(signal.SIGTERM)
                totals, _ = worker.communicate(timeout=WAIT_S)
            assert worker.returncode == 0
            assert b'"acknowledged": true' in totals
            assert serving.stop()[0] == 0
        assert list((tmp_path / "results" / "compose" / "CartPole").glob("events.*"))

    def test_tensorboard_shows_the_results(self, tmp_path):
        service = SERVICES["tensorboard"]
        words = [*service["entrypoint"], *service["command"]]
        for there, here in (("/results", str(tmp_path)), ("0.0.0.0", "127.0.0.1"), ("6006", "0")):
            words[words.index(there)] = here
        with subprocess.Popen(
            words, env=user_environment(tmp_path), stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                address = next(
                    found[0] for line in process.stdout if (found := re.search(r"http://\S+", line))
                )
                with urllib.request.urlopen(address, timeout=WAIT_S) as page:
                    assert b"TensorBoard" in page.read()
            finally:
                process.kill()  # it may miss a SIGTERM while it starts


class TestSystemd:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "systemd" / "stats-aggregator.service")
    service = unit["Service"]

    def test_its_command_serves_with_the_annotated_settings(self, tmp_path):
        command = self.service["ExecStart"]
        for there, here in (
            ("/opt/stats-aggregator/bin", str(BIN)),
            ("/etc/stats-aggregator", str(DEPLOY)),
            (f"/var/lib/{self.service['StateDirectory']}", str(tmp_path)),
        ):
            assert there in command
            command = command.replace(there, here)
        with Serving(shlex.split(command), tmp_path, user_environment(tmp_path)) as serving:
            assert serving.stop()[0] == 0
        assert (tmp_path / "data" / "store.sqlite").exists()

    def test_it_is_not_started_again_where_that_cannot_help(self):
        assert self.service["Restart"] == "on-failure"
        refused = subprocess.run(
            [BIN / "stats-aggregator", "serve", "--every", "often"], capture_output=True, timeout=WAIT_S
        )
        assert self.service["RestartPreventExitStatus"] == str(refused.returncode)
        assert self.service["SuccessExitStatus"] == str(EXIT_LEFT)

    def test_the_daemon_has_the_time_to_drain_and_ends_its_writers_itself(self):
        assert int(self.service["TimeoutStopSec"]) * 1e9 >= 2 * load_config({}, {}).drain_timeout_ns
        assert self.service["KillMode"] == "mixed"

    def test_the_files_that_its_head_installs_are_here(self):
        text = (DEPLOY / "systemd" / "stats-aggregator.service").read_text()
        named = re.findall(r"deploy/\S+", text)
        assert len(named) == 2
        assert [name for name in named if not (ROOT / name).is_file()] == []


def test_a_worker_of_the_demo_says_what_it_takes():
    done = subprocess.run(
        [sys.executable, "-m", "stats_aggregator.demo.worker", "--help"], capture_output=True, text=True
    )
    assert "--episodes-per-second" in done.stdout
