"""``sweep submit --simulate``: the real engine on virtual time, against a model of the provider.

Nothing is written and no call is sent. How long, how much, and how sure: ``run.forecast``.
"""
