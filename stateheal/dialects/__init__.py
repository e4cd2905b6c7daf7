"""The companions that keep state of this kind, as data: one entry each; ``table`` has them all.

Nothing is imported here: the hook's short path takes ``names`` and nothing else.
"""
