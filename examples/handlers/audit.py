"""Looks at shell commands. Run by hookpool with `mode = "resident"` or `mode = "lines"`."""

from hookpool_lines import run


def handle(event):
    command = event["tool_input"]["command"]
    print("looking at", command)
    if "rm -r" in command:
        return {"decision": "ask", "why": "it removes a folder"}


run(handle)
