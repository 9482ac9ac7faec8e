"""The provider simulator: an OpenAI-compatible server that answers by rule, with limits and faults on demand.

It is the judge of the fault runs: it counts what it was asked per fingerprint, whatever our own rows say.
``server.py`` tells a request's way; ``options.py`` what can be chosen; ``testing.py`` starts one from a test.
"""
