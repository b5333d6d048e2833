"""Pages: what people see of them, in the lines and rows in which they see it."""

from pathlib import Path

import pytest

from rag_graph.index.loaders import load
from rag_graph.index.loading import LoadedDocument


def read(folder: Path, page: str, name: str = "a.html") -> LoadedDocument:
    (folder / name).write_text(page)
    [document] = load(folder / name)
    assert isinstance(document, LoadedDocument)
    return document


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Price: <!-- -->40<!-- --> EUR, <img src=x> now<x-a> only</x-a>.", "Price: 40 EUR,  now only."),
        ("<p>10<sup>6</sup> l of H<sub>2</sub>O<sup>th</sup>", "10^6 l of H2Oth"),
        ("<p>In 1999<sup><a href=#n>1</a></sup> it", "In 1999[1] it"),
        ("<p>Donau&shy;dampf", "Donaudampf"),
        ("<p>It costs <del>200</del><s>190</s> 150 EUR", "It costs ~~190~~ 150 EUR"),
        ("<ol start=3><li>Drain<li>Fill<ul><li>slowly</ul></ol>", "3. Drain\n\n4. Fill\n\n- slowly"),
        (
            "<dl><dt>Flow:<dd>40 l<dt>Mass<dt>Weight<dd><p>5 kg</dl><dl><dt>Alone</dl>",
            "Flow: 40 l\n\nMass, Weight: 5 kg\n\nAlone",
        ),
        ("<details><summary>More</summary>Text</details><p hidden=until-found>Found", "More\n\nText\n\nFound"),
        ("<p style='DISPLAY : none'>a</p><p style='color:red;visibility:hidden'>b</p><p>c", "c"),
        ("<p>x <math><mfrac><mi>a</mi><mrow><mi>b</mi><mn>2</mn></mrow></mfrac></math>", "x a/(b2)"),
        (
            (
                "<span style='display:none'><math><mi>x</mi><annotation encoding='application/x-tex'>x_1^2"
                "</annotation></math></span>"
            ),
            "x_1^2",
        ),
        ("<p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字", "漢字"),
        ("<div role=heading aria-level=3>Part</div>text", "Part\n\ntext"),
        (
            "<table><tr><td></td><th>A<th>B<tr><th>x<td>1<td><b>4</b>0 l",
            "|  | A | B |\n| --- | --- | --- |\n| x | 1 | 40 l |",
        ),
        ("<table><tr><th>Flow<td>40 l<tr><th>Mass<td>5 kg", "| Flow | 40 l |\n| Mass | 5 kg |"),
        (
            "<table><tr><th>Model<th>Data<tr><td>A10<td>new <table><tr><td>flow<td>40</table></table>",
            "| Model | Data |\n| --- | --- |\n| A10 | new |\n\n| flow | 40 |",
        ),
        ("<table><tr><td>Menu<td><h1>Pumps</h1><p>Text.</table>", "Menu\n\nPumps\n\nText."),
        (
            "<table><tr><th>Item<th>Sum<tr><td>A<td><ul><li>5<li>7</ul></table>",
            "| Item | Sum |\n| --- | --- |\n| A | 5 7 |",
        ),
        ("<p>He said <q>yes</q><button>Go</button>now", 'He said "yes" now'),
        (
            (
                "<p><math><msubsup><mi>a</mi><mn>1</mn><mn>2</mn></msubsup><mo>+</mo><mfrac><mrow><mi>b</mi><mo>-</mo>"
                "<mn>1</mn></mrow><mi>c</mi></mfrac><mo>+</mo><munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1"
                "</mn></mrow><mi>n</mi></munderover><mroot><mi>d</mi><mn>3</mn></mroot></math>"
            ),
            "a_1^2+(b-1)/c+∑_(i=1)^n(d)^(1/3)",
        ),
        ("<ol type=a><li>x<li>y</ol><ol start=4 style='list-style: upper-roman'><li>z</ol>", "a. x\n\nb. y\n\nIV. z"),
        (
            "<table><tr><td class=linenos><pre>1\n2</pre><td class=code><pre>if x:\n    y = 1</pre></table>",
            "if x:\n    y = 1",
        ),
        (
            (
                "<div role=table><div role=row><b role=columnheader>Item</b><b role=columnheader>Sum</b></div>"
                "<div role=row><span role=cell>A</span><span role=cell>5</span></div></div>"
            ),
            "| Item | Sum |\n| --- | --- |\n| A | 5 |",
        ),
        ("<div role=tabpanel>apt</div><div role=tabpanel hidden>brew</div>", "apt\n\nbrew"),
        (
            (
                "<table><thead><tr><th>Site<th>Item<th>Sum<tbody><tr><td rowspan=0>Ulm<td>Pump<td>5<tr><td>Hose<td>6"
                "<tfoot><tr><td>All<td><td>11</table>"
            ),
            "| Site | Item | Sum |\n| --- | --- | --- |\n| Ulm | Pump | 5 |\n| Ulm | Hose | 6 |\n| All |  | 11 |",
        ),
        ("<p>It moves water.<video>No film</video><audio>No sound</audio>", "It moves water."),
        ("<p>The pump is dry<a href='#n1' role=doc-noteref>1</a>.", "The pump is dry[1]."),
    ],
)
def test_a_page_is_read_as_it_is_seen(page: str, text: str, tmp_path: Path) -> None:
    assert read(tmp_path, page).text == text


def test_a_chapter_whose_title_is_closed_at_once_keeps_its_text(tmp_path: Path) -> None:
    page = (
        "<?xml version='1.0'?><html><head><title/><script src='x'/></head><body><a id='p1'/><p>Text.</p></body></html>"
    )
    assert read(tmp_path, page, "a.xhtml").text == "Text."
