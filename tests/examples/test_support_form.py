"""The support form, driven as a visitor drives it, on a real collection and a help desk over HTTP."""

from __future__ import annotations

import hashlib
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1 import AppTest, app_test

from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.stand_in import Answer, Call, StandIn, route
from kitestring.testing.zendesk import ZendeskStandIn

APP = Path(__file__).parents[2] / "examples" / "support_form" / "app.py"
VARIABLES = (
    *("MILVUS_URL", "MILVUS_TOKEN", "MILVUS_DB", "MILVUS_COLLECTION"),
    *("OPENAI_API_KEY", "OPENAI_MODEL", "OPENAI_BASE_URL"),
    *("ZENDESK_BASE_URL", "ZENDESK_EMAIL", "ZENDESK_API_TOKEN", "ZENDESK_OAUTH_TOKEN", "ORGANIZATION_ID"),
    *("ZENDESK_CLIENT_ID", "ZENDESK_CLIENT_SECRET", "ZENDESK_SCOPE"),
    *("TICKET_STATUSES", "TICKET_THRESHOLD", "ARTICLE_THRESHOLD", "SEARCH_TIMEOUT_S"),
)  # fmt: skip

# Ticket 37 of the made-up help desk: new, of Cobalt Energy, "Question: Scheduled report was not sent since the 3rd".
COBALT = "Cobalt Energy"
SUBJECT = "The report by email did not come"
TEXT = "Our scheduled report is set up to go out every Monday, but this week it was not sent to anybody."


class Page:
    """The page and what a visitor does with it."""

    def __init__(self) -> None:
        self.app = AppTest.from_file(str(APP), default_timeout=600).run()

    def write(
        self,
        subject: str = SUBJECT,
        text: str = TEXT,
        *,
        organization: str | None = COBALT,
        name: str = "Rosa Jansen",
        email: str = "rosa@cobaltenergy.example",
    ) -> Page:
        self.app.text_input(key="name").set_value(name)
        self.app.text_input(key="email").set_value(email)
        self.app.text_input(key="subject").set_value(subject)
        self.app.text_area(key="description").set_value(text)
        if organization is not None:
            self.app.selectbox(key="organization").set_value(organization)
        return self

    def click(self, key: str = "send") -> Page:
        self.app.button(key=key).click().run()
        assert not self.app.exception, self.app.exception
        return self

    @property
    def text(self) -> str:
        """Everything there is to read, Markdown's escapes taken away."""
        parts = [*self.app.markdown, *self.app.warning, *self.app.error, *self.app.success, *self.app.info]
        parts += [*self.app.subheader, *self.app.caption]
        return "\n".join(str(part.value) for part in parts).replace("\\", "")

    def still_has(self, subject: str = SUBJECT, text: str = TEXT) -> bool:
        app = self.app
        return app.text_input(key="subject").value == subject and app.text_area(key="description").value == text


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, demo_folder: Path, zendesk: ZendeskStandIn) -> Callable[..., None]:
    """The demo's collection, and tickets go to the help desk of this test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(demo_folder)
    monkeypatch.setenv("ZENDESK_BASE_URL", zendesk.url)
    monkeypatch.setenv("SEARCH_TIMEOUT_S", "50")  # a busy machine is no failure

    def change(**values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))

    return change


def created(zendesk: ZendeskStandIn) -> list[dict[str, Any]]:
    """The tickets that the form created."""
    return [call.json()["ticket"] for call in zendesk.calls("/tickets", "POST") if call.status == 201]


def test_a_request_like_an_open_ticket_of_the_organization_is_not_sent(zendesk: ZendeskStandIn) -> None:
    page = Page().write().click()
    assert "Not sent yet" in page.text
    assert "Question: Scheduled report was not sent since the 3rd" in page.text
    assert "Request #37 · Status: new" in page.text
    assert page.still_has()
    assert not zendesk.calls("/tickets", "POST")


def test_a_visitor_may_send_it_anyway(zendesk: ZendeskStandIn) -> None:
    page = Page().write().click().click("anyway")
    assert "Your request was sent: #61" in page.text
    (ticket,) = created(zendesk)
    assert ticket["subject"] == SUBJECT
    assert ticket["comment"] == {"body": TEXT}
    assert ticket["requester"] == {"name": "Rosa Jansen", "email": "rosa@cobaltenergy.example"}
    assert ticket["organization_id"] == 3005
    assert zendesk.desk.tickets[61]["status"] == "new"


class Impatient(ZendeskStandIn):
    """A help desk whose visitor clicks again while it makes a ticket."""

    second_click: Callable[[], object] = staticmethod(lambda: None)

    def create_ticket(self, call: Call) -> Any:
        if len(self.calls("/tickets", "POST")) == 1:
            self.second_click()
        return super().create_ticket(call)


def test_a_click_while_the_request_is_sent_does_not_lose_the_confirmation(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runners: list[tuple[app_test.LocalScriptRunner, RerunData]] = []

    class Runner(app_test.LocalScriptRunner):
        def request_rerun(self, rerun_data: RerunData) -> bool:
            runners.append((self, rerun_data))
            return super().request_rerun(rerun_data)

    monkeypatch.setattr(app_test, "LocalScriptRunner", Runner)

    def second_click() -> None:
        runner, clicked = runners[-1]
        assert runner.request_rerun(clicked)

    with Impatient(desk=HelpDesk(tickets=60)) as desk:
        environment(ZENDESK_BASE_URL=desk.url)
        page = Page().write().click()
        desk.second_click = second_click
        page.click("anyway")
        assert "Your request was sent: #61" in page.text
        assert len(desk.calls("/tickets", "POST")) == 1
        page.app.button[-1].click().run()
        assert [page.app.text_input(key=key).value for key in ("name", "subject")] == ["Rosa Jansen", ""]


def test_two_runs_of_the_page_at_once_send_one_request(
    zendesk: ZendeskStandIn, environment: Callable[..., None]
) -> None:
    from collection import Collection
    from helpdesk import HelpDesk as Desk
    from request import Draft, Sent, Visit
    from settings import from_environment

    zendesk.faults.slow_s = 1.0
    zendesk.faults.next("slow", on="/tickets")
    settings = from_environment()
    visit, collection, helpdesk = Visit(), Collection(settings), Desk(settings)
    draft = Draft("Rosa Jansen", "rosa@cobaltenergy.example", SUBJECT, TEXT)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: visit.send(draft, collection, helpdesk), range(2)))
    assert isinstance(visit.outcome, Sent)
    assert visit.outcome.number == 61
    assert len(zendesk.calls("/tickets", "POST")) == 1
    visit.begin_again()
    visit.send(draft, collection, helpdesk)
    assert len(created(zendesk)) == 2, "the same text, sent again on purpose"


def test_text_that_was_changed_after_the_warning_is_what_is_sent(zendesk: ZendeskStandIn) -> None:
    page = Page().write().click().write(text="Another thing entirely.").click("anyway")
    assert "Your request was sent" in page.text
    assert created(zendesk)[0]["comment"] == {"body": "Another thing entirely."}


def test_what_another_organization_reported_is_not_shown(zendesk: ZendeskStandIn) -> None:
    page = Page().write(organization="Aster Clinics").click()
    assert "Your request was sent: #61" in page.text
    assert "Scheduled report was not sent" not in page.text
    assert created(zendesk)[0]["organization_id"] == 3002


def test_tickets_that_are_no_longer_new_do_not_stand_in_the_way(
    zendesk: ZendeskStandIn, environment: Callable[..., None]
) -> None:
    same = next(t for t in zendesk.desk.live_tickets() if t["status"] == "solved" and t["organization_id"] == 3005)
    page = Page().write(same["subject"], same["description"]).click()
    assert "Your request was sent" in page.text
    environment(TICKET_STATUSES="new, solved")
    page = Page().write(same["subject"], same["description"]).click()
    assert f"Request #{same['id']} · Status: solved" in page.text


def test_articles_that_may_help_are_listed_as_links(zendesk: ZendeskStandIn) -> None:
    page = Page().write("Password reset mail missing", "I ask for a new password and no mail comes, also not in spam.")
    page.click()
    article = next(a for a in zendesk.desk.articles.values() if a["title"] == "Resetting a forgotten password")
    path = article["html_url"].partition(".example")[2]
    links = [m.value for m in page.app.markdown if "](" in m.value]
    assert links[0] == f"**[Resetting a forgotten password]({zendesk.url}{path})**"
    assert "Reset messages go out from accounts@larkspur.example" in page.text
    assert len(links) <= 5


def test_unrelated_articles_are_not_listed() -> None:
    page = Page().write("Thank you!", "The flowers in your office are lovely. Keep going.").click()
    assert "Your request was sent" in page.text
    assert "These articles" not in page.text


def test_thresholds_are_settings(environment: Callable[..., None]) -> None:
    environment(TICKET_THRESHOLD="0.01", ARTICLE_THRESHOLD="0.01")
    page = Page().write("Password reset mail missing", "I ask for a new password and no mail comes.").click()
    assert "Your request was sent" in page.text
    assert "These articles" not in page.text


def test_without_an_organization_nothing_is_compared(zendesk: ZendeskStandIn) -> None:
    page = Page().write(organization=None).click()
    assert "Your request was sent" in page.text
    assert "organization_id" not in created(zendesk)[0]


def test_the_organization_can_be_given_by_whoever_runs_the_form(environment: Callable[..., None]) -> None:
    environment(ORGANIZATION_ID="3005")
    page = Page()
    assert not page.app.selectbox
    assert "Request #37" in page.write(organization=None).click().text


def test_customers_of_a_real_help_desk_are_never_listed(environment: Callable[..., None]) -> None:
    environment(ZENDESK_BASE_URL="https://larkspur.zendesk.example")
    page = Page()
    assert not page.app.selectbox
    assert not page.app.expander


def test_an_empty_form_says_what_is_missing(zendesk: ZendeskStandIn) -> None:
    page = Page().write("", "   ", name="Rosa", email="rosa").click()
    for words in ("Please enter a subject.", "Please enter a description.", "This email address is not complete."):
        assert words in page.text
    assert page.app.text_input(key="name").value == "Rosa"
    assert not zendesk.calls("/tickets", "POST")


def test_a_text_that_the_help_desk_would_cut_is_kept_and_not_sent(zendesk: ZendeskStandIn) -> None:
    long = "It does not work. " * 10_000
    page = Page().write(text=long).click()
    assert "The description has 179,999 characters" in page.text
    assert page.still_has(text=long)
    assert not zendesk.calls("/tickets", "POST")


def test_a_long_text_is_compared_by_its_beginning_and_sent_whole(zendesk: ZendeskStandIn) -> None:
    long = TEXT + " And so on." * 5_000
    page = Page().write(text=long).click()
    page = page.click("anyway") if "Not sent yet" in page.text else page
    assert "Your request was sent" in page.text
    assert created(zendesk)[0]["comment"]["body"] == long


def test_text_with_markup_is_shown_as_it_is(zendesk: ZendeskStandIn) -> None:
    page = Page().write(
        "Leak", "The coffee machine leaks, there is water all over the kitchen.", organization="Quayside Museum"
    )
    page.click()
    (displayed,) = [m.value for m in page.app.markdown if "Click" in m.value]
    assert displayed == r"**\[Click\]\(javascript\:alert\(1\)\) \<b\>now\<\/b\> \*please\***"


# -- when something does not work


class Strict(ZendeskStandIn):
    """A help desk with a rule of its own."""

    rule = True

    def create_ticket(self, call: Call) -> Any:
        if self.rule:
            details = {"subject": [{"description": "Subject: must name a product", "error": "Invalid"}]}
            return Answer(
                422, {"error": "RecordInvalid", "description": "Record validation errors", "details": details}
            )
        return super().create_ticket(call)


def test_a_refused_ticket_keeps_the_text_and_can_be_sent_later(environment: Callable[..., None]) -> None:
    with Strict(tickets=5) as desk:
        environment(ZENDESK_BASE_URL=desk.url)
        page = Page().write("Hello", "Nothing like the others at all.", organization=None).click()
        assert "The help desk did not take the request" in page.text
        assert "Record validation errors" in page.text
        assert page.still_has("Hello", "Nothing like the others at all.")
        desk.rule = False
        assert "Your request was sent: #6" in page.click().text


def test_a_token_that_has_ended_is_renewed_and_the_ticket_is_made_once(
    environment: Callable[..., None], zendesk: ZendeskStandIn
) -> None:
    environment(ZENDESK_CLIENT_ID="larkspur", ZENDESK_CLIENT_SECRET="larkspur-secret")
    page = Page()
    zendesk.tokens.end_access()
    assert "Your request was sent" in page.write(organization=None).click().text
    assert [c.status for c in zendesk.calls("/tickets", "POST")] == [401, 201]
    assert len(zendesk.tokens.exchanges) == 2


def test_a_wrong_secret_of_the_client_is_told_without_showing_it(environment: Callable[..., None]) -> None:
    environment(ZENDESK_CLIENT_ID="larkspur", ZENDESK_CLIENT_SECRET="wrong-secret-1234")
    page = Page()
    page.write(organization=None).click()
    assert "Not sent." in page.text
    assert "401" in page.text
    assert "wrong-secret-1234" not in page.text
    assert page.still_has()


def test_a_help_desk_without_credentials_says_which_to_set(environment: Callable[..., None]) -> None:
    environment(ZENDESK_BASE_URL="https://acme.zendesk.com")
    assert "Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET" in Page().text


def test_wrong_credentials_are_told_without_showing_them(environment: Callable[..., None]) -> None:
    environment(ZENDESK_EMAIL="agent@larkspur.example", ZENDESK_API_TOKEN="wrong-token-1234")
    page = Page()
    assert "The list of organizations cannot be shown" in page.text
    page.write(organization=None).click()
    assert "Not sent." in page.text
    assert "401" in page.text
    assert "wrong-token-1234" not in page.text
    assert page.still_has()


def test_a_busy_help_desk_names_the_time_to_wait(zendesk: ZendeskStandIn) -> None:
    zendesk.faults.retry_after_s = 60
    zendesk.faults.next("rate_limit", on="/tickets")
    page = Page().write(organization=None).click()
    assert "Please try again in 60 seconds" in page.text
    assert page.still_has()
    assert "Your request was sent" in page.click().text


def test_an_attempt_that_is_repeated_bears_the_same_key(zendesk: ZendeskStandIn) -> None:
    zendesk.faults.next("drop", on="/tickets")
    page = Page().write(organization=None).click()
    assert "Your request was sent" in page.text
    first, second = (call.headers["idempotency-key"] for call in zendesk.calls("/tickets", "POST"))
    assert first == second


def test_an_unreachable_help_desk_keeps_the_text(environment: Callable[..., None]) -> None:
    environment(ZENDESK_BASE_URL="http://127.0.0.1:9", ORGANIZATION_ID="3002")
    page = Page().write("Hello", "Nothing like the others at all.", organization=None).click()
    assert "The help desk did not take the request" in page.text
    assert "refuses the connection" in page.text
    assert page.still_has("Hello", "Nothing like the others at all.")


def test_an_unreachable_milvus_lets_the_visitor_send_without_the_check(
    zendesk: ZendeskStandIn, environment: Callable[..., None]
) -> None:
    environment(MILVUS_URL="http://127.0.0.1:9", MILVUS_TOKEN="milvus-secret-1", SEARCH_TIMEOUT_S="3")
    page = Page().write().click()
    assert "We could not look for similar requests" in page.text
    assert "milvus-secret-1" not in page.text
    assert page.still_has()
    assert not zendesk.calls("/tickets", "POST")
    page.click("anyway")
    assert "Your request was sent" in page.text
    assert "could not be looked up" in page.text


def test_a_folder_that_another_process_has_open_is_told(
    demo_folder: Path, tmp_path: Path, environment: Callable[..., None]
) -> None:
    path = tmp_path / "locked.db"
    code = f"from pymilvus import MilvusClient; c = MilvusClient({str(path)!r}); print('open', flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "open"
        environment(MILVUS_URL=path)
        page = Page().write().click()
        assert "is in use by another process" in page.text
        assert page.still_has()
    finally:
        other.communicate("\n")


def test_a_demo_that_has_not_run_yet_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    page = Page().write().click()
    assert "there is no collection at .kitestring/demo/help_desk.db" in page.text
    assert "Run `kitestring demo` in this folder first" in page.text
    assert not any(tmp_path.iterdir())


class Embedder(StandIn):
    """An embedding API: refuses with `status`, or answers with the words of a text, counted."""

    status = 401

    @route("POST", "/v1/embeddings")
    def embeddings(self, call: Call) -> Answer:
        key = call.headers["authorization"].removeprefix("Bearer ")
        if self.status == 200:
            rows = [{"index": n, "embedding": counted(text)} for n, text in enumerate(call.json()["input"])]
            return Answer(200, {"data": rows, "model": call.json()["model"], "usage": {"total_tokens": 1}})
        return Answer(self.status, {"error": {"message": f"Incorrect API key provided: {key}", "code": "invalid"}})


def counted(text: str) -> list[float]:
    vector = [0.0] * 1536
    for word in re.findall(r"\w+", text.lower()):
        vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % 1536] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    with Embedder() as stand_in:
        yield stand_in


def test_a_refused_key_of_the_embedder_is_told_without_showing_it(
    embedder: Embedder, demo_folder: Path, environment: Callable[..., None]
) -> None:
    environment(
        MILVUS_URL=demo_folder / ".kitestring/demo/help_desk.db",
        MILVUS_COLLECTION="help_desk",
        OPENAI_API_KEY="sk-very-secret-key",
        OPENAI_BASE_URL=f"{embedder.url}/v1",
    )
    page = Page().write().click()
    assert "We could not look for similar requests" in page.text
    assert "401" in page.text
    assert "sk-very-secret-key" not in page.text
    assert page.still_has()


def test_an_embedder_that_is_down_does_not_keep_the_visitor_waiting(
    embedder: Embedder, demo_folder: Path, environment: Callable[..., None]
) -> None:
    embedder.status = 503
    environment(
        MILVUS_URL=demo_folder / ".kitestring/demo/help_desk.db",
        MILVUS_COLLECTION="help_desk",
        OPENAI_API_KEY="sk-very-secret-key",
        OPENAI_BASE_URL=f"{embedder.url}/v1",
        SEARCH_TIMEOUT_S="2",
    )
    page = Page().write().click()
    assert "the search got no answer within 2 s" in page.text
    assert page.still_has()


def test_a_collection_that_airbyte_filled_is_searched_with_an_openai_key(
    embedder: Embedder, zendesk: ZendeskStandIn, tmp_path: Path, environment: Callable[..., None]
) -> None:
    from pymilvus import DataType, MilvusClient

    from kitestring.destinations.milvus.connection import disconnect
    from kitestring.destinations.milvus.indexing import Indexing

    # As Airbyte's destination creates it: ids that Milvus makes, everything else in the dynamic field.
    path = tmp_path / "airbyte.db"
    client = MilvusClient(str(path))
    schema = client.create_schema(auto_id=True, enable_dynamic_field=True)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=1536)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 16})
    client.create_collection("zendesk", schema=schema, index_params=index)
    rows = []
    for ticket in zendesk.desk.live_tickets():
        text = f"subject: {ticket['subject']}\ndescription: {ticket['description']}\n"
        kept = {name: ticket[name] for name in ("id", "subject", "status", "organization_id", "url", "updated_at")}
        rows.append({**kept, "vector": counted(text), "text": text, "_ab_stream": "tickets"})
    client.insert("zendesk", rows)
    disconnect(client, Indexing(host=str(path), collection="zendesk"))

    embedder.status = 200
    environment(
        MILVUS_URL=path,
        MILVUS_TOKEN="any",
        OPENAI_API_KEY="sk-very-secret-key",
        OPENAI_BASE_URL=f"{embedder.url}/v1",
        TICKET_THRESHOLD="0.4",
    )
    ticket = zendesk.desk.tickets[37]
    page = Page().write(ticket["subject"], ticket["description"]).click()
    assert "Request #37 · Status: new" in page.text
    assert embedder.calls("/v1/embeddings")[-1].json()["model"] == "text-embedding-ada-002"
    page = Page().write("Thank you", "The flowers in your office are lovely.").click()
    assert "Your request was sent" in page.text


@pytest.mark.skipif("KITESTRING_MILVUS_URI" not in os.environ, reason="needs a server at KITESTRING_MILVUS_URI")
def test_a_server_with_a_token_is_searched_and_a_wrong_token_is_not_shown(
    zendesk: ZendeskStandIn,
    filled: Callable[..., None],
    environment: Callable[..., None],
) -> None:
    uri, token = os.environ["KITESTRING_MILVUS_URI"], "root:Milvus"
    filled({"host": uri, "auth": {"mode": "token", "token": token}, "collection": "zendesk"}, zendesk.desk)
    environment(MILVUS_URL=uri, MILVUS_TOKEN=token)
    page = Page().write().click()
    assert "Request #37 · Status: new" in page.text
    environment(MILVUS_TOKEN="root:very-wrong", SEARCH_TIMEOUT_S="15")
    page = Page().write().click()
    assert "We could not look for similar requests" in page.text
    assert "very-wrong" not in page.text
    assert page.still_has()


def test_a_setting_that_cannot_be_read_is_told(environment: Callable[..., None]) -> None:
    environment(TICKET_THRESHOLD="near")
    page = Page()
    assert not page.app.exception
    assert "This form is not set up yet: TICKET_THRESHOLD is not a number" in page.text


def test_an_address_that_is_none_is_told(environment: Callable[..., None]) -> None:
    environment(MILVUS_URL="milvus.example")
    page = Page()
    assert not page.app.exception
    assert "This form is not set up yet" in page.text


def test_nothing_set_runs_on_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZENDESK_BASE_URL")
    page = Page()
    assert "all-MiniLM-L6-v2" in page.text
    assert "Request #37" in page.write().click().text
    assert "Your request was sent: #401" in page.click("anyway").text


def test_another_request_begins_with_an_empty_form_and_the_same_person() -> None:
    page = Page().write("Thank you!", "The flowers in your office are lovely.").click()
    button = next(b for b in page.app.button if b.label == "Write another request")
    button.click().run()
    assert page.app.text_input(key="name").value == "Rosa Jansen"
    assert page.app.text_input(key="subject").value == ""
    assert page.app.text_area(key="description").value == ""
