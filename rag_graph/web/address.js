/** Addresses on the page: `#/c/ID` is a conversation, `#/c/ID/TURN` a turn of it, `#/s/SHARE` one that is shared. */

const CONVERSATION = /^#\/c\/([\w-]{1,64})(?:\/([\w-]{1,64}))?$/;
const SHARED = /^#\/s\/([\w-]{1,64})$/;

export function placeIn(hash) {
  const [, conversation = "", turn = ""] = CONVERSATION.exec(hash) ?? [];
  const [, share = ""] = SHARED.exec(hash) ?? [];
  return { conversation, turn, share };
}

export function addressOf({ conversation, turn = "", share = "" }) {
  if (share) return `#/s/${share}`;
  return turn ? `#/c/${conversation}/${turn}` : `#/c/${conversation}`;
}

/** As it can be sent to somebody. */
export function wholeAddress(place) {
  const here = new URL(location.href);
  here.hash = addressOf(place);
  return here.href;
}
