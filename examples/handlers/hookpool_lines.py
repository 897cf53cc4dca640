"""Makes a handler for `mode = "lines"` or `mode = "resident"` of a function that takes one event.

    from hookpool_lines import run

    def handle(event):
        ...

    run(handle)

What the function returns is the verdict; nothing is none. If it raises, the event has failed. What it prints goes to
standard error, since standard output is for answers.
"""

import json
import sys
import traceback


def run(handle):
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin.buffer:
        event = json.loads(line.decode("utf-8", "replace"))
        identity = event.pop("hookpool")["id"]
        try:
            answer = json.dumps({"id": identity, "ok": True, "verdict": handle(event)}, allow_nan=False)
        except Exception as error:
            traceback.print_exc()
            answer = json.dumps({"id": identity, "ok": False, "message": f"{type(error).__name__}: {error}"})
        answers.write(answer + "\n")
        answers.flush()
