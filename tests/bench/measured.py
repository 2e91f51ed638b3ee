"""Runs a program to its end and says what it took: `measured.py PROGRAM [ARGUMENT]...` prints its seconds from its start to its
end, its seconds of processor, and the most MiB it had resident.

The system counts what the starting process had resident as the started one's: hence a small process in between.
"""

import json
import os
import subprocess
import sys
import time


def run(arguments):
    """What a program takes, of one that is given with its arguments."""
    measured = subprocess.run([sys.executable, "-S", __file__, *arguments], stdout=subprocess.PIPE, text=True)
    if measured.returncode != 0:
        sys.exit(measured.returncode)
    return json.loads(measured.stdout)


def main():
    arguments = sys.argv[1:]
    started = time.monotonic()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    process = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - started
    if status != 0:
        sys.exit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    # Linux counts in KiB, macOS in bytes.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit]))


if __name__ == "__main__":
    main()
