/** What a tab remembers over a reload: the conversation, how far each run was read, and the API key. */

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
      sessionStorage.setItem(CONVERSATION, JSON.stringify(turns.slice(first)));
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
    sessionStorage.setItem(KEY, key);
  } catch {
    // It is asked for again after a reload.
  }
}
