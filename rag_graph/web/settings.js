/** How this browser shows the page, and what its questions begin with: kept in it; a server hears of it with a question. */

import { h, icon, say } from "./element.js";
import { LANGUAGES } from "./languages.js";

const KEPT = "rag_graph.settings";
const DEFAULTS = { size: "normal", harder: false, model: "", language: "" };
/** Of the size that the style sheet is made for. */
const SIZES = { small: ["Small", 0.9], normal: ["Normal", 1], large: ["Large", 1.2], largest: ["Very large", 1.45] };

export class Settings {
  #kept = load();

  #choices = [];
  #hasModel = false;

  /** `access` has the key, if one was given here; `onHarder(boolean)` is told of the choice, at first too; so is `onModel(name)`. */
  constructor({ access, onHarder, onModel }) {
    Object.assign(this, { access, onHarder, onModel });
    this.button = h("button", { type: "button", class: "quiet settings-button", "aria-label": "Settings", title: "Settings", onclick: () => this.#open() }, icon("M4 7h9", "M17 7h3", "M15 5v4", "M4 17h3", "M11 17h9", "M9 15v4"));
    this.harder = h("input", { type: "checkbox", id: "harder-always" });
    this.model = h("select", { id: "model" });
    this.language = h("select", { id: "language" }, h("option", { value: "" }, "The question’s"), ...LANGUAGES.map(({ name, own }) => h("option", { value: name }, own === name ? name : `${name} – ${own}`)));
    this.models = h("p", { class: "settings-field", hidden: true }, h("label", { for: "model" }, "Model"), this.model);
    this.languages = h("p", { class: "settings-field", hidden: true }, h("label", { for: "language" }, "Answer in"), this.language);
    this.key = h("p", { class: "settings-key", role: "status" });
    this.forget = h("button", { type: "button", class: "quiet", onclick: () => this.#forgetKey() }, "Forget the key");
    this.form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "settings-title" }, "Settings"),
      h("fieldset", {}, h("legend", {}, "Text size"), ...Object.entries(SIZES).map(([size, [name]]) => this.#choice(size, name))),
      this.models,
      this.languages,
      h("label", { class: "settings-choice", for: "harder-always" }, this.harder, h("span", {}, "Think harder unless I switch it off")),
      this.key,
      h("div", { class: "dialog-actions" }, this.forget, h("button", { type: "submit", class: "primary" }, "Done")),
    );
    this.element = h("dialog", { class: "access settings", "aria-labelledby": "settings-title" }, this.form);
    this.form.addEventListener("change", () => this.#take());
    this.#resize();
    this.onHarder(this.#kept.harder);
  }

  /** What of it a question tells the server: as far as that has it to choose. */
  get chosen() {
    const { model, language } = this.#kept;
    return { ...(this.#choices.includes(model) && { model }), ...(this.#hasModel && language && { language }) };
  }

  /** Learn what there is to choose: the server's own `model`, empty where none writes, and others. */
  offer({ model, choices }) {
    this.#choices = choices;
    this.#hasModel = Boolean(model || choices.length);
    this.models.hidden = !choices.length;
    this.languages.hidden = !this.#hasModel;
    this.model.replaceChildren(h("option", { value: "" }, model ? `${model} (usual)` : "The usual one"), ...choices.map((name) => h("option", { value: name }, name)));
    this.onModel(this.chosen.model ?? "");
  }

  #choice(size, name) {
    return h("label", { class: "settings-choice" }, h("input", { type: "radio", name: "size", value: size }), h("span", {}, name));
  }

  #open() {
    this.form.elements.size.value = this.#kept.size;
    this.harder.checked = this.#kept.harder;
    this.model.value = this.chosen.model ?? "";
    this.language.value = this.#kept.language;
    this.#showKey();
    this.element.showModal();
  }

  #take() {
    const was = this.#kept;
    this.#kept = { size: this.form.elements.size.value, harder: this.harder.checked, model: this.model.value, language: this.language.value };
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.#kept));
    } catch {
      // It holds until the page is loaded anew.
    }
    this.#resize();
    if (this.#kept.harder !== was.harder) this.onHarder(this.#kept.harder);
    if (this.#kept.model !== was.model) this.onModel(this.chosen.model ?? "");
  }

  #resize() {
    const [, factor] = SIZES[this.#kept.size];
    document.documentElement.style.setProperty("--scale", factor);
  }

  #showKey() {
    this.forget.hidden = !this.access.key;
    say(this.key, this.access.key ? "This tab has a key for this server, until it is closed." : "");
  }

  #forgetKey() {
    this.access.forget();
    this.#showKey();
    say(this.key, "The key is forgotten: the next question asks for one.");
    this.form.querySelector(".primary").focus();
  }
}

function load() {
  try {
    const kept = { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEPT)) };
    return kept.size in SIZES ? kept : DEFAULTS;
  } catch {
    return DEFAULTS;
  }
}
