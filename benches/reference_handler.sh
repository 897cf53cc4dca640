#!/bin/sh
# The reference system's own handler, unmodified: behind its own manager, and as a handler of hookpool.
#
#     benches/reference_handler.sh [EVENTS [PYTHON [VERSION]]]
#
# Installs the reference system into a virtual environment in a temporary folder, calls it there, and takes nothing of
# it anywhere else. Both sides get the same events in the same environment: no dashboard, and a `claude` that only tells
# its version, without which the handler does nothing. The handler's debug log is on, as its manager insists, and its
# timeout is long, so that a busy machine makes it slow and stops none.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
events=${1:-2000}
python=${2:-python3}
version=${3:-5.9.10}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cargo build --release --manifest-path "$here/../Cargo.toml"
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "claude-mpm==$version"
mkdir "$folder/home" "$folder/bin" "$folder/project"
printf '#!/bin/sh\necho "2.1.0 (Claude Code)"\n' > "$folder/bin/claude"
chmod +x "$folder/bin/claude"

cat > "$folder/manager.py" <<'PYTHON'
"""From the first trigger to the end of the last handler, and the processor time of the handlers."""
import json, resource, sys, time
from claude_mpm.core.hook_manager import get_hook_manager
manager, count = get_hook_manager(), int(sys.argv[1])
begun = time.perf_counter()
for i in range(count):
    if i % 3 == 0:
        manager.trigger_pre_tool_hook("Bash", {"command": "ls -la"})
    elif i % 3 == 1:
        manager.trigger_post_tool_hook("Bash", 0, "a\nb\n")
    else:
        manager.trigger_user_prompt_hook("Refactor the parser and add tests.")
manager.hook_queue.join()
seconds, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, used.ru_utime + used.ru_stime]))
PYTHON

cat > "$folder/measure.py" <<'PYTHON'
import datetime, json, os, platform, resource, subprocess, sys
folder, here, hookpool, version, events = sys.argv[1:]
FEW = 20
HANDLER = ["python", "-m", "claude_mpm.hooks.claude_hooks.hook_handler"]
ADAPTER = ["python", f"{here}/reference_handler.py"]


def lines(count):
    """Events as the manager makes them, each of a session of its own: the handler ignores what looks like the same
    event within a tenth of a second."""
    for i in range(count):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        more = [
            {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_args": {"command": "ls -la"}},
            {"hook_event_name": "PostToolUse", "tool_name": "Bash", "exit_code": 0, "result": "a\nb\n"},
            {"hook_event_name": "UserPromptSubmit", "prompt": "Refactor the parser and add tests."},
        ][i % 3]
        yield json.dumps({"session_id": f"session-{i}", "timestamp": now, **more}) + "\n"


def by_hookpool(count, command, keys):
    """Seconds of the run, start of the handler included, and the processor time of everything that it started."""
    with open("hooks.toml", "w") as file:
        file.write(f"""
            pool = {{ workers = 1, standby = 0 }}
            [hook.reference]
            on = ["*"]
            run = {json.dumps(command)}
            timeout = "1m"
            env = {{ CLAUDE_MPM_HOOK_DEBUG = "true", PYTHONPATH = {json.dumps(here + "/../examples/handlers")}, PYTHONDONTWRITEBYTECODE = "1" }}
            {keys}
        """)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = [hookpool, "run", "--config", "hooks.toml", "--report", "json", "-"]
    done = subprocess.run(run, input="".join(lines(count)), stdout=subprocess.PIPE, text=True, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(done.stdout)
    if not report["balanced"] or report["outcomes"]["succeeded"] != count:
        sys.exit(f"not all of {count} succeeded: {report['outcomes']}")
    return report["elapsed_us"] / 1e6, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime


def by_manager(count):
    env = {**os.environ, "CLAUDE_MPM_HOOK_BG_TIMEOUT": "60"}
    run = ["python", f"{folder}/manager.py", str(count)]
    done = subprocess.run(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, env=env)
    return json.loads(done.stdout.splitlines()[-1])


print(f"claude-mpm {version}, Python {platform.python_version()}; one-minute load before: {os.getloadavg()[0]:.1f}")
resident = 'mode = "resident"\norder = "none"'
many, base = int(events), None
print(f"{'':44}  events  hooks/s               processor time, ms each")
for what, count, measure in [
    ("its own manager, a process for each event", FEW, by_manager),
    ("hookpool, a process for each event", FEW, lambda n: by_hookpool(n, HANDLER, "")),
    ("hookpool, resident", many, lambda n: by_hookpool(n, ADAPTER, resident)),
    ("hookpool, resident, window of 16", many, lambda n: by_hookpool(n, ADAPTER, resident + "\nwindow = 16")),
]:
    seconds, cpu = measure(count)
    rate, each = count / seconds, cpu / count * 1000
    base = base or (rate, each)
    print(f"{what:44}  {count:6}  {rate:7.2f}  {rate / base[0]:7.1f} x  {each:10.2f}  {base[1] / each:7.1f} x less", flush=True)
PYTHON

cd "$folder/project"
env -i PATH="$folder/venv/bin:$folder/bin:/usr/local/bin:/usr/bin:/bin" HOME="$folder/home" LANG=C.UTF-8 \
    python "$folder/measure.py" "$folder" "$here" "${CARGO_TARGET_DIR:-$here/../target}/release/hookpool" "$version" "$events"
