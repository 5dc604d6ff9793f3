"""All that the loader's commands may have to refuse or note, as it is told to people."""

from __future__ import annotations

from loader.words.files import NO_LIST
from loader.words.refusals import REFUSED
from roster.speech.faults import FAULTS
from roster.speech.sayings import Sayings

SAYINGS = Sayings(*FAULTS, *REFUSED, *NO_LIST)
"""Refusals and notes are made in English, and told in the language of the command."""
