"""The texts of the sample help desk: the problems of an invented product, and phrases for tickets about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that goes wrong in Larkspur, as customers report it and as the help center explains it."""

    topic: str
    title: str
    subjects: tuple[str, ...]
    symptom: str
    cause: str
    steps: tuple[str, ...]
    code: str = ""


def problems() -> list[Problem]:
    """The sixty problems."""
    return list(_problems())


@cache
def _problems() -> tuple[Problem, ...]:
    import yaml

    text = Path(__file__).with_name("problems.yaml").read_text(encoding="utf-8")
    rows = yaml.safe_load(text)
    return tuple(Problem(**{**row, "subjects": tuple(row["subjects"]), "steps": tuple(row["steps"])}) for row in rows)


ORGANIZATIONS = (
    ("Northwind Traders", "northwind.example"), ("Harbour Logistics", "harbour-logistics.example"),
    ("Aster Clinics", "asterclinics.example"), ("Vega Robotics", "vegarobotics.example"),
    ("Maple Street School", "maplestreet.example"), ("Cobalt Energy", "cobaltenergy.example"),
    ("Riverbend Foods", "riverbend.example"), ("Atelier Dufour", "dufour.example"),
    ("Sakura Travel", "sakuratravel.example"), ("Bergmann & Söhne", "bergmann.example"),
    ("Ostrich Insurance", "ostrich.example"), ("Quayside Museum", "quayside.example"),
)  # fmt: skip

FIRST_NAMES = (
    "Amara", "Bjørn", "Carla", "Dmitri", "Elif", "Farid", "Grace", "Hiroshi", "Inês", "Jonas", "Keiko", "Liam",
    "Maja", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tove", "Ulrike", "Viktor", "Wanjiru", "Xenia",
    "Yusuf", "Zoë", "Aoife", "Bruno", "Chidi", "Daria",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Bauer", "Castro", "Dahl", "Eriksen", "Fontaine", "Garcia", "Hansen", "Ito", "Jansen", "Kowalski",
    "Larsen", "Moreau", "Nakamura", "Okafor", "Petrov", "Quispe", "Rossi", "Schmidt", "Tanaka", "Ueda", "Varga",
    "Walsh", "Yılmaz", "Zimmer",
)  # fmt: skip
AGENTS = ("Noor Haddad", "Ben Whitlock", "Lucía Ferrer", "Tomasz Wilk", "Mei Chen", "Aisha Conteh")

GREETINGS = ("Hello,", "Hi there,", "Dear support team,", "Good morning,", "Hi Larkspur team,", "Hello all,")
BROWSERS = ("Firefox", "Chrome", "Safari", "Edge")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "yesterday", "last weekend", "the 3rd", "the 17th")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
FILES = ("customers.csv", "stock_2025.xlsx", "contacts-export.csv", "Q2 tasks.xlsx", "members.csv", "backlog.csv")
TRIED = (
    "I have cleared the cache and tried {browser}, with the same result.",
    "{who} tried it on another computer and sees the same.",
    "A restart helped for about {n} minutes.",
    "We have not changed anything on our side.",
    "It worked without trouble until {day}.",
    "The status page showed nothing.",
    "I followed the article in the help center step by step, without luck.",
    "It also happens from home, so it is not our network.",
)
IMPACT = (
    "This blocks {n} people at {org}.",
    "It is not urgent, but it costs us time every day.",
    "We have a deadline on {day} and depend on it.",
    "Our customers have begun to ask.",
    "For now we get by with a workaround.",
    "Management at {org} asks for an answer this week.",
)
ASKS = (
    "Could you have a look?",
    "Please tell me what to do.",
    "Can somebody call me back?",
    "Is this a known problem?",
    "When can we expect a fix?",
    "What do you need from us to look into it?",
)
REPLIES = (
    "Thank you for writing. {step} Does that help?",
    "Hello {who}, we could reproduce this. {step} Please let us know how it goes.",
    "I am sorry for the trouble. {cause} {step}",
    "Thanks for the details. {step} If it stays so, please send a screenshot.",
)
ANSWERS = (
    "That did it, thank you!",
    "Sadly the same as before. I have attached what I see.",
    "It works for me now, but not for {who}.",
    "Thanks, I will try this on {day} and come back to you.",
    "Solved, please close the ticket.",
)
NOTES = (
    "Internal: asked the team on duty, seen at {n} other customers.",
    "Internal: the log shows error {code} at the time given.",
    "Internal: customer is on the Business plan, handle first.",
)
