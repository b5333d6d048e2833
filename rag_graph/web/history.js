/** The panel that lists the conversations that the server keeps: to go back to one, find, rename, share, export or delete it. */

import { addressOf, wholeAddress } from "./address.js";
import { h, icon, say } from "./element.js";
import { ListPanel } from "./listpanel.js";
import { save } from "./saving.js";
import { counted } from "./sentences.js";
import { copy } from "./clipboard.js";

const SHOWN_MS = 2_000;
const DAY_MS = 86_400_000;

export class History extends ListPanel {
  #asked = 0;
  #current = "";

  /** `server` keeps the conversations; `onDeleted(id)`; `onRenamed(id, title)`. */
  constructor({ server, onDeleted, onRenamed, announce }) {
    const kept = h("p", { class: "history-told", hidden: true });
    const list = h("div", { class: "history-list" });
    super({ kind: "history", name: "History", find: "Find a conversation", list, opened: "history-open", after: [kept] });
    Object.assign(this, { server, onDeleted, onRenamed, announce, kept });
    this.button.hidden = true;
  }

  /** Which conversation is shown on the page. */
  mark(id) {
    this.#current = id;
    for (const link of this.list.querySelectorAll("a")) markCurrent(link, link.hash === addressOf({ conversation: id }));
  }

  /** Something was asked or answered; a row that somebody works in is left in peace. */
  refresh() {
    const isAtWork = this.list.contains(document.activeElement) && document.activeElement.localName !== "a";
    if (!this.element.hidden && !isAtWork) this.load("");
  }

  /** Show what follows `after`; from the start, it takes the place of what was shown. */
  async load(after) {
    const asked = ++this.#asked;
    try {
      const page = await this.server.conversations({ q: this.search.value.trim(), after });
      if (asked !== this.#asked) return; // another search was typed meanwhile
      this.next = page.next;
      this.more.hidden = !page.next;
      if (!after) this.list.replaceChildren();
      for (const one of page.conversations) this.#groupOf(one).append(this.#row(one));
      this.#tell(page);
    } catch (error) {
      if (asked === this.#asked) say(this.told, error.message);
    }
  }

  #tell({ conversations, total, most }) {
    const isSearch = Boolean(this.search.value.trim());
    if (!total) say(this.told, "Nothing is here yet. What you ask is kept on the server.");
    else if (isSearch && !conversations.length && !this.list.children.length) say(this.told, `None of ${counted(total, "conversation")} has these words.`);
    else say(this.told, counted(total, "conversation"));
    this.kept.hidden = total < most;
    say(this.kept, `The newest ${counted(most, "conversation")} are kept; older ones make room.`);
  }

  /** The list under the heading of its day, which is made where there is none. */
  #groupOf({ updated_at: at }) {
    const name = dayOf(at * 1000, Date.now());
    const last = this.list.lastElementChild;
    if (last?.dataset.day === name) return last.querySelector("ul");
    const list = h("ul", { class: "history-items" });
    this.list.append(h("section", { "data-day": name }, h("h3", { class: "history-day" }, name), list));
    return list;
  }

  #row(one) {
    const link = h("a", { class: "history-link", href: addressOf({ conversation: one.id }), dir: "auto" }, one.title);
    markCurrent(link, one.id === this.#current);
    link.addEventListener("click", () => matchMedia("(max-width: 75rem)").matches && this.close());
    const actions = h("div", { class: "history-actions", hidden: true });
    const more = h("button", { type: "button", class: "quiet history-more", "aria-expanded": "false", "aria-label": `More about ${one.title}` }, icon("M5 11v2", "M12 11v2", "M19 11v2"));
    const row = h("li", { class: "history-item" }, h("div", { class: "history-row" }, link, more), actions);
    more.addEventListener("click", () => {
      if (!actions.childElementCount) actions.append(...this.#actionsFor(one, row, link, more));
      actions.hidden = !actions.hidden;
      more.setAttribute("aria-expanded", String(!actions.hidden));
    });
    return row;
  }

  #actionsFor(one, row, link, more) {
    const button = (name, act) => h("button", { type: "button", class: "quiet", "aria-label": `${name}: ${one.title}`, onclick: act }, name);
    const rename = button("Rename", () => this.#rename(one, link, more, rename));
    return [rename, button("Share", (event) => this.#share(one, row, event.currentTarget)), button("Markdown", () => this.#export(one, "markdown", "md")), button("JSON", () => this.#export(one, "json", "json")), this.#deleting(one, row)];
  }

  #rename(one, link, more, opener) {
    const input = h("input", { class: "history-search", maxlength: "200", "aria-label": "The conversation's title", dir: "auto" });
    input.value = one.title;
    const close = () => {
      input.replaceWith(link);
      opener.focus({ preventScroll: true });
    };
    const onKey = async (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        return close();
      }
      if (event.key !== "Enter" || event.isComposing || !input.value.trim()) return undefined;
      try {
        const { title } = await this.server.rename(one.id, input.value.trim());
        one.title = title;
        say(link, title);
        more.setAttribute("aria-label", `More about ${title}`);
        this.onRenamed(one.id, title);
        this.announce("Renamed.");
        return close();
      } catch (error) {
        return say(this.told, `It could not be renamed. ${error.message}`);
      }
    };
    input.addEventListener("keydown", onKey);
    link.replaceWith(input);
    input.select();
  }

  /** An address that all can read under who may ask this server, until it is taken back. */
  async #share(one, row, opener) {
    const shown = row.querySelector(".history-share");
    if (shown) return shown.remove();
    try {
      const { share } = await this.server.share(one.id);
      const field = h("input", { class: "history-search", readonly: true, "aria-label": "The shared address", value: wholeAddress({ share }), onfocus: (event) => event.currentTarget.select() });
      const taking = h("button", { type: "button", class: "quiet" }, "Copy");
      taking.addEventListener("click", async () => {
        await copy(field.value).then(() => say(taking, "Copied"), () => say(taking, "Copying was not allowed"));
        setTimeout(() => say(taking, "Copy"), SHOWN_MS);
      });
      const ending = h("button", { type: "button", class: "quiet" }, "Stop sharing");
      ending.addEventListener("click", async () => {
        try {
          await this.server.unshare(one.id);
          opener.focus({ preventScroll: true });
          box.remove();
          this.announce("It is not shared any more.");
        } catch (error) {
          say(this.told, error.message);
        }
      });
      const box = h("div", { class: "history-share" }, h("p", { class: "history-told" }, "Whoever may ask this server can read it here, and change nothing."), field, h("div", { class: "history-actions" }, taking, ending));
      row.append(box);
      field.focus({ preventScroll: true });
    } catch (error) {
      say(this.told, `It could not be shared. ${error.message}`);
    }
    return undefined;
  }

  async #export(one, form, ending) {
    try {
      const name = one.title.replace(/[^\p{L}\p{N} ._-]+/gu, "").trim().slice(0, 80) || "conversation";
      save(await this.server.exported(one.id, form), `${name}.${ending}`);
    } catch (error) {
      say(this.told, `It could not be exported. ${error.message}`);
    }
  }

  /** Asked twice: what is deleted is gone. */
  #deleting(one, row) {
    const button = h("button", { type: "button", class: "quiet", "aria-label": `Delete: ${one.title}` }, "Delete");
    const calm = () => {
      say(button, "Delete");
      button.setAttribute("aria-label", `Delete: ${one.title}`);
    };
    button.addEventListener("blur", calm);
    button.addEventListener("click", async () => {
      if (button.textContent === "Delete") {
        button.setAttribute("aria-label", `Really delete? ${one.title}`);
        return say(button, "Really delete?");
      }
      button.disabled = true;
      try {
        await this.server.deleteConversation(one.id);
        this.search.focus({ preventScroll: true }); // what had the focus is gone
        row.remove();
        this.announce("Deleted.");
        this.onDeleted(one.id);
        this.load("");
      } catch (error) {
        button.disabled = false;
        say(this.told, `It could not be deleted. ${error.message}`);
      }
      return undefined;
    });
    return button;
  }
}

function markCurrent(link, isCurrent) {
  if (isCurrent) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

export function dayOf(at, now) {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (at >= midnight) return "Today";
  return at >= new Date(midnight - DAY_MS / 2).setHours(0, 0, 0, 0) ? "Yesterday" : "Earlier";
}
