"""Submissions in, scores out: answers run in a sandbox, and are judged outside it.

Nothing is imported here, so that the command line can list its commands without loading torch.
"""
