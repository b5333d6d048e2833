/** What a tab remembers over a reload: of the conversation what no server keeps, and the API key. */

const CONVERSATION = "rag_graph.conversation";
const KEY = "rag_graph.key";

export function loadTurns() {
  try {
    return JSON.parse(sessionStorage.getItem(CONVERSATION)) ?? [];
  } catch {
    return [];
  }
}

/** Keep the conversation; where it does not fit, its oldest turns are given up. */
export function saveTurns(turns) {
  for (let first = 0; first <= turns.length; first += 1) {
    try {
      if (first < turns.length) sessionStorage.setItem(CONVERSATION, JSON.stringify(turns.slice(first)));
      else sessionStorage.removeItem(CONVERSATION);
      return;
    } catch {
      // The store is full or forbidden.
    }
  }
}

export function loadKey() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export function saveKey(key) {
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // It is asked for again after a reload.
  }
}
