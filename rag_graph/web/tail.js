/** Closes what the end of an unfinished block has left open, so that half-written syntax never shows as signs. */

const FENCE = /^ {0,3}(?:`{3,}|~{3,})/gm;
const UNFINISHED_LINK = /!?\[([^\]\n]*)\]\([^)\n]*$/;

export function closed(source) {
  if ((source.match(FENCE) ?? []).length % 2) return source;
  const begin = source.lastIndexOf("\n") + 1;
  const line = source.slice(begin);
  if (isOdd(line, /`/g)) return line.endsWith("`") ? source.slice(0, -1) : `${source}\``;
  const words = line.replace(UNFINISHED_LINK, "$1");
  if (!isOdd(words.replace(/`[^`]*`/g, ""), /\*\*/g)) return source.slice(0, begin) + words;
  const bare = words.replace(/\*\*$/, "");
  return source.slice(0, begin) + (bare === words ? `${words.trimEnd().replace(/(?<!\*)\*$/, "")}**` : bare);
}

function isOdd(text, sign) {
  return (text.match(sign) ?? []).length % 2 === 1;
}
