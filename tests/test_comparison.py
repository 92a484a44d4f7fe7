"""The page of entries side by side."""

import numpy as np

from benchmarks import comparison, plots


def test_the_page_is_what_the_metadata_says(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / comparison.PAGE).write_text(f"# Text\n\n{comparison.MARK}\nold\n")
    (tmp_path / "seconds.csv").write_bytes((comparison.Path("docs") / "seconds.csv").read_bytes())
    monkeypatch.setattr("sys.argv", ["comparison", "-o", str(tmp_path)])
    comparison.main()
    page = (tmp_path / comparison.PAGE).read_text()
    assert page.startswith("# Text\n")
    assert "old" not in page
    assert "| `marflow-mnist` | none | 1.151 ± 0.003 | 1,317,276 | 448,000 |" in page
    current = (comparison.Path("docs") / comparison.PAGE).read_text()
    assert current.split(comparison.MARK)[1] == page.split(comparison.MARK)[1]
    assert (tmp_path / "images" / "curves-sr8.png").stat().st_size > 2000


def test_a_plot_shows_every_curve():
    lines = [
        plots.Line(name, np.array([100.0, 10_000.0]), np.array([1.2, value]))
        for name, value in (("a", 1.1), ("b", 1.0))
    ]
    image = plots.plot(lines, "images", "bits/dim")
    for colour in plots.COLOURS[:2]:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (image == wanted).all(-1).sum() > 50
