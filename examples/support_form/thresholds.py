"""How far apart requests are: the measurement behind the thresholds of the local embedder, on the demo's help desk.

`python examples/support_form/thresholds.py`. Distances are squared L2 of unit vectors, as Milvus reports them: 0 is the
same text, 2 is no relation. Every ticket of the demo is about one of sixty problems, so it is known which belong
together. Two kinds of requests are compared with its 400 tickets and 60 articles: the tickets of another help desk of
the same make, and requests written by hand, in other words than those tickets use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring.testing.help_desk import HelpDesk
from kitestring.vector.embedders.local import Local
from kitestring.vector.html import clean
from kitestring.vector.processing import Processing
from kitestring.vector.split.splitter import Splitter

TICKETS = (0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ARTICLES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)

BY_HAND = """
Two-factor codes are rejected|Can't log in with authenticator|I got a new phone this week and none of the six digit codes from the app are accepted any more.
Charged twice in one month|Billed twice|We see two payments to you on our company card for last month. Please refund one.
Importing a CSV file with special characters|Umlauts broken|After uploading our customer list all names with ä, ö or é show up as weird symbols.
Webhooks arrive twice|Duplicate webhook calls|Our endpoint gets each event two times, so orders are booked double.
Single sign-on with SAML stops working after a certificate change|SSO broken|Nobody can log in through our identity provider since we exchanged the signing certificate.
The app crashes at start|Mobile app closes immediately|When I tap the icon on my Android the app opens for a second and then closes again.
Push messages do not reach the phone|No notifications on my phone|I no longer get any push notification on my iPhone, although they are on in the settings.
Boards load slowly|Everything is super slow|Opening our big board takes almost half a minute since the last update.
Resetting a forgotten password|Password reset mail missing|I clicked on forgot password several times but there is no mail, also not in spam.
Connecting a Google calendar|Calendar sync stopped|Events do not appear in Google Calendar any more.
Deleting the data of a person|GDPR erasure request|A former customer asks us to delete all personal data. How do we do this?
Exporting a chart as an image|Chart export|The PNG that I export from the report is cut off on the right side.
Attachments upload slowly or fail|File upload fails|Uploading a PDF of 40 MB stops with an error at the end.
Charts are empty for some people|Report shows nothing|My colleague opens the same dashboard and sees only empty charts.
Recurring cards|Weekly task not created|The card that should repeat every Monday was not made this week.
Restoring deleted cards|Removed something by mistake|My intern emptied half of the board this morning. Is there any way to get the cards back?
Search finds nothing|Can't find anything|The search box gives no results, not even for the exact title of a card I am looking at.
A guest sees too much|External person can read internal boards|Our freelancer should see one project only, and can open every board.
||The coffee machine on the third floor is leaking, who takes care of it?
||Dear team, attached is my application for the position as an accountant.
||Your product is great and the team is lovely. Keep going.
"""  # noqa: E501 - one request a line


def main() -> None:
    embedder = Local()
    desk, other = HelpDesk(tickets=400, seed=1), HelpDesk(tickets=200, seed=2)
    of = {a["title"]: p.topic for a, p in zip(desk.articles.values(), desk.problems, strict=True)}
    tickets = [
        (desk._problem_of(t["id"])[1].title, text_of(t["subject"], t["description"])) for t in desk.live_tickets()
    ]
    rows = [
        (other._problem_of(t["id"])[1].title, text_of(t["subject"], t["description"])) for t in other.live_tickets()
    ]
    lines = [line.split("|") for line in BY_HAND.strip().splitlines()]
    by_hand = [(title, text_of(subject, text)) for title, subject, text in lines]
    splitter = Splitter(Processing(chunk_size=200, chunk_overlap=20), embedder)
    chunks = [
        (a["title"], chunk)
        for a in desk.articles.values()
        for chunk in splitter.split(text_of(a["title"], clean(a["body"])))
    ]

    stored = embedder.embed([text for _, text in tickets])
    parts = embedder.embed([text for _, text in chunks])
    for name, requests in (("generated", rows), ("by hand", by_hand)):
        asked = embedder.embed([text for _, text in requests])
        titles = np.array([title for title, _ in requests])
        topics = np.array([of.get(title, "") for title in titles])

        print(f"\n{len(requests)} requests ({name}), tickets within the threshold, in %")
        about = np.array([title for title, _ in tickets])
        table(distances(asked, stored), titles, topics, about, np.array([of[t] for t in about]), TICKETS)

        print(f"\n{len(requests)} requests ({name}), articles within the threshold, in %")
        names = list(of)
        far = distances(asked, parts)
        where = np.array([title for title, _ in chunks])
        nearest = np.stack([far[:, where == name].min(axis=1) for name in names], axis=1)
        table(nearest, titles, topics, np.array(names), np.array(list(of.values())), ARTICLES)


def text_of(first: str, second: str) -> str:
    return f"{first}\n\n{second}".strip()


def distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared L2 between unit vectors: shape (len(a), len(b))."""
    return np.maximum(0.0, 2.0 - 2.0 * a @ b.T)


def table(
    far: NDArray[np.float32],
    titles: NDArray[np.str_],
    topics: NDArray[np.str_],
    about: NDArray[np.str_],
    areas: NDArray[np.str_],
    thresholds: tuple[float, ...],
) -> None:
    """For each threshold the share that is near: of the same problem, of others in its area, of other areas."""
    same = titles[:, None] == about[None, :]
    area = (topics[:, None] == areas[None, :]) & ~same
    print("threshold   same problem   same area, other problem   other area")
    for threshold in thresholds:
        near = far <= threshold
        shares = [100.0 * near[which].mean() for which in (same, area, ~same & ~area)]
        print(f"{threshold:9.2f}   {shares[0]:12.1f}   {shares[1]:24.2f}   {shares[2]:10.3f}")


if __name__ == "__main__":
    main()
