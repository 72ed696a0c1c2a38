"""Stop words by language: Gopher's eight for English, the most frequent words of justext's lists for others.

justext (BSD; trafilatura brings it along) has lists for 94 more of lid.176's languages, the most frequent word
first. Of each, as many are taken as Gopher has for English: prose has two of them. Elsewhere nothing is counted.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from itertools import islice

from millpond.curate.languages import UNSPACED
from millpond.curate.signals.config import LanguageConfig
from millpond.curate.signals.gopher import STOP_WORDS
from millpond.curate.signals.words import split_words

_NAMES = (
    "af=Afrikaans an=Aragonese ar=Arabic ast=Asturian az=Azerbaijani be=Belarusian bg=Bulgarian bn=Bengali "
    "bpy=Bishnupriya_Manipuri br=Breton bs=Bosnian ca=Catalan ceb=Cebuano cs=Czech cv=Chuvash cy=Welsh "
    "da=Danish de=German el=Greek eo=Esperanto es=Spanish et=Estonian eu=Basque fa=Persian fi=Finnish "
    "fr=French fy=West_Frisian ga=Irish gl=Galician gu=Gujarati he=Hebrew hi=Hindi hr=Croatian ht=Haitian "
    "hu=Hungarian hy=Armenian id=Indonesian io=Ido is=Icelandic it=Italian jv=Javanese ka=Georgian kk=Kazakh "
    "kn=Kannada ko=Korean ku=Kurdish ky=Kyrgyz la=Latin lb=Luxembourgish lmo=Lombard lt=Lithuanian lv=Latvian "
    "mk=Macedonian ml=Malayalam mr=Marathi ms=Malay mt=Maltese nap=Neapolitan nds=Low_Saxon ne=Nepali "
    "new=Newar nl=Dutch nn=Norwegian_Nynorsk no=Norwegian_Bokmal oc=Occitan pl=Polish pms=Piedmontese "
    "pnb=Western_Panjabi pt=Portuguese qu=Quechua ro=Romanian ru=Russian scn=Sicilian sh=Serbo_Croatian "
    "sk=Slovak sl=Slovenian sq=Albanian sr=Serbian su=Sundanese sv=Swedish sw=Swahili ta=Tamil te=Telugu "
    "tk=Turkmen tl=Tagalog tr=Turkish uk=Ukrainian ur=Urdu uz=Uzbek vi=Vietnamese vo=Volapuk wa=Walloon "
    "war=Waray_Waray yo=Yoruba "
)
#: ISO 639 code → name of justext's list.
NAMES = dict(pair.split("=") for pair in _NAMES.split())


def stop_words(language: str | None, config: LanguageConfig) -> tuple[str, ...]:
    """The stop words of a language under a configuration."""
    if language is None:
        return STOP_WORDS
    own = config.override.get(language)
    if own is not None and own.stop_words is not None:
        return own.stop_words
    if config.stop_words == "packaged":
        return packaged(language)
    return () if language in UNSPACED else STOP_WORDS


@cache
def packaged(language: str) -> tuple[str, ...]:
    """The most frequent words of a language; none where there is no list."""
    if language == "en":
        return STOP_WORDS
    if language not in NAMES:
        return ()
    # `justext.get_stoplist` gives a set: the order, which is by frequency, is in the file alone.
    data = pkgutil.get_data("justext", f"stoplists/{NAMES[language]}.txt") or b""
    words = (word for word in data.decode().split() if word == word.lower() and split_words(word) == [word])
    return tuple(islice(words, len(STOP_WORDS)))
