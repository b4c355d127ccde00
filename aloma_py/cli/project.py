"""``aloma-py create`` and ``aloma-py build``: a project's folder, and whether all in it can be read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import rich_click as click

from aloma_py.cli.options import Common, pass_common
from aloma_py.cli.output import emit_json

FILES: Final = {
    "steps/welcome.js": """\
// A step in JavaScript: it runs when a task's data matches its condition.
export const condition = { person: { name: String, mail: /@/ }, welcome: null };

export const content = async () => {
  data.person.name = lib.names.tidy(data.person.name);
  data.welcome = `Welcome, ${data.person.name}!`;
  console.log('welcomed', data.person.mail);
};
""",
    "python/close.py": """\
\"\"\"A step in Python, on the same tasks.\"\"\"

from aloma_py import step


@step(condition={"person": dict, "welcome": str})
def close(data, task):
    task.complete({"said": data.welcome})
""",
    "libraries/names.js": """\
const tidy = (name) => name.trim().split(/\\s+/).map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');

module.exports = { tidy };
""",
    "welcome.scenario.yaml": """\
steps: [steps/, python/]
libraries: {names: libraries/names.js}
scenarios:
  - name: somebody new is welcomed
    task: {person: {name: "  ada lovelace ", mail: ada@example.com}}
    expect:
      state: done
      steps: [welcome, close]
      result: {said: "Welcome, Ada Lovelace!"}
  - name: without a mail address nothing happens
    task: {person: {name: Ada}}
    expect: {state: attention, steps: []}
""",
    "deploy.yaml": """\
# aloma-py deploy deploy.yaml --dry-run
workspaces:
  - name: NAME
    tags: [example]
    steps:
      - syncPath: steps/        # Python steps are code of the server: aloma-py serve python --workspace NAME
    libraries:
      - syncPath: libraries/
    webhooks:
      - {name: people, description: people who sign up}
""",
    ".github/workflows/check.yml": """\
name: check
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install "$ALOMA_PY"
        env:
          ALOMA_PY: ${{ vars.ALOMA_PY }}  # where your aloma-py comes from: a wheel's address, or git+https://…
      - run: aloma-py build
      - run: aloma-py test .
""",
    ".gitignore": "aloma.db*\n__pycache__/\n",
    "README.md": """\
# NAME

    aloma-py build                 # can everything be read?
    aloma-py test .                # the scenarios
    aloma-py run steps python --library names=libraries/names.js -d '{"person": {"name": "ada", "mail": "a@b.c"}}'

While you write:

    aloma-py dev steps python --library names=libraries/names.js

For good: the server has the Python steps, and the rest is deployed to it.

    aloma-py serve python --workspace NAME &
    aloma-py deploy deploy.yaml
""",
}

ONE: Final = {"steps": "step", "libraries": "library", "workspaces": "workspace", "scenarios": "scenario"}

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@click.command()
@click.argument("name", metavar="NAME")
@pass_common
def create(common: Common, name: str) -> None:
    """Make a folder with steps in both languages, a library, scenarios, a deploy.yaml, and a CI file."""
    from aloma_py.errors import InputError

    folder = Path(name)
    called = folder.absolute().name if name not in ("..", "/") else ""
    if not _NAME.fullmatch(called):
        raise InputError(
            f"{called or name!r} is no name for a project: letters, digits, '.', '_' and '-' were expected"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is there already, and is not an empty folder")
    for place, text in FILES.items():
        file = folder / place
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("NAME", called), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{str(file)!r} cannot be written: {error.strerror}") from error
    if common.as_json:
        emit_json({"folder": str(folder.absolute()), "files": list(FILES)})
        return
    click.echo(f"made {folder} with {len(FILES)} files; now:\n  cd {folder}\n  aloma-py build\n  aloma-py test .")


@click.command()
@click.argument("folder", metavar="[FOLDER]", default=".", type=click.Path(path_type=Path))
@pass_common
def build(common: Common, folder: Path) -> None:
    """Read everything in a project, and say what cannot be read.

    Steps in steps/ and python/, libraries in libraries/ (each file or folder there is a namespace), deploy.yaml, and
    every *.scenario.yaml. Nothing is run. Variables that deploy.yaml takes from the environment need not be set.
    """
    told = read_project(folder)
    if common.as_json:
        emit_json(told)
        return
    parts = (f"{number} {ONE[word] if number == 1 else word}" for word, number in told.items() if number)
    click.echo(f"all can be read: {', '.join(parts)}")


def read_project(folder: Path) -> dict[str, Any]:
    """How many ``steps``, ``libraries``, ``workspaces`` and ``scenarios`` there are; raises for what cannot be read."""
    from aloma_py.deploy.reading import read_deployment
    from aloma_py.errors import InputError
    from aloma_py.steps import load_steps
    from aloma_py.testing.scenario import load_scenarios

    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}")
    told = dict.fromkeys(ONE, 0)
    spaces = libraries_of(folder / "libraries")
    places = [str(folder / name) for name in ("steps", "python") if (folder / name).is_dir()]
    if places:
        told["steps"] = len(load_steps(places, libraries=spaces).steps)
        told["libraries"] = len(spaces)
    if (folder / "deploy.yaml").is_file():
        told["workspaces"] = len(read_deployment(folder / "deploy.yaml", _AnyName(os.environ)).workspaces)
    for file in sorted(folder.rglob("*.scenario.yaml")):
        told["scenarios"] += len(load_scenarios(file))
    if not any(told.values()):
        raise InputError(f"there is nothing to read in {str(folder)!r}: steps/, deploy.yaml or *.scenario.yaml")
    return told


def libraries_of(folder: Path) -> dict[str, str]:
    """The libraries of a folder: each file or folder in it is a namespace."""
    if not folder.is_dir():
        return {}
    places = sorted(place for place in folder.iterdir() if not place.name.startswith((".", "_")))
    return {place.stem: str(place) for place in places}


class _AnyName(dict[str, str]):
    """An environment in which every variable is set, to something."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"value of {name}"
