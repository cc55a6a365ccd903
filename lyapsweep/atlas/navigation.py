"""Sections under the questions that they answer, and the links to these that stay in sight."""

import re
from collections.abc import Iterable

from lyapsweep.atlas import markup

# The first section of each question: the ones after it belong to the same.
QUESTIONS = {
    "Verdict": ("Result", "What came out?"),
    "The objective across the sweep": ("Settings", "How does it depend on the settings?"),
    "Lyapunov spectra": ("Dynamics", "What do spectra and orbits look like?"),
    "Which statistic of the spectrum goes with which measure": ("Foretelling", "What do spectra say of outcomes?"),
    "Outcomes": ("Data", "What is behind it?"),
}
STARTS = {markup.slug(title): asked for title, asked in QUESTIONS.items()}


def under_questions(parts: Iterable[str]) -> tuple[str, str]:
    """(contents, body): the parts with their questions above them, and links to those."""
    links, body = [], []
    for part in parts:
        section = re.match(r'<section id="([\w-]+)">', part)
        if section and section[1] in STARTS:
            name, question = STARTS[section[1]]
            anchor = markup.slug(name)
            links.append(f'<a href="#{anchor}" title="{markup.text(question)}">{markup.text(name)}</a>')
            body.append(f'<div class="ask" id="{anchor}" role="heading" aria-level="2">{markup.text(question)}</div>')
        body.append(part)
    contents = f'<nav class="contents" aria-label="Questions">{"".join(links)}</nav>' if len(links) > 1 else ""
    return contents, "\n".join(body)
