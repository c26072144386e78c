// A dialog that shows what will be done, does it when it is wanted, and gives the focus back.
import { ask } from "./api.js";
import { h, put } from "./dom.js";
import { command, problem } from "./show.js";
import { say } from "./view.js";

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
