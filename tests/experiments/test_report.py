"""The page of a sweep: one file with everything in it, escaped, that a browser shows and sorts
without a network.
"""

import json
import re
import shutil
import subprocess

import pytest

from experiments.__main__ import main
from tests.helpers import fake_rows

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rows = [row | {"parameters": HOSTILE} for row in fake_rows.rows(temperatures=(0.5, 1.0))]
    (folder / "merged.json").write_text(json.dumps({"rows": rows}))
    assert main(["report", str(folder / "merged.json"), "--out", str(folder / "page.html")]) == 0
    return folder / "page.html"


def test_it_holds_all_figures_and_rows_and_needs_no_network(page):
    text = page.read_text()
    assert re.findall("<h2>(.*?)</h2>", text) == [
        "acceptance",
        "differences",
        "efficiency",
        "gap",
        "phase",
        "Rows",
    ]
    assert text.count("data:image/png;base64,") == 5
    assert text.count("<tr>") == 1 + 2 * 2 * len(fake_rows.LOSS)
    assert not re.search(r"(src|href)=\"(?!data:)|https?://|url\(|@import", text)
    assert HOSTILE not in text


@pytest.mark.skipif(BROWSER is None, reason="no browser here")
def test_a_browser_shows_it_and_sorts_it(page):
    def column(clicks):
        """The acceptances as the browser has them after so many clicks on the head."""
        text = page.read_text()
        place = re.findall("<th>([a-z_]+)", text).index("acceptance")
        clicked = page.with_name(f"clicked{clicks}.html")
        clicked.write_text(
            text + f"<script>for (let i = 0; i < {clicks}; i++) "
            f"document.querySelectorAll('th')[{place}].click()</script>"
        )
        command = [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={page.parent}",
            "--dump-dom",
            clicked.as_uri(),
        ]
        shown = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        cells = [
            re.findall("<td>(.*?)</td>", row, re.DOTALL)
            for row in re.findall("<tr>(.*?)</tr>", shown, re.DOTALL)
        ]
        return [float(row[place]) for row in cells if row]

    as_stored, rising, falling = map(column, range(3))
    assert as_stored != rising == sorted(as_stored)
    assert falling == rising[::-1]
