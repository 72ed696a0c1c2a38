"""Consent banners, as the common managers of consent set them into pages, are no part of the main text.

The markup is written after theirs: names of containers and classes, roles, places in the page; the words are ours.
"""

from __future__ import annotations

import pytest

from millpond.curate.extract import extract

_TOLD = (
    "We and our 212 partners store and access information on your device, such as cookies, to personalise ads and "
    "content, to measure them, and to learn who reads them. You can change your choice at any time."
)
#: Manager of consent → its banner, with a mark in each part of it.
BANNERS = {
    "OneTrust": (
        '<div id="onetrust-consent-sdk"><div class="onetrust-pc-dark-filter"></div><div id="onetrust-banner-sdk" '
        'class="otFlat bottom" role="region" aria-label="Cookie banner"><div role="alertdialog" aria-label="Privacy">'
        f'<div id="onetrust-policy"><div id="onetrust-policy-text">BANNERMARK {_TOLD} <a href="/cookies">More '
        'information</a></div></div><div id="onetrust-button-group-parent"><button id="onetrust-pc-btn-handler">'
        'Cookie settings</button><button id="onetrust-accept-btn-handler">BANNERMARK accept all</button></div></div>'
        "</div></div>"
    ),
    "Cookiebot": (
        '<div id="CybotCookiebotDialog" name="CybotCookiebotDialog" role="dialog" aria-modal="true" lang="en">'
        '<div id="CybotCookiebotDialogBody"><h2 id="CybotCookiebotDialogBodyContentTitle">BANNERMARK This website '
        f'uses cookies</h2><div id="CybotCookiebotDialogBodyContentText">BANNERMARK {_TOLD}</div></div>'
        '<div id="CybotCookiebotDialogBodyButtons"><button>Allow selection</button><button>Allow all</button></div>'
        "</div>"
    ),
    "Quantcast": (
        '<div class="qc-cmp2-container" id="qc-cmp2-container"><div class="qc-cmp2-main" id="qc-cmp2-main">'
        '<div id="qc-cmp2-ui" role="dialog" aria-modal="true"><div class="qc-cmp2-summary-info"><h2>BANNERMARK We '
        f'value your privacy</h2><p>BANNERMARK {_TOLD}</p></div><div class="qc-cmp2-summary-buttons"><button>More '
        "options</button><button>Agree</button></div></div></div></div>"
    ),
    "Didomi": (
        '<div id="didomi-host" class="didomi-host"><div class="didomi-popup-backdrop didomi-notice-popup">'
        '<div class="didomi-popup-notice" role="dialog" aria-label="Consent"><div id="didomi-notice-text">'
        f"<p>BANNERMARK {_TOLD}</p></div><div class='didomi-buttons'><button>Disagree and close</button>"
        "<button>Agree and close</button></div></div></div></div>"
    ),
    "Complianz": (
        '<div id="cmplz-cookiebanner-container"><div class="cmplz-cookiebanner banner-1 optin" aria-modal="true" '
        'role="dialog"><div class="cmplz-header"><div class="cmplz-title">BANNERMARK Manage consent</div></div>'
        f'<div class="cmplz-body"><div class="cmplz-message"><p>BANNERMARK {_TOLD}</p></div></div>'
        '<div class="cmplz-buttons"><button>Accept</button><button>Deny</button></div></div></div>'
    ),
    "cookieconsent": (
        '<div role="dialog" aria-live="polite" aria-label="cookieconsent" class="cc-window cc-banner cc-bottom">'
        f'<span id="cookieconsent:desc" class="cc-message">BANNERMARK {_TOLD} <a class="cc-link">Learn more</a>'
        '</span><div class="cc-compliance"><a role="button" class="cc-btn cc-dismiss">Got it!</a></div></div>'
    ),
    "home-made": (
        f'<div class="cookie-notice" style="position:fixed"><p>BANNERMARK {_TOLD}</p><a href="#" class="button">OK'
        "</a></div>"
    ),
}
_PARAGRAPHS = (
    "The mill on the lower river stopped grinding in the year of the great flood, and for two decades nobody thought "
    "that its wheel would ever turn again.",
    "Three carpenters from the valley have now rebuilt it, plank by plank, after drawings that the last miller's "
    "granddaughter found in a cupboard behind the grain store.",
    "They worked through two winters, when the water is low, and used oak from the hillside above the village, which "
    "they had to dry for eighteen months before they could cut a single tooth.",
    "On Saturday the sluice was opened for the first time, while half of the village stood on the bridge and watched "
    "the wheel take up the water, hesitate, and begin to turn.",
    "From next month on visitors can grind a sack of their own grain, and the baker on the square has promised to "
    "sell what comes of it.",
)


def page(before: str, after: str) -> bytes:
    article = "".join(f"<p>{paragraph}</p>" for paragraph in _PARAGRAPHS)
    return (
        "<!DOCTYPE html><html lang='en'><head><title>The mill turns again - Valley News</title></head><body>"
        f"{before}<header class='site-header'><a href='/'>Valley News</a><nav><ul><li><a href='/news'>News</a></li>"
        "<li><a href='/sport'>Sport</a></li><li><a href='/weather'>Weather</a></li></ul></nav></header>"
        f"<main><article><h1>The mill turns again</h1>{article}</article></main>"
        "<footer class='site-footer'><ul><li><a href='/about'>About us</a></li><li><a href='/privacy'>Privacy</a>"
        f"</li></ul><p>All rights reserved.</p></footer>{after}</body></html>"
    ).encode()


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", BANNERS)
def test_the_article_comes_without_its_banner(name: str, place: str) -> None:
    banner = BANNERS[name]
    text = extract(page(*((banner, "") if place == "before" else ("", banner)))).text or ""
    assert "BANNERMARK" not in text and "partners" not in text
    assert [line for line in text.split("\n") if line in _PARAGRAPHS] == list(_PARAGRAPHS)
