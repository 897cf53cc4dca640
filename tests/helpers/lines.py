"""A handler that speaks lines and does to each event what its member `do` says, rude things among them."""

import json
import os
import signal
import sys
import time


def answer(identity, ok=True, **more):
    print(json.dumps({"id": identity, "ok": ok, **more}), flush=True)


def for_ever():
    while True:
        time.sleep(60)


def note(text):
    """Leaves a word in the folder that the test looks at."""
    if "NOTES" in os.environ:
        with open(os.path.join(os.environ["NOTES"], "notes"), "a") as notes:
            notes.write(text + "\n")


if "SLOW_START" in os.environ:
    time.sleep(float(os.environ["SLOW_START"]))
if "DEAF" in os.environ:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "START_AND_DIE" in os.environ:
    sys.exit(9)
note(f"start {os.getpid()}")
if "DIE_AHEAD" in os.environ and os.path.exists(os.path.join(os.environ["NOTES"], "ahead")):
    note("died ahead")
    sys.exit(9)
held = []
for line in sys.stdin:
    event = json.loads(line)
    identity, do = event["hookpool"]["id"], event.get("do", "ok")
    note(f"event {event.get('n', '')}")
    if do == "ok":
        answer(identity)
    elif do == "fail":
        answer(identity, False, message="no such file")
    elif do == "who":
        answer(identity, False, message=f"{os.getpid()}")
    elif do == "head":
        answer(identity, False, message=json.dumps(event["hookpool"]) + " " + line.count("\n") * "one line")
    elif do == "environment":
        names = sorted(name for name in os.environ if name.startswith("HOOKPOOL_"))
        answer(identity, False, message=" ".join(names))
    elif do == "verdict":
        answer(identity, message="seen", verdict={"decision": "allow", "n": [1, 2]})
    elif do == "twice":
        answer(identity)
        answer(identity, False)
    elif do == "never":
        pass
    elif do == "hold":
        held.append(identity)
        continue
    elif do == "half":
        sys.stdout.write('{"id":"' + identity)
        sys.stdout.flush()
        for_ever()
    elif do == "broken":
        print("{broken", flush=True)
    elif do == "long":
        piece = b"x" * 1_000_000
        sys.stdout.buffer.write(b'{"id":"')
        for _ in range(100):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.write(b'"}\n')
        sys.stdout.buffer.flush()
        answer(identity)
    elif do == "unknown":
        answer("999999999")
        answer("what?", False)
        answer(identity)
    elif do == "noise":
        print("before", flush=True)
        print("to people", file=sys.stderr, flush=True)
        sys.stdout.buffer.write(b"\xff\xfe\n\n [1]\n")
        answer(identity)
    elif do == "die":
        os._exit(3)
    elif do == "nap":
        time.sleep(2)
        answer(identity)
    elif do == "flood":
        while True:
            print("x" * 1000)
    elif do == "escape":
        if os.fork() == 0:
            os.setsid()
            note(f"escaped {os.getpid()}")
            for_ever()
        answer(identity)
    elif do == "hang":
        for_ever()
    elif do == "close_output":
        os.close(1)
        for_ever()
    elif do == "fork":
        if os.fork() == 0:
            for_ever()
        note("forked")
        os._exit(0)
    elif do == "mutter":
        answer(identity)
        while not os.path.exists(os.path.join(os.environ["NOTES"], "mutter")):
            time.sleep(0.001)
        sys.stdout.write(event.get("say", "{late\n"))
        sys.stdout.flush()
        note("muttered")
    elif do == "die_at_rest":
        answer(identity)
        note("rests")
        while not os.path.exists(os.path.join(os.environ["NOTES"], "die")):
            time.sleep(0.001)
        time.sleep(0.3)
        os._exit(7)
    elif do == "answer_and_die":
        answer(identity)
        os._exit(0)
    for other in reversed(held):
        answer(other)
    held.clear()
