"""What a page shows as Python runs, block after block, as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import pages

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
NEEDS = {"files.md": "h5py", "moving_on.md": "h5py"}  # what a page shows of an extra


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_blocks_of_a_page_run_in_order_and_print_what_it_says(page, tmp_path, monkeypatch):
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name])
    monkeypatch.chdir(tmp_path)
    for block, printed in pages.run(page):
        if block["output"] is not None and printed is not None:
            assert pages.words(printed) == pages.words(block["output"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
