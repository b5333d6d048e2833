/** Joins the parts of the page. */

import { Access } from "./access.js";
import { addressOf, placeIn } from "./address.js";
import { Announcer } from "./announcer.js";
import { Conversation } from "./conversation.js";
import { h, say } from "./element.js";
import { History } from "./history.js";
import { Library } from "./library.js";
import { QuoteCard } from "./quote.js";
import { Server } from "./server.js";
import { Settings } from "./settings.js";
import { SourcePanel } from "./source.js";
import { composer } from "./start.js";
import { passagesByNumber, standing, written } from "./transcript.js";
import { Upload } from "./upload.js";
import { inventory, takeStock } from "./inventory.js";
import { Welcome } from "./welcome.js";

/** Here the history and a source leave no room for what is read between them. */
const NARROW = "(max-width: 100rem)";

const byId = (id) => document.getElementById(id);

const access = new Access();
const server = new Server(access);
const upload = new Upload({
  carryOut: async (send) => {
    const told = await send(server);
    library.refresh();
    lookThrough();
    return told;
  },
  announce: (words) => announcer.tell(words),
});
const panel = new SourcePanel(server);
const announcer = new Announcer(byId("announcements"));
const conversation = new Conversation({
  list: byId("turns"),
  server,
  announcer,
  chosen: () => settings.chosen,
  onRunning: (isRunning) => composer.setRunning(isRunning),
  onChange: () => told(),
  openSource: ({ transcript }, citation, opener) => {
    if (matchMedia(NARROW).matches) history.close();
    panel.open(citation, {
      citations: citationsWith(citation, transcript),
      passage: passagesByNumber(transcript).get(citation.marker),
      opener,
    });
  },
});
const history = new History({
  server,
  announce: (words) => announcer.tell(words),
  onDeleted: (id) => id === conversation.id && goTo(""),
  onRenamed: (id, title) => id === conversation.id && entitle(title),
});
const library = new Library({
  server,
  onScope: (one) => {
    scopeTo(one);
    library.close();
    composer.focus();
  },
  openDocument,
  onChange: (one) => {
    if (one.id === scope?.id) scopeTo(null);
    lookThrough();
  },
});
let scope = null;
const start = new Welcome(byId("welcome"), {
  onAsk: (question) => ask({ question, mode: "fast" }),
  onAdd: () => upload.input.click(),
  onGuide: async () => {
    await server.addGuide();
    await lookThrough();
    composer.focus();
  },
  onOpen: openDocument,
});
const settings = new Settings({ access, onHarder: (harder) => (composer.harder.checked = harder), onModel: tellModel });
const card = new QuoteCard((chip) => conversation.describe(chip));

document.body.append(history.element, panel.element, library.element, settings.element, access.element, card.element);
byId("new").before(history.button, library.button);
byId("new").after(settings.button);
// Before the button does its own work, since what closes gives the focus back.
library.button.addEventListener("click", () => panel.close(), { capture: true });
history.button.addEventListener("click", () => matchMedia(NARROW).matches && panel.close(), { capture: true });
card.attend(byId("turns"));
byId("new").addEventListener("click", startAnew);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its address would take the place of the conversation's
  composer.focus();
});
welcome();
// What a turn offers beyond itself; its buttons are far below.
byId("turns").addEventListener("page-ask", ({ detail }) => ask({ mode: "fast", ...detail }));
byId("turns").addEventListener("page-feedback", ({ detail: { runId, verdict, reason, claim, onDone } }) =>
  server.judge(runId, verdict, reason, claim).then(
    () => onDone(),
    (error) => onDone(error.message),
  ),
);
byId("turns").addEventListener("page-add", () => upload.input.click());
byId("turns").addEventListener("page-library", () => library.toggle());
let arriving = null;
let about = {};
const beginning = begin();
composer.attach({ onAsk: ask, onStop: () => conversation.stop() });

/** Show what the server, or else this tab, keeps of what the address names. */
async function begin() {
  offer(await server.config());
  lookThrough();
  if (conversation.isKept) {
    addEventListener("hashchange", visit);
    await visit();
    if (conversation.isEmpty && !location.hash) conversation.recall();
  } else {
    conversation.restore();
  }
  welcome();
}

async function ask(asked) {
  await beginning; // only then is it known who keeps what is asked
  await arriving; // and where
  say(byId("place"), "");
  panel.close();
  library.close();
  conversation.ask({ filters: scope ? { document: scope.id } : {}, ...asked });
  welcome();
}

function openDocument(one, opener) {
  library.close();
  panel.open({ document: one.id, title: one.title, uri: one.uri, source_start: -1 }, { citations: [], opener });
}

/** Hear anew what the library holds. */
async function lookThrough() {
  takeStock(await server.overview());
  start.update();
}

/** Ask only of this document, until that is taken back; null asks of all. */
function scopeTo(one) {
  scope = one;
  const all = () => {
    scopeTo(null);
    composer.focus();
  };
  composer.scope.hidden = !one;
  composer.scope.replaceChildren(
    ...(one ? [h("span", { dir: "auto" }, `Only “${one.title || one.uri}”`), h("button", { type: "button", class: "quiet", "aria-label": "Ask all documents", onclick: all }, "×")] : []),
  );
}

function startAnew() {
  panel.close();
  if (conversation.isKept) return goTo("");
  conversation.clear();
  welcome();
  return composer.focus();
}

/** Go to an address of the page, as if a link to it had been followed. */
function goTo(hash) {
  if (location.hash !== hash) globalThis.history.pushState(null, "", hash || location.pathname + location.search);
  return visit();
}

/** Show what the address of the page names. */
function visit() {
  return (arriving = show());
}

async function show() {
  const place = placeIn(location.hash);
  if (place.conversation && place.conversation === conversation.id && (!place.turn || conversation.goTo(place.turn))) return;
  panel.close();
  say(byId("place"), "");
  try {
    if (place.conversation || place.share) {
      const title = await conversation.open(place);
      if (title === null) return;
      entitle(title);
      if (place.share) byId("place").replaceChildren(h("strong", { dir: "auto" }, title), " A shared conversation, to be read only. ", h("a", { href: "#/" }, "Ask a question of your own"));
    } else {
      conversation.clear();
      entitle("");
    }
  } catch (error) {
    conversation.clear();
    entitle("");
    say(byId("place"), error.message);
  }
  byId("composer").hidden = Boolean(place.share);
  history.mark(conversation.id);
  welcome();
  if (!place.share) composer.focus();
}

/** A run has begun or ended: from its beginning on, the conversation has an address. */
function told() {
  if (!conversation.hasAddress) return;
  if (placeIn(location.hash).conversation !== conversation.id) {
    globalThis.history.pushState(null, "", addressOf({ conversation: conversation.id }));
    entitle(conversation.title);
  }
  history.mark(conversation.id);
  history.refresh();
}

function entitle(title) {
  say(byId("heading"), title || "A conversation with your documents");
  document.title = title ? `${title.slice(0, 80)} · rag_graph` : "Ask your documents · rag_graph";
}

function welcome() {
  byId("welcome").hidden = !conversation.isEmpty;
  byId("heading").hidden = conversation.isEmpty;
  byId("new").hidden = conversation.isEmpty;
}

/** What this server can do beyond answering. */
function offer({ upload: mayUpload, models, choices, version, conversations }) {
  about = { model: models.chat, version };
  settings.offer({ model: models.chat, choices });
  library.mayRemove = inventory.mayAdd = mayUpload;
  conversation.isKept = conversations;
  history.button.hidden = !conversations;
  if (!mayUpload) return;
  composer.hint.after(upload.button);
  composer.element.prepend(upload.note, upload.input);
  library.adding.append(h("button", { type: "button", class: "quiet", onclick: () => upload.input.click() }, "Add documents"), upload.list);
  upload.attend(document.body);
}

/** Who answers from now on. */
function tellModel(chosen) {
  byId("about").textContent = [chosen || about.model, about.version && `rag_graph ${about.version}`].filter(Boolean).join(" · ");
}

/** All that the answer cites, and the asked one, which may be a passage that was not confirmed. */
function citationsWith(citation, transcript) {
  const { citations } = written(transcript, standing(transcript));
  return citations.includes(citation) ? citations : [...citations, citation];
}
