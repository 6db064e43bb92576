"""Tables in Markdown pages: what stands between `<!-- begin FILE -->` and `<!-- end -->` is that file of `plots/`."""

import pathlib
import re

from mscn_flax.atomic import replaced

_PLACE = re.compile(r"(<!-- begin (plots/[\w./-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages(root: pathlib.Path) -> list[pathlib.Path]:
    """The pages of a repository that may have such places."""
    return [page for pattern in ("README.md", "docs/*.md", "gin/*.md", "results/*.md") for page in root.glob(pattern)]


def filled(text: str, root: pathlib.Path) -> str:
    """A page with every such file as it is now; what is missing stays as it was."""

    def place(found: re.Match) -> str:
        begin, name, old, end = found.groups()
        path = root / name
        return begin + (path.read_text() if path.is_file() else old) + end

    return _PLACE.sub(place, text)


def fill(root: pathlib.Path) -> list[pathlib.Path]:
    """Brings all pages up to date; those that changed."""
    changed = []
    for page in pages(root):
        old = page.read_text()
        if (new := filled(old, root)) != old:
            with replaced(page) as out:
                out.write(new)
            changed.append(page)
    return changed
