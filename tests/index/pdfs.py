"""PDF files, built from the instructions of their pages."""

from collections.abc import Mapping
from pathlib import Path


def pdf(path: Path, *pages: str, title: str = "", letters: Mapping[str, str] | None = None) -> Path:
    """Pages of these instructions, in Helvetica, some of whose `letters` may stand for others."""
    unicode = f"/ToUnicode {5 + 2 * len(pages)} 0 R" if letters else ""
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{' '.join(f'{5 + 2 * n} 0 R' for n in range(len(pages)))}]>>",
    ]
    objects += [f"<</Type/Font/Subtype/Type1/BaseFont/Helvetica{unicode}>>", f"<</Title({title})>>"]
    for number, page in enumerate(pages):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {6 + 2 * number} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>"
        )
        objects.append(f"<</Length {len(page)}>>stream\n{page}\nendstream")
    if letters:
        named = "\n".join(f"<{ord(one):02X}> <{ord(other):04X}>" for one, other in letters.items())
        codes = "1 begincodespacerange\n<00> <FF>\nendcodespacerange"
        known = f"begincmap\n{codes}\n{len(letters)} beginbfchar\n{named}\nendbfchar\nendcmap"
        objects.append(f"<</Length {len(known)}>>stream\n{known}\nendstream")
    body = "".join(f"{number} 0 obj{content}endobj\n" for number, content in enumerate(objects, 1))
    path.write_text(f"%PDF-1.4\n{body}trailer<</Size {len(objects) + 1}/Root 1 0 R/Info 4 0 R>>\nstartxref\n0\n%%EOF")
    return path


def words(x: int, y: int, text: str) -> str:
    return f"BT /F 11 Tf {x} {y} Td ({text}) Tj ET "
