/** Joins the parts of the page. */

import { Access } from "./access.js";
import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { h } from "./element.js";
import { Library } from "./library.js";
import { QuoteCard } from "./quote.js";
import { Server } from "./server.js";
import { SourcePanel } from "./source.js";
import { passagesByNumber, standing, written } from "./transcript.js";
import { Upload } from "./upload.js";
import { inventory, takeStock } from "./inventory.js";
import { Welcome } from "./welcome.js";

const byId = (id) => document.getElementById(id);

const access = new Access();
const server = new Server(access);
const upload = new Upload(async (files, onProgress) => {
  const told = await server.upload(files, onProgress);
  library.refresh();
  lookThrough();
  return told;
});
const composer = new Composer({
  onAsk: (asked) => ask(asked),
  onStop: () => conversation.stop(),
});
const panel = new SourcePanel(server);
const conversation = new Conversation({
  list: byId("turns"),
  server,
  announcer: new Announcer(byId("announcements")),
  onRunning: (isRunning) => composer.setRunning(isRunning),
  openSource: ({ transcript }, citation, opener) =>
    panel.open(citation, {
      citations: citationsWith(citation, transcript),
      passage: passagesByNumber(transcript).get(citation.marker),
      opener,
    }),
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
const card = new QuoteCard((chip) => conversation.describe(chip));

byId("composer").append(composer.element);
document.body.append(panel.element, library.element, access.element, card.element);
byId("new").before(library.button);
library.button.addEventListener("click", () => panel.close());
card.attend(byId("turns"));
byId("new").addEventListener("click", startAnew);
conversation.restore();
welcome();
composer.focus();
// What a turn offers beyond itself; its buttons are far below.
byId("turns").addEventListener("page-ask", ({ detail }) => ask({ mode: "fast", ...detail }));
byId("turns").addEventListener("page-feedback", ({ detail: { runId, verdict, reason, onDone } }) =>
  server.judge(runId, verdict, reason).then(
    () => onDone(),
    (error) => onDone(error.message),
  ),
);
byId("turns").addEventListener("page-add", () => upload.input.click());
byId("turns").addEventListener("page-library", () => library.toggle());
offer(await server.config());
await lookThrough();

function ask(asked) {
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
    ...(one ? [h("span", { dir: "auto" }, `Only ${one.title || one.uri}`), h("button", { type: "button", class: "quiet", "aria-label": "Ask all documents", onclick: all }, "×")] : []),
  );
}

function startAnew() {
  panel.close();
  conversation.clear();
  welcome();
  composer.focus();
}

function welcome() {
  byId("welcome").hidden = !conversation.isEmpty;
  byId("new").hidden = conversation.isEmpty;
}

/** What this server can do beyond answering. */
function offer({ upload: mayUpload, models, version }) {
  byId("about").textContent = [models.chat, version && `rag_graph ${version}`].filter(Boolean).join(" · ");
  library.mayRemove = inventory.mayAdd = mayUpload;
  if (!mayUpload) return;
  composer.hint.after(upload.button);
  composer.element.prepend(upload.note, upload.input);
  upload.attend(document.body);
}

/** All that the answer cites, and the asked one, which may be a passage that was not confirmed. */
function citationsWith(citation, transcript) {
  const { citations } = written(transcript, standing(transcript));
  return citations.includes(citation) ? citations : [...citations, citation];
}
