// One page on the screen: asks, draws, asks again while the tab is seen, and says since when what it shows is known. And a dialog over
// it, which shows what will be done, does it when it is wanted, and gives the focus back.
import { ask } from "./api.js";
import { h, put } from "./dom.js";
import { clock, command, problem } from "./show.js";

const LONGEST_SECONDS = 60;
const LATE_SECONDS = 10; // an answer that is due for so long is missed
const at = (id) => document.getElementById(id);

// Tells people who listen; the same text twice is told once.
export function say(text) {
  if (at("told").textContent !== text) at("told").textContent = text;
}

// A page: {title(place), load(place, signal, show), draw(data, place, view), every(data): seconds, or none}.
// load may show(data) what it has so far; that is drawn where nothing is yet.
export class View {
  constructor(page, place) {
    Object.assign(this, { page, place, own: {}, failures: 0 });
    this.over = new AbortController();
  }

  open() {
    const title = this.page.title(this.place);
    at("title").textContent = title;
    document.title = `${title} · FlowForge`;
    document.documentElement.classList.remove("stale");
    put(at("trouble"));
    put(at("known"), "asking …");
    put(at("page"));
    return this.again();
  }

  close() {
    this.over.abort();
    clearTimeout(this.timer);
  }

  // Asks now; what is shown stays until there is an answer.
  async again() {
    clearTimeout(this.timer);
    if (this.asking) return this.asking;
    this.asking = this.ask();
    await this.asking;
    this.asking = null;
  }

  async ask() {
    try {
      const data = await this.page.load(this.place, this.over.signal, (sofar) => this.begin(sofar));
      if (this.over.signal.aborted) return;
      Object.assign(this, { data, since: Date.now(), failures: 0, trouble: null, partial: false });
      this.seconds = this.page.every?.(data);
    } catch (error) {
      if (this.over.signal.aborted) return;
      if (error.status === undefined) console.error(error);
      this.trouble = error;
      this.failures += 1;
      this.seconds = Math.min(2 ** this.failures, LONGEST_SECONDS);
    }
    this.next = Date.now() + this.seconds * 1000;
    this.redraw();
    if (this.seconds) this.timer = setTimeout(() => this.due(), this.seconds * 1000);
  }

  begin(sofar) {
    if (this.over.signal.aborted || (this.data && !this.partial)) return;
    Object.assign(this, { data: sofar, since: Date.now(), partial: true });
    this.redraw();
  }

  // Only a tab that is seen asks; one that comes back asks at once.
  due() {
    if (document.visibilityState === "visible" && this.seconds && Date.now() >= this.next - 50) this.again();
  }

  redraw() {
    document.documentElement.classList.toggle("stale", Boolean(this.trouble && this.data));
    if (this.data) put(at("page"), this.page.draw(this.data, this.place, this));
    put(at("trouble"), this.trouble && problem(this.trouble, { title: this.lost() }));
    this.tick();
    if (this.trouble) say(`${this.lost()}: ${this.trouble.message}`);
  }

  // Does what a person has asked for: `own.busy` meanwhile, `own.trouble` where it is refused.
  async deed(own, run) {
    Object.assign(own, { busy: true, trouble: null });
    this.redraw();
    await run().catch((error) => { own.trouble = error; });
    own.busy = false;
    this.redraw();
  }

  // Keeps values in the address, and shows what they choose.
  keep(changes) {
    this.place.keep(changes);
    this.redraw();
  }

  lost() {
    return this.data ? `Not known since ${clock(this.since)}` : "Not known";
  }

  // What the line below the title says; once a second, as its next attempt comes nearer.
  tick() {
    if (this.partial && !this.trouble) put(at("known"), "asking for more …");
    else if (this.trouble) {
      const left = Math.max(0, Math.ceil((this.next - Date.now()) / 1000));
      const when = this.asking && left === 0 ? "asking …" : `attempt ${this.failures + 1} in ${left} s`;
      const shown = this.data ? `shown as of ${clock(this.since)} · ` : "";
      put(at("known"), `${shown}${when} `, h("button.quiet", { onclick: () => this.again() }, "Ask now"));
    } else if (this.data) {
      const late = this.asking && this.seconds ? Math.floor((Date.now() - this.next) / 1000) : 0;
      const told = late > LATE_SECONDS ? `no answer for ${late} s` : `asked every ${this.seconds} s`;
      put(at("known"), `known at ${clock(this.since)}${this.seconds ? ` · ${told}` : ""}`);
      document.documentElement.classList.toggle("stale", late > LATE_SECONDS);
    }
  }
}

// load(), if there is anything to ask, is what is shown by draw(found, again), where again() draws anew; action(found) names the deed, none where there is nothing to do;
// run(found, reason) does it.
export async function choose({ title, load, draw, action, run, reason }) {
  const body = h("div.body", h("p", "Asking …"));
  const deed = h("button.main", { type: "submit", disabled: true }, title);
  const why = reason && h("input", { required: true, maxlength: "500" });
  const close = () => box.close();
  const form = h("form", h("h2", { id: "choice" }, title), body, why && h("label.block", "Reason, kept with the run ", why),
    h("p.actions", deed, h("button", { type: "button", onclick: close }, "Close")));
  const box = h("dialog", { "aria-labelledby": "choice" }, form);
  document.body.append(box);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => event.target.closest("a") && close());
  box.showModal();
  let found;
  const show = (...more) => put(body, draw(found, () => show()), ...more);
  try {
    found = await load?.();
    show();
    const named = action(found);
    deed.hidden = !named;
    if (named) Object.assign(deed, { textContent: named, disabled: false });
  } catch (error) {
    deed.hidden = true;
    put(body, problem(error));
  }
  form.onsubmit = async (event) => {
    event.preventDefault();
    deed.disabled = true;
    try {
      const left = await run(found, why?.value);
      if (!left) return close();
      put(body, left);
    } catch (error) {
      show(problem(error));
      deed.disabled = false;
    }
  };
}

// Removes what has this path in the API: `words` say what follows of that, done() comes after it.
export const remove = (where, id, words, done) => choose({
  title: "Remove",
  draw: () => [h("p", words), command(`flowforge ${where.split("/")[0]} remove ${id}`)],
  action: () => `Remove ${id}`,
  run: async () => {
    await ask(where, { method: "DELETE" });
    say(`${id} is removed`);
    await done();
  },
});
