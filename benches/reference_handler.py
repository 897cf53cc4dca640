"""The reference system's handler as a resident handler: an event in, its own answer out.

Nothing of it is changed: its entry point reads standard input, writes standard output and exits, as if it had been
started for the event.
"""

import contextlib
import io
import json
import os
import sys
import tempfile

from hookpool_lines import run

from claude_mpm.hooks.claude_hooks import hook_handler


def handle(event):
    with tempfile.TemporaryFile("w+", encoding="utf-8") as given, contextlib.redirect_stdout(io.StringIO()) as said:
        json.dump(event, given)
        given.seek(0)
        sys.stdin = given
        with contextlib.suppress(SystemExit):
            hook_handler.main()
    # Its last word: it may go on with what it was given, changed or not.
    verdict = json.loads(said.getvalue().splitlines()[-1])
    if verdict.get("continue") is not True:
        raise ValueError(f"it answered {verdict}")
    return verdict


run(handle)
