"""Start of a run that ends with its parent process: ``python -m onepeace_pl.sweeps.leash PARENT COMMAND ...``.

A sweep that receives a signal stops its runs itself. If it is killed, the kernel (on Linux) sends the run SIGTERM, on
which it writes its checkpoint. This process is replaced by the command.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it ended before it could be heard
            raise SystemExit(128 + signal.SIGTERM)
    # SLURM warns every process of a job by this signal, which submitit answers and which would end a run
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
