"""The site that ``make docs`` makes: whole, its links lead somewhere, and it takes nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pages import DOCS, ROOT

MAKING = ["mkdocs.yml", "mkdocs_hooks.py"]


def make(place: Path) -> subprocess.CompletedProcess[str]:
    """What ``make docs`` does, of the pages in ``place``; the site is in ``place/site``."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=place, capture_output=True, text=True, timeout=50,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False,
    )  # fmt: skip


def copied(place: Path) -> Path:
    """``place``, with what the site is made of."""
    for name in MAKING:
        shutil.copy(ROOT / name, place)
    shutil.copytree(DOCS, place / "docs")
    return place


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = copied(tmp_path_factory.mktemp("docs"))
    done = make(place)
    assert (done.returncode, re.findall("WARNING.*|ERROR.*", done.stderr)) == (0, []), done.stderr
    return place / "site"


def test_the_makefile_makes_it_so() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    # With --quiet, mkdocs 1.6 does not count warnings: nothing would be strict any more.
    assert re.search(r"^docs: \$\(VENV\)/\.ready\n\t@\$\(BIN\)/mkdocs build --strict$", makefile, re.MULTILINE)


def test_it_has_every_page(site: Path) -> None:
    assert {page.stem for page in site.glob("*.html")} == {page.stem for page in DOCS.glob("*.md")} | {"404"}


def test_its_pages_take_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        taken = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)", text)
        assert taken == [], page.name
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*", styles) == []


def test_what_a_terminal_says_and_tables_are_shown_as_they_are_meant(site: Path) -> None:
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        main = re.sub(r"<pre\b.*?</pre>", "", text.partition("<article")[2].partition("</article")[0], flags=re.DOTALL)
        assert "<h1" in main or page.stem == "404"
        assert "```" not in main, f"{page.name}: a fence that is none"
        assert r"\|" not in main, f"{page.name}: a bar with its backslash"
        assert not re.search(r"^\|", main, re.MULTILINE), f"{page.name}: a table that is none"
        assert not re.search(r"^ *([-*]|\d+\.) ", main, re.MULTILINE), f"{page.name}: a list that is none"


WRONG = {
    # what is added to a page, and what the warning about it says
    "a page that is not there": ("index.md", "\n[x](nowhere.md)\n", "'nowhere.md', but the target is not found"),
    "a heading that is not there": ("index.md", "\n[x](steps.md#nowhere)\n", "does not contain an anchor '#nowhere'"),
    "a heading that this page has not": ("index.md", "\n[x](#nowhere)\n", "there is no such anchor on this page"),
    "an absolute link": ("index.md", "\n[x](/steps.html)\n", "an absolute link '/steps.html'"),
    "a file outside of the pages": ("index.md", "\n[x](../README.md)\n", "'../README.md', but the target is not found"),
    "a page that the navigation has not": ("new.md", "# New\n", 'not included in the "nav" configuration'),
}


def test_what_is_wrong_fails_it(tmp_path: Path) -> None:
    place = copied(tmp_path)
    for name, text, _ in WRONG.values():
        with (place / "docs" / name).open("a", encoding="utf-8") as page:
            page.write(text)
    done = make(place)
    assert done.returncode != 0
    assert [what for what, (*_, told) in WRONG.items() if told not in done.stderr] == []
    assert f"Aborted with {len(WRONG)} warnings" in done.stdout
