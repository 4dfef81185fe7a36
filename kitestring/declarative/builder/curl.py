"""A line of cURL as an HTTP call: as documentations print it, and as browsers copy it for every shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote

from kitestring.declarative.builder.http_call import HttpCall
from kitestring.errors import ConfigError

LARGEST = 1_000_000
"""Characters of a command."""
WITH_VALUE = frozenset(
    {
        *("-X", "--request", "-H", "--header", "-d", "--data", "--data-raw", "--data-binary", "--data-ascii"),
        *("--data-urlencode", "--json", "-F", "--form", "--form-string", "-u", "--user", "--url", "-b", "--cookie"),
        *("-A", "--user-agent", "-e", "--referer", "--oauth2-bearer", "-o", "--output", "-m", "--max-time", "-x"),
        *("--proxy", "-c", "--cookie-jar", "--connect-timeout", "--retry", "--retry-delay", "--cacert", "--cert"),
        *("-E", "--key", "--resolve", "-w", "--write-out", "-D", "--dump-header", "-T", "--upload-file", "-K"),
        *("--config", "--limit-rate", "--max-redirs", "--interface", "-r", "--range", "--ciphers", "--proxy-user"),
        *("--url-query", "--variable", "--aws-sigv4", "--retry-max-time", "-z", "--time-cond", "-C", "--tls-max"),
    }
)
"""The options of cURL that take a value. All others are flags."""
DATA = frozenset({"-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--json"})
ANSI = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "e": "\x1b"}
ANSI_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL
)


def parse_curl(text: str) -> tuple[HttpCall, list[str]]:
    """The call of a command, and notes on what was left out. `ConfigError` for a text that is no command of cURL."""
    if len(text) > LARGEST:
        raise ConfigError(f"the command has {len(text):,} characters, the limit is {LARGEST:,}")
    words = words_of(text)
    while words and words[0] in ("$", ">", "sudo", "time", "exec"):
        words.pop(0)
    if not words or words[0].rsplit("/")[-1].lower() not in ("curl", "curl.exe"):
        raise ConfigError(
            "the text does not begin with curl",
            hint='Paste a whole command: curl -H "…" https://api.example.com/v1/things',
        )
    command, notes = Command(), list[str]()
    rest = iter(words[1:])
    for word in rest:
        if word in ("|", ";", "&&", ">", "2>"):
            break
        for name, value in command.options(word, rest):
            command.take(name, value, notes)
    return command.call(notes), notes


class Command:
    """The part of a command that was read so far."""

    def __init__(self) -> None:
        self.method, self.urls, self.headers = "", list[str](), list[tuple[str, str]]()
        self.data: list[str] = []
        self.user: str | None = None
        self.in_query, self.json, self.head = False, False, False

    def options(self, word: str, words: Iterator[str]) -> list[tuple[str, str]]:
        """The options of a word with their values: `-sS`, `-XPOST`, `--url=…`, an address."""
        if not word.startswith("-") or word == "-":
            return [("--url", word)]
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            if name in WITH_VALUE:
                return [(name, value if equals else next(words, ""))]
            return [(word, "")]
        options: list[tuple[str, str]] = []
        letters = word[1:]
        while letters:
            name, letters = f"-{letters[0]}", letters[1:]
            if name in WITH_VALUE:
                options.append((name, letters or next(words, "")))
                break
            options.append((name, ""))
        return options

    def take(self, name: str, value: str, notes: list[str]) -> None:
        match name:
            case "--url":
                self.urls.append(value)
            case "-X" | "--request":
                self.method = value.upper()
            case "-H" | "--header":
                header, colon, content = value.partition(":")
                if value.startswith("@"):
                    notes.append("Headers of a file are left out: no file of this machine is read.")
                elif colon and header.strip():
                    self.headers.append((header.strip(), content.strip()))
            case "-u" | "--user":
                self.user = value
            case "--oauth2-bearer":
                self.headers.append(("Authorization", f"Bearer {value}"))
            case "-b" | "--cookie":
                if "=" in value:
                    self.headers.append(("Cookie", value))
                else:
                    notes.append("Cookies of a file are left out: no file of this machine is read.")
            case "-G" | "--get":
                self.in_query = True
            case "-I" | "--head":
                self.head = True
            case "--url-query":
                self.data.append(value)
                self.in_query = True
            case "-F" | "--form" | "--form-string" | "-T" | "--upload-file":
                notes.append(f"{name} sends a form with files, which a stream cannot; it is left out.")
            case "-K" | "--config" | "-E" | "--cert" | "--key":
                notes.append(f"{name} names a file of the machine that the command was made on; it is left out.")
            case _ if name in DATA:
                self.take_data(name, value, notes)

    def take_data(self, name: str, value: str, notes: list[str]) -> None:
        if value.startswith("@") and name != "--data-raw":
            notes.append("The data of a file are left out: no file of this machine is read.")
            return
        if name == "--json":
            self.json = True
        if name == "--data-urlencode":
            key, equals, content = value.partition("=")
            value = f"{key}={quote(content)}" if equals and key else quote(content if equals else value)
        self.data.append(value)

    def call(self, notes: list[str]) -> HttpCall:
        urls = [url for url in self.urls if url]
        if not urls:
            raise ConfigError("the command has no address", hint="Add the address that it reads.")
        if len(urls) > 1:
            notes.append(f"The command has {len(urls)} addresses; only the first is taken.")
        url = urls[0] if "://" in urls[0] else f"https://{urls[0]}"
        body = ("" if self.json else "&").join(self.data)
        if self.in_query and body:
            url = url.partition("#")[0]
            url, body = url + ("&" if "?" in url else "?") + body, ""
        headers = list(self.headers)
        named = {name.lower() for name, _ in headers}
        if self.json and "content-type" not in named:
            headers.append(("Content-Type", "application/json"))
        if body and "content-type" not in named and not self.json and not body.lstrip().startswith(("{", "[")):
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        method = self.method or ("POST" if body else "GET")
        if self.head or method == "HEAD":
            notes.append("The command asks for headers only; the stream asks for the whole answer.")
            method = "GET"
        return HttpCall(method, url, headers, body, self.user)


def words_of(text: str) -> list[str]:
    """The words of a command as a shell takes them, for POSIX shells and for Windows (`^`, and the backtick of
    PowerShell at the end of a line)."""
    text = text.strip().removeprefix("\ufeff").replace("\r\n", "\n")
    if re.search(r"\^\n|\^\"", text):  # cmd: a caret keeps the next character
        text = re.sub(r"\^\n\s*", " ", text)
        text = re.sub(r"\^(.)", r"\1", text)
    text = re.sub(r"[\\`]\n", " ", text)
    pieces: list[str] = []
    end = 0
    # $'…' of bash: shlex does not know it.
    for match in re.finditer(r"(?<![\w'\"])\$'((?:[^'\\]|\\.)*)'", text, re.DOTALL):
        pieces += [text[end : match.start()], shlex.quote(ANSI_ESCAPE.sub(unescaped, match[1]))]
        end = match.end()
    text = "".join([*pieces, text[end:]])
    try:
        lexer = shlex.shlex(text.replace("\n", " ") if "'" not in text and '"' not in text else text, posix=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        return list(lexer)
    except ValueError as error:
        raise ConfigError(
            f"the command cannot be split into words: {error}", hint="Paste the whole command, with all its quotes."
        ) from None


def unescaped(match: re.Match[str]) -> str:
    byte, short, long, octal, letter = match.groups()
    if letter is not None:
        return ANSI.get(letter, f"\\{letter}")
    code = int(octal, 8) if octal is not None else int(byte or short or long, 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
