"""The page: `streamlit run examples/support_form/app.py`."""

from __future__ import annotations

import re
from datetime import date

import streamlit as st
from collection import Article, Collection, Ticket
from helpdesk import HelpDesk
from request import Draft, Incomplete, Outcome, Refused, Sent, Similar, Unchecked, Visit, error_texts
from settings import Settings, from_environment

from kitestring.errors import KitestringError

KEPT = "Everything you typed is still here."


@st.cache_resource(show_spinner=False)
def collection_of(settings: Settings) -> Collection:
    """One connection for all visitors: a Milvus Lite folder can be opened once."""
    collection = Collection(settings)
    collection.warm()
    return collection


@st.cache_resource(show_spinner=False)
def helpdesk_of(settings: Settings) -> HelpDesk:
    return HelpDesk(settings)


@st.cache_data(show_spinner=False, ttl=300)
def organizations_of(settings: Settings) -> dict[str, int]:
    return {organization.name: organization.id for organization in helpdesk_of(settings).organizations()}


def page() -> None:
    st.set_page_config(page_title="Contact support", page_icon="💬", layout="centered")
    st.title("How can we help?")
    try:
        settings = from_environment()
        helpdesk_of(settings)
        collection_of(settings)
    except KitestringError as error:
        st.error(f"This form is not set up yet: {plain(error.message)}. {plain(error.hint)}", icon=":material/build:")
        return
    visit: Visit = st.session_state.setdefault("visit", Visit())
    if isinstance(visit.outcome, Sent):
        show_sent(visit.outcome, visit, settings)
    else:
        st.write("Tell us what happened. We look first whether a colleague of yours has reported it already.")
        form(visit, settings)
    if settings.demo:
        about(settings)


def form(visit: Visit, settings: Settings) -> None:
    """The fields, the reason why they cannot be sent, and the buttons."""
    outcome, anyway = visit.outcome, False
    with st.form("request", enter_to_submit=False):
        left, right = st.columns(2)
        name = left.text_input("Your name", key="name", value=visit.name, autocomplete="name")
        email = right.text_input(
            "Your email",
            key="email",
            value=visit.email,
            placeholder="name@example.com",
            autocomplete="email",
        )
        organization_id = organization(settings)
        subject = st.text_input("Subject", key="subject", placeholder="What is it about, in a few words?")
        description = st.text_area(
            "Description",
            key="description",
            height=200,
            placeholder="What did you do, what did you expect, and what happened instead?",
        )
        if outcome is not None:
            show(outcome, settings)
        with st.container(horizontal=True, vertical_alignment="center"):
            again = isinstance(outcome, Similar | Unchecked)
            send = st.form_submit_button("Check again" if again else "Send request", type="primary", key="send")
            if again:
                anyway = st.form_submit_button("Send anyway", icon=":material/send:", key="anyway")
    if not (send or anyway):
        return
    draft = Draft(name.strip(), email.strip(), subject.strip(), description.strip(), organization_id)
    with st.spinner("Sending your request …" if anyway else "Looking for similar requests …"):
        try:
            visit.send(draft, collection_of(settings), helpdesk_of(settings), compare=not anyway)
        except Exception as error:  # noqa: BLE001 - whatever happens, the visitor keeps the text
            visit.outcome = Refused(*error_texts(error, settings))
    st.rerun()


def organization(settings: Settings) -> int | None:
    """Whose request it is. Behind a login that is known; only the made-up help desk shows the list of its customers."""
    if settings.organization_id is not None or not settings.demo:
        return settings.organization_id
    try:
        known = organizations_of(settings)
    except Exception as error:  # noqa: BLE001 - the form does without
        small(f"The list of organizations cannot be shown: {error_texts(error, settings)[0]}.")
        known = {}
    chosen = st.selectbox(
        "Organization (optional)",
        list(known),
        index=None,
        key="organization",
        placeholder="Choose your organization",
        help="Similar requests are looked for within your organization. Nobody else sees them.",
    )
    return known.get(chosen) if chosen else None


def show(outcome: Outcome, settings: Settings) -> None:
    """Why the request was not sent."""
    match outcome:
        case Incomplete(problems):
            st.warning("**Not sent yet.** " + " ".join(map(plain, problems)), icon=":material/edit_note:")
        case Similar(tickets):
            what = "this open request" if len(tickets) == 1 else "these open requests"
            st.warning(
                f"**Not sent yet.** Your organization has {what} about something very similar."
                " If yours is the same problem, there is nothing more to do: we are on it."
                " If it is another one, send it anyway.",
                icon=":material/content_copy:",
            )
            for ticket in tickets:
                show_ticket(ticket, settings)
        case Unchecked(reason, hint):
            st.error(
                f"**Not sent yet.** We could not look for similar requests. {KEPT}"
                " Try again in a moment, or send it without this check.",
                icon=":material/search_off:",
            )
            details(reason, hint)
        case Refused(reason, hint, wait_s):
            when = f"Please try again in {wait_s:.0f} seconds." if wait_s else "Please try again in a moment."
            st.error(f"**Not sent.** The help desk did not take the request. {KEPT} {when}", icon=":material/error:")
            details(reason, hint)


def details(reason: str, hint: str) -> None:
    small(f"Details: {reason.rstrip('.')}. {hint}")


def show_ticket(ticket: Ticket, settings: Settings) -> None:
    facts = [f"Request #{ticket.number}", f"Status: {ticket.status}", updated(ticket.updated)]
    if settings.demo:
        facts.append(f"Distance {ticket.distance:.2f}")
    with st.container(border=True, gap=None):
        st.markdown(f"**{plain(ticket.subject)}**")
        small(" · ".join(fact for fact in facts if fact))


def updated(day: str) -> str:
    try:
        when = date.fromisoformat(day)
    except ValueError:
        return ""
    return f"Last update {when.day} {when:%B %Y}"


def small(text: str) -> None:
    # Not `st.caption`: its grey is too faint to be read by everybody.
    st.markdown(f":small[{plain(text)}]")


def show_sent(sent: Sent, visit: Visit, settings: Settings) -> None:
    """The confirmation, and what may help in the meantime."""
    st.success(
        f"**Thank you. Your request was sent: #{sent.number}.** We answer to {plain(sent.draft.email)}.",
        icon=":material/check_circle:",
    )
    with st.expander(f"What you sent: {plain(sent.draft.subject)}"):
        st.text(sent.draft.description)
    if sent.articles:
        st.subheader("These articles may help in the meantime")
        for article in sent.articles:
            show_article(article, helpdesk_of(settings).link(article.url), settings)
    elif sent.trouble:
        st.info("Articles that may help could not be looked up this time.", icon=":material/search_off:")
        details(sent.trouble, "")
    st.button("Write another request", on_click=visit.begin_again, icon=":material/add:")


def show_article(article: Article, url: str, settings: Settings) -> None:
    with st.container(border=True, gap=None):
        st.markdown(f"**[{plain(article.title)}]({address(url)})**")
        if article.snippet:
            small(article.snippet)
        if settings.demo:
            small(f"Distance {article.distance:.2f}")


def about(settings: Settings) -> None:
    """The settings that the form uses: for whoever tries it, not for customers."""
    with st.expander("About this demo", icon=":material/info:"):
        desk = settings.zendesk_base_url or "the made-up one of the demo, in this process"
        st.markdown(
            "\n".join(
                [
                    f"- Collection **{plain(settings.collection)}** in {plain(settings.milvus_url)}",
                    f"- Embedder **{plain(settings.embedder)}**",
                    f"- Tickets with status **{plain(' or '.join(settings.ticket_statuses))}** are similar up to the"
                    f" distance **{settings.ticket_threshold:g}**, articles up to **{settings.article_threshold:g}**",
                    f"- Help desk: {plain(desk)}",
                ]
            )
        )


def plain(text: str) -> str:
    """Text that means nothing in Markdown: what people typed is shown, never interpreted."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def address(url: str) -> str:
    """An address that cannot end its Markdown link."""
    return re.sub(r"[\s()<>\\]", lambda match: f"%{ord(match[0]):02X}", url)


page()
