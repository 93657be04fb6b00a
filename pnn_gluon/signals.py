"""What to say about a process that a signal ended."""

import signal

_ADVICE = {
    **dict.fromkeys(
        (signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGABRT),
        "if it happens again, set PNN_GLUON_ISA=avx2 (older instructions) or PNN_GLUON_OPERATORS=plain (MXNet's own)",
    ),
    signal.SIGKILL: "nobody but the system or an administrator does that: memory may have run out; "
    "lower engine.memory_limit or training.batch_size",
    signal.SIGTERM: "somebody or the scheduler stopped it; run it again and it continues",
    signal.SIGINT: "somebody stopped it; run it again and it continues",
    signal.SIGXFSZ: "a file grew beyond the limit of this user; raise it (ulimit -f)",
}


def death_by_signal(step: str, number: int) -> str:
    """Which signal ended a step and what to do about it.

    >>> death_by_signal("train", 4).split(":")[0]
    'train was ended by SIGILL (Illegal instruction)'
    """
    name, meaning = signal.Signals(number).name, signal.strsignal(number)
    advice = _ADVICE.get(signal.Signals(number), "see the end of its log")
    return f"{step} was ended by {name} ({meaning}): {advice}"
