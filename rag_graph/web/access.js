/** Asks for the API key, once, when the server wants one. */

import { h } from "./element.js";
import { loadKey, saveKey } from "./session.js";

export class Access {
  #key = loadKey();
  #asking = null;

  constructor() {
    this.input = h("input", { type: "password", id: "api-key", autocomplete: "off", required: true, spellcheck: "false" });
    this.hint = h("p", { id: "api-key-hint" });
    this.form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "access-title" }, "This server asks for a key"),
      this.hint,
      h("label", { for: "api-key" }, "API key"),
      this.input,
      h("div", { class: "dialog-actions" }, h("button", { type: "button", class: "quiet", onclick: () => this.element.close() }, "Not now"), h("button", { type: "submit", class: "primary" }, "Use this key")),
    );
    this.element = h("dialog", { class: "access", "aria-labelledby": "access-title", "aria-describedby": "api-key-hint" }, this.form);
  }

  get key() {
    return this.#key;
  }

  forget() {
    this.#key = null;
    saveKey(null);
  }

  /** Resolve to true once there is a new key, to false if there will be none. */
  ask() {
    this.#asking ??= this.#show().finally(() => (this.#asking = null));
    return this.#asking;
  }

  #show() {
    this.hint.textContent = this.#key
      ? "The key you gave was not accepted. Ask whoever runs this server for a valid one."
      : "It stays in this tab and is forgotten when you close it.";
    this.input.value = "";
    this.element.returnValue = "";
    this.element.showModal();
    return new Promise((resolve) => {
      const take = (event) => {
        event.preventDefault();
        this.#key = this.input.value.trim();
        saveKey(this.#key);
        this.element.close("given");
      };
      this.form.addEventListener("submit", take);
      this.element.addEventListener(
        "close",
        () => {
          this.form.removeEventListener("submit", take);
          resolve(this.element.returnValue === "given");
        },
        { once: true },
      );
    });
  }
}
