"""What a table says. Every module here is one question: a `Finding`, `find(table, ...)`, `draw(finding)`."""
