"""What MkDocs does with the pages: it fills their tables in, and adds files that lie elsewhere in the repository.

Links are written for GitHub, from file to file of the repository. Those to a file that is no page become its path.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tables import fill

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "model_cards/*/README.md",
    "model_cards/*/samples.png",
)
GITHUB = re.compile(r"<!-- on GitHub -->.*?<!-- end -->\n*", re.DOTALL)
CODE = re.compile(r"<code>[^<]*</code>")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w.-]*")
LINK = re.compile(r"\[(?P<text>[^]]*)]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures outside of docs/, under their paths in the repository."""
    for path in sorted(path for pattern in ELSEWHERE for path in ROOT.glob(pattern)):
        files.append(File(path.relative_to(ROOT).as_posix(), str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remove what only GitHub shows, fill in the tables, and turn links between files into links between pages."""
    source = Path(str(page.file.abs_src_path)).relative_to(ROOT).parent.as_posix()

    def lead(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(source, link["path"]))
        target = path.removeprefix("docs/")
        if files.get_file_from_path(target):
            relative = posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")
            return f"[{link['text']}]({relative}{link['anchor'] or ''})"
        return f"{link['text']} (`{path}`)"

    return LINK.sub(lead, fill(GITHUB.sub("", markdown)))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep options in one piece: browsers break lines after hyphens."""
    return CODE.sub(lambda code: OPTION.sub(r'<span class="option">\g<0></span>', code[0]), html)
