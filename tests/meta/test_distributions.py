"""Each distribution has what an index and a type checker look for, and all go together."""

import ast
import re
import sys
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.meta.repository import DISTRIBUTIONS, ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONSTRAINTS = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
]
# Written so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")

each_distribution = pytest.mark.parametrize("directory", DISTRIBUTIONS, ids=lambda path: path.name)


def project(directory):
    return tomllib.loads((directory / "pyproject.toml").read_text())["project"]


def test_they_are_the_ones_of_the_design():
    names = {project(directory)["name"] for directory in DISTRIBUTIONS}
    assert names >= {
        "stats-aggregator",
        "stats-aggregator-api",
        "stats-aggregator-client",
        "stats-aggregator-writers",
        "stats-aggregator-example",
        "stats-aggregator-mlagents",
        "stats-aggregator-wandb",
    }


@each_distribution
def test_its_metadata_says_what_it_is(directory):
    found = project(directory)
    assert found["license"] == "Apache-2.0"
    assert found["requires-python"] == ">=3.10"
    assert found["description"]
    readme = (directory / found["readme"]).read_text()
    assert readme.startswith("# ")
    assert len(readme.splitlines()) > 10


@each_distribution
def test_its_package_is_typed_and_named_like_it(directory):
    (package,) = (path for path in (directory / "src").iterdir() if (path / "__init__.py").exists())
    assert package.name == project(directory)["name"].replace("-", "_")
    assert (package / "py.typed").read_text() == ""


@each_distribution
def test_it_needs_its_siblings_in_its_own_version(directory):
    found = project(directory)
    siblings = [Requirement(line) for line in found["dependencies"] if line.startswith("stats-aggregator")]
    # A plugin author's package goes with any version of the contract.
    if found["name"] != "stats-aggregator-example":
        assert [str(sibling.specifier) for sibling in siblings] == [f"=={found['version']}"] * len(siblings)


def imported(package):
    """Return the top names that a package imports, anywhere in it.

    An integration imports what it is named after: who uses it has that.
    """
    found = set()
    for path in package.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
        own = {path.stem} if path.parent.name == "integrations" else set()
        found |= {name.partition(".")[0] for name in names} - own
    return found - sys.stdlib_module_names - {package.name}


@each_distribution
def test_it_says_that_it_needs_what_it_imports(directory):
    found = project(directory)
    extras = [line for lines in found.get("optional-dependencies", {}).values() for line in lines]
    needed = {Requirement(line).name.replace("-", "_") for line in [*found["dependencies"], *extras]}
    needed = {{"pyzmq": "zmq", "protobuf": "google"}.get(name, name) for name in needed}
    (package,) = (path for path in (directory / "src").iterdir() if (path / "__init__.py").exists())
    assert imported(package) - needed == set()


def test_all_have_one_version_and_the_changelog_has_it():
    (version,) = {project(directory)["version"] for directory in DISTRIBUTIONS}
    sources = [path.read_text() for directory in DISTRIBUTIONS for path in directory.glob("src/*/*.py")]
    said = [found for text in sources for found in re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)]
    assert said
    assert set(said) == {version}
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_are_pins_and_name_no_index():
    pin = re.compile(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*(; python_version (>=|<) '3\.\d+')?")
    assert [line for line in CONSTRAINTS if not pin.fullmatch(line)] == []
    names = [line.split("==")[0] for line in CONSTRAINTS]
    assert names == sorted(names)


def test_everything_that_is_installed_here_is_pinned():
    requirements = [Requirement(line) for line in CONSTRAINTS]
    pins = {
        canonicalize_name(requirement.name): str(requirement.specifier)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }
    installed = {canonicalize_name(found.metadata["Name"]): f"=={found.version}" for found in distributions()}
    strangers = {
        name: version for name, version in installed.items() if not name.startswith("stats-aggregator")
    }
    assert {name: version for name, version in strangers.items() if pins.get(name) != version} == {}


def test_nothing_is_left_unfinished():
    kinds = {".py", ".md", ".toml", ".yaml", ".service", ".txt"}
    folders = [ROOT / name for name in ("aggregator", "deploy", "plugins", "tests", "worker_client")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in kinds]
    files += [path for path in ROOT.iterdir() if path.suffix in kinds]
    assert len(files) > 100
    assert [path for path in files if UNFINISHED.search(path.read_text())] == []


def test_the_licence_is_the_one_that_is_named():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
