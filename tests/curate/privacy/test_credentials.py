"""Secrets: tokens of known issuers, private keys and random-looking assignments; no words, hashes or placeholders.

The tokens are put together here, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import random
import string

import pytest

from millpond.curate.privacy.config import PiiConfig
from millpond.curate.privacy.pii import find, mask

RANDOM = random.Random(7)


def signs(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


TOKENS = {
    "aws_access_key": "AKIA" + "IOSFODNN7EXAMPLE",
    "github_token": "ghp_" + signs(36),
    "gitlab_token": "glpat-" + signs(20),
    "slack_token": "xoxb-" + signs(12, string.digits) + "-" + signs(24),
    "slack_webhook": "hooks.slack.com/services/" + "T" + signs(9) + "/B" + signs(9) + "/" + signs(24),
    "stripe_key": "sk_live_" + signs(24),
    "stripe_webhook_secret": "whsec_" + signs(32),
    "google_api_key": "AIza" + signs(35),
    "google_oauth_secret": "GOCSPX-" + signs(28),
    "google_oauth_token": "ya29." + signs(60),
    "anthropic_key": "sk-ant-" + "api03-" + signs(90),
    "openai_key": "sk-" + signs(48),
    "hugging_face_token": "hf_" + signs(34, string.ascii_letters),
    "npm_token": "npm_" + signs(36),
    "pypi_token": "pypi-AgEIcHlwaS5vcmc" + signs(80),
    "sendgrid_key": "SG." + signs(22) + "." + signs(43),
    "digitalocean_token": "dop_v1_" + signs(64, "0123456789abcdef"),
    "json_web_token": "eyJ" + signs(30) + ".eyJ" + signs(80) + "." + signs(43),
}


@pytest.mark.parametrize(("name", "token"), TOKENS.items(), ids=TOKENS.keys())
def test_tokens(name: str, token: str) -> None:
    for text in (token, f'"{token}"', f"key: {token}, and more", f"https://x.test/?k={token}&x=1"):
        [span] = find(text, ["secret"])
        assert (text[span.start : span.end], span.name) == (token, name)
    assert find(f"a{token}", ["secret"]) == []
    assert find(token[:8], ["secret"]) == []


def test_parts_that_are_secret() -> None:
    key = signs(86)
    text = f"AccountKey={key}==;EndpointSuffix=core and postgres://app:s3cret-pw@db.test/x"
    assert mask(text, PiiConfig())[0] == "AccountKey=<SECRET>;EndpointSuffix=core and postgres://<SECRET>@db.test/x"


def test_private_keys() -> None:
    body = "\n".join(signs(64) for _ in range(20))
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    assert mask(f"a\n{key}\nb\n{key}", PiiConfig())[0] == "a\n<SECRET>\nb\n<SECRET>"
    for text in (
        key.replace("-----END", "END"),
        "-----BEGIN PRIVATE KEY----- is how it begins",
        key.replace("PRIVATE", "PUBLIC"),
    ):
        assert [span for span in find(text, ["secret"]) if span.name == "private_key"] == []


SECRET = "q9Zt4LmR8vXc2WbY7nKd"


@pytest.mark.parametrize(
    "text",
    ['api_key = "{}"', "API-KEY: {}", "{{'secret': '{}'}}", "PASSWORD={}", "client_secret=>'{}'", "?token={}&x=1"],
)
def test_assignments(text: str) -> None:
    whole = text.format(SECRET)
    [span] = find(whole, ["secret"])
    assert whole[span.start : span.end] == SECRET


@pytest.mark.parametrize(
    "text",
    [
        f'name = "{SECRET}"',  # no secret's name
        f"monkey = {SECRET[:12]}",  # too short
        'api_key = "your_api_key_goes_here_1"',
        "token: xxxxxxxxxxxxxxxxxxxx1",
        "password = aaaaaaaaaaaaaaaa1111",
        "secret: internationalisation",
        "The token: https://docs.example.test/reference/index.html",
        "token = get_token_from_environment()",
        "password = base64.b64decode(text), secret = UTF8Deserializer3(), key = KEYS2[environment]",
        "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "https://h.test:8080/a@b and http://h.test/~me@home",
        "desk-top, task-force, ask-me, _test_, eyJ, AIza",
    ],
)
def test_no_secrets(text: str) -> None:
    assert find(text, ["secret"]) == []
