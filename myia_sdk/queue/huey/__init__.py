"""BullHuey: Huey's interface on a queue that loses nothing.

Its tasks as jobs, its results, locks, hooks and periodic tasks. Nothing runs here:
that is the consumer's. A Huey project moves here by changing the constructor. What
behaves differently:

=====================  ===========================  ==================================
subject                Huey 3.5 with Redis          BullHuey
=====================  ===========================  ==================================
delivery               at most once                 at least once, leases, fencing
values                 pickle                       JSON; what is not JSON is refused
                                                    at the call, for a result fails the
                                                    attempt; tuples come back as lists
where a task runs      thread or process worker     a fresh sandbox child of its own;
                                                    ``isolate=False``: the slot's thread
``-k process``         forked workers               no task runs in a thread; slots stay
                                                    threads of one process
``-k greenlet``        gevent                       refused
SIGTERM                interrupts                   graceful, like SIGINT; a second
                                                    signal interrupts; what does not end
                                                    in time goes back in line uncharged
timeout                process workers only; may    kills the process tree; for
                       be swallowed                 ``isolate=False`` as Huey's threads
task environment       the consumer's               an allow-list; ``child_env`` adds
``Result.get``         removes the result           leaves it; the job's retention rules
``None`` results       not stored by default        stored, so that waiting ends
expired, revoked       no result for ever           ``TaskException`` says so
error texts            ``ValueError('x')``          ``ValueError: x``
``on_error`` handler   gets the exception           gets its text
a delayed task         in line, then scheduled      scheduled at once
``schedule(delay=)``   by the caller's clock        by the server's clock
``SIGNAL_SCHEDULED``   by the worker                by the producer; by the worker for
                                                    retries
``SIGNAL_COMPLETE``    before the next task of a    after the job's end is stored
                       pipeline is queued
priority               higher runs first            the same, once a task or the
                                                    constructor uses priorities; jobs of
                                                    other clients without one come first
periodic tasks         a run from every consumer    one run, whatever the number; a
                                                    missed one is caught up once
chords                 a member delivered twice     counted by index
                       fires too early
locks                  anyone's exit frees them     only the owner's does
rate limits            fixed window, local clock    sliding window, server's clock
task ids               any text                     no plain number, at most 200
                                                    characters
async, serializer,     options                      refused: JSON is the only form
compression, storage
``all_results``        raw pickles                  JSON texts of ended jobs
=====================  ===========================  ==================================
"""
