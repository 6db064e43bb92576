"""Builds pages and API reference as a web site: `./run_all.sh --docs`, into `site/` or a folder that is named."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent

PAGES = {
    "MSCN-Flax": "README.md",
    "Results": "docs/results.md",
    "When sparse modulations beat latents": "docs/sparse_or_latent.md",
    "What computing costs": "docs/speed.md",
    "Presets, bindings, recipes": "gin/README.md",
    "The CSVs": "results/README.md",
    "The codec": "docs/codec.md",
    "The bitstream": "docs/bitstream.md",
    "Data": "docs/data.md",
    "Several devices, several machines": "docs/clusters.md",
    "Contributing": "CONTRIBUTING.md",
}
"""Title -> page, which keeps its place, so that links between pages stay as they are."""

COPIED = ("plots/quick", "LICENSE", "CITATION.cff")
"""What pages show or link to besides."""


def stage(folder: pathlib.Path) -> None:
    """Puts pages, figures and a page for each module of the library into a folder, and the site's configuration."""
    source = folder / "source"
    for name in [*PAGES.values(), *COPIED]:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("*.html", "*.pdf", "*.csv", "*.tex"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, target)
    reference = [{"mscn_flax": _module(source, "mscn_flax", "members: false")}]
    for path in sorted((ROOT / "mscn_flax").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name not in ("__init__.py", "__main__.py"):
            reference.append({name.removeprefix("mscn_flax."): _module(source, name)})
    settings = {
        "site_name": "MSCN-Flax",
        "docs_dir": "source",
        "theme": {"name": "material", "font": False, "features": ["navigation.indexes"]},
        "plugins": ["search", {"mkdocstrings": {"handlers": {"python": _PYTHON}}}],
        "markdown_extensions": ["tables", "attr_list", "pymdownx.highlight", "pymdownx.superfences", "toc"],
        "nav": [{title: page} for title, page in PAGES.items()] + [{"Reference": reference}],
        "not_in_nav": "plots/",
        "use_directory_urls": False,
    }
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False))


_PYTHON = {
    "paths": [str(ROOT)],
    "options": {
        "docstring_style": "google",
        "show_root_heading": True,
        "show_source": False,
        "show_signature_annotations": True,
        "separate_signature": True,
        "filters": ["!^_"],
        "docstring_options": {"warn_unknown_params": False, "warn_missing_types": False},
    },
}
"""How the reference looks."""


def _module(source: pathlib.Path, name: str, *options: str) -> str:
    """Writes the page of a module; its path."""
    page = f"reference/{name}.md"
    (source / page).parent.mkdir(exist_ok=True)
    more = "".join(f"      {option}\n" for option in options)
    (source / page).write_text(f"::: {name}\n    options:\n      heading_level: 1\n{more}")
    return page


def main(site: pathlib.Path = ROOT / "site") -> None:
    """Builds the site into a folder; a warning is an error."""
    with tempfile.TemporaryDirectory() as folder:
        stage(pathlib.Path(folder))
        command = [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "--config-file",
            f"{folder}/mkdocs.yml",
        ]
        settings = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
        status = subprocess.run([*command, "--site-dir", str(site)], env=settings, check=False).returncode
    if status:
        sys.exit(status)
    print(f"open {site / 'index.html'}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
