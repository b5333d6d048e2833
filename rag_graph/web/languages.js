/** The languages that an answer can be asked for in: enough for most, and whoever needs another asks in it. */

const CODES = ["ar", "bn", "bg", "zh", "hr", "cs", "da", "nl", "en", "et", "fi", "fr", "de", "el", "he", "hi", "hu", "id", "it", "ja", "ko", "lv", "lt", "no", "fa", "pl", "pt", "ro", "ru", "sr", "sk", "sl", "es", "sv", "ta", "th", "tr", "uk", "ur", "vi"];

/** `{ code, name, own }` of each by its English name, which models know best; `own` is what its speakers call it. */
export const LANGUAGES = CODES.map((code) => ({ code, name: called(code, "en"), own: called(code, code) })).sort((left, right) => left.name.localeCompare(right.name, "en"));

/** For screen readers; null for a name that is none of these. */
export function codeOf(name) {
  return LANGUAGES.find((language) => language.name === name)?.code ?? null;
}

function called(code, language) {
  return new Intl.DisplayNames([language], { type: "language" }).of(code);
}
