"""Asks a Clearway service whether a person may be sold a journey."""

from clearway_client.aio import AsyncClient, AsyncFeed
from clearway_client.answers import (
    Acknowledged,
    Answer,
    Event,
    FieldError,
    Problem,
    Product,
    Reason,
    Remaining,
    Result,
    Standing,
)
from clearway_client.errors import ClearwayError, FeedTrimmed, NoAnswer, Referred, Refused
from clearway_client.questions import Air, Change, Check, Document, Entry, Person, Rail, Ship
from clearway_client.sync import Client, Feed
from clearway_client.terms import Terms

__version__ = "0.1.0"
__all__ = [
    "Acknowledged",
    "Air",
    "Answer",
    "AsyncClient",
    "AsyncFeed",
    "Change",
    "Check",
    "ClearwayError",
    "Client",
    "Document",
    "Entry",
    "Event",
    "Feed",
    "FeedTrimmed",
    "FieldError",
    "NoAnswer",
    "Person",
    "Problem",
    "Product",
    "Rail",
    "Reason",
    "Referred",
    "Refused",
    "Remaining",
    "Result",
    "Ship",
    "Standing",
    "Terms",
]
