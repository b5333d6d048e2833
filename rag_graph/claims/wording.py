"""What in an answer's sentences is no claim: greetings, lead-ins, refusals, and the words around a claim."""

import re

_REFUSAL = re.compile(
    r"\b(?:do(?:es)?|did) ?n[o'’]t (?:\w+ ){0,2}(?:say|mention|contain|provide|include|specif|state|give|discuss"
    r"|address|cover|indicate|answer|describe|explain|know|have|elaborate|offer|detail)"
    r"|\b(?:i|we) (?:cannot|can['’]t|could not|couldn['’]t|am not|was unable|am unable)\b"
    r"|\bno (?:\w+ ){0,2}(?:information|mention|answer|relevant|source|passage|details?)\b"
    r"|\bnot (?:\w+ ){0,2}(?:mentioned|specified|stated|provided|found|covered|discussed|given) (?:in|by)\b"
    r"|\bnicht (?:\w+ )?(?:hervor|erwähnt|genannt|enthalten|angegeben|beantwort)|\bkeine (?:\w+ )?(?:informatio|angabe)"
    r"|\bne (?:\w+ )?(?:mentionne|précise|contien|fourni|indique)\w*|\baucune (?:information|mention)"
    r"|\bno (?:menciona|contiene|proporciona|indica|especifica|incluye)\w*|\bninguna (?:información|mención)"
    r"|\bnon (?:menziona|contien|forni|indica|specifica)\w*|\bnessuna (?:informazione|menzione)"
    r"|\bnão (?:menciona|cont[ée]m|fornece|indica|especifica)\w*|\bnenhuma (?:informação|menção)"
    r"|\b(?:niet|geen) (?:\w+ )?(?:vermeld|genoemd|informatie|bevat)"
    r"|未提及|没有提到|没有提供|未说明|沒有提到|記載(?:が|は)?(?:ありません|ない)|記載されていません"
    r"|언급(?:되지|하지) 않",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"\b(?:sources?|passages?|documents?|context|texts?|excerpts?|information|articles?|i|we|quellen?|texte?|dokumente?"
    r"|abschnitte?|fuentes?|documentos?|textos?|passagens?|fontes?|fonti|documenti|testi|brani|bronnen|documenten"
    r"|teksten|contexte|contexto|kontext)\b|文|資料|ソース|문서|자료",
    re.IGNORECASE,
)
_CHAT = re.compile(
    r"\W*(?:here (?:is|are)\b|here['’]s\b|let me\b|sure\b|certainly\b|of course\b|i hope\b|hope this\b|please\b"
    r"|i (?:found|will|can|would|['’]m|am)\b|based on the (?:sources|passages|documents|context)[^,]*[,:]?$|thank"
    r"|you (?:can find|['’]re welcome)|you['’]re welcome|sources?:|references?:|hello\b|hi\b|good (?:morning|question)"
    r"|great question|feel free\b|if you (?:have|need|would like|want)\b[^.]*\b(?:question|ask|help|let me|know)"
    r"|hallo\b|gerne\b|natürlich\b|hier (?:ist|sind)\b|bonjour\b|voici\b|bien sûr\b|hola\b|claro\b|aquí (?:está|tiene)"
    r"|ciao\b|certo\b|ecco\b|olá\b|aqui (?:está|estão)\b|hoi\b|natuurlijk\b|hier (?:is|zijn)\b"
    r"|(?:in (?:summary|short|conclusion|brief|a nutshell)|to (?:summari[sz]e|sum up|conclude)|overall|zusammenfassend"
    r"|kurz gesagt|en résumé|en resumen|in sintesi|em resumo|samengevat)[,:.]?$)",
    re.IGNORECASE,
)
_AROUND = re.compile(
    r"\W*(?:(?:yes|no|sure|right|correct|indeed|well|so|ja|nein|oui|non|sí|sì|sim|nee|nej|tak|nie|да|нет|так|ні|evet|hayır|نعم"
    r"|لا|是的?|对|對|不是?|否|はい|いいえ|네|예|아니요|아니오)(?:[,.:;—–，、。：،]|-(?=\s))+"
    r"|(?:in (?:summary|short|conclusion|brief|addition|other words|particular|fact|general)|to (?:summari[sz]e|sum up"
    r"|conclude)|overall|additionally|furthermore|moreover|also|finally|specifically|note that|please note that|for"
    r" (?:example|instance)|importantly|notably|therefore|thus|as a result|however|zusammenfassend|außerdem|en résumé"
    r"|de plus|en resumen|además|in sintesi|inoltre|em resumo|além disso|samengevat|bovendien)[,:]?(?=\s)"
    r"|(?:according to|based on|as (?:stated|mentioned|described|noted|reported) in|as per|in|laut|gemäß|selon|según"
    r"|secondo|segundo|volgens) (?:the |this |these |der |dem |den |le |la |les |los |il |o |os |de |het )?"
    r"(?:(?:provided|given|above|retrieved) )?(?:sources?|passages?|texts?|documents?|articles?|context|excerpts?"
    r"|information|quellen?|texte?|dokument(?:en)?|fuentes?|documentos?|fonti|bronnen)(?: \d{1,2}| provided)?[,:]?"
    r"(?=\s)"
    r"|(?:(?:the|this) )?(?:passages?|texts?|articles?|sources?|documents?|authors?|context|summary|excerpt|report)"
    r"(?: \d{1,2})? (?:also |further |then |briefly )?(?:states?|says?|mentions?|notes?|describes?|explains?|reports?"
    r"|discusses?|highlights?|provides?|indicates?|suggests?|adds?|emphasi[sz]es?|discuss|outlines?|details?|concludes?)"
    r"(?: that| how)?(?=\s)|it (?:also )?(?:states|says|mentions|notes|adds) that(?=\s))\s*",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"\s*(?:\((?:\d{1,2}(?:, ?\d{1,2})*)\)"
    # What a marker leaves behind that was told as "(Source: [1])".
    r"|\((?i:(?:see |siehe |voir |ver )?(?:sources?|documents?|docs?|passages?|references?|refs?|quellen?|fuentes?"
    r"|fonti?|fontes?|bron(?:nen)?|来源|出典))[.:：]?\s*\)"
    r"|<sup>\[?\d{1,2}\]?</sup>|(?<=[\w.,;:!?)”\"])\s*[¹²³⁴-⁹⁰]{1,2})"
    r"(?=\s*[.!?。]?[\s*_”\"')]*$)"
)
_TAGS = re.compile(r"</?[a-z][^<>\n]{0,60}>", re.IGNORECASE)


def is_talk(words: str) -> bool:
    """Tell questions, lead-ins, refusals and talk from claims."""
    bare = words.rstrip(" *_\"'”’)")
    if bare.endswith(("?", ":", "？", "：")) or _CHAT.match(words):
        return True
    # "The law does not mention it" may be a claim about the law; about "the sources" it is a refusal.
    return is_refusal(words)


def is_refusal(words: str) -> bool:
    """Whether these words say that the sources do not say something."""
    return bool(_REFUSAL.search(words) and _SPEAKER.search(words))


def without_wrapping(words: str) -> str:
    """The claim itself: without "Yes,", "According to the passage," and numbers that only point to a source."""
    # Markers were blanked out, and the patterns would go over long runs of blanks again and again.
    bare = _TAGS.sub(" ", _MARKS.sub("", " ".join(words.split())))
    while around := _AROUND.match(bare):
        if around.end() == len(bare):
            break
        bare = bare[around.end() :]
    return bare
