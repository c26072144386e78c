// The API, asked with the token of this browser's session.
const KEPT = "flowforge-session";
const PATIENCE_MILLISECONDS = 60_000;
const STRANGER = { message: "this browser has not been let in", remedy: "open the link that `flowforge console` prints; it lets one browser in, once" };

// What the API refused, or that it does not answer; with what to do about it.
export class Trouble extends Error {
  constructor(status, told) {
    super(told.message ?? `the server answered ${status}`);
    Object.assign(this, { status, kind: told.error, remedy: told.remedy, mistakes: told.mistakes ?? [], line: told.line });
  }
}

// Takes the code of a link, if the address has one, for the token of a session.
export async function enter() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!code) return;
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  const told = await asked("/console/session", { method: "POST", body: { code } }).catch((error) => error);
  if (told.token) localStorage.setItem(KEPT, told.token);
}

export const about = () => asked("/console/about", {});

// ask("runs", {query: {limit: 20}}), ask("sql", {body: {…}}); of what the path is made is escaped by `path`.
export const ask = (where, options = {}) => asked(`/api/${where}${told(options.query)}`, options);

// Every entry of a list that comes in pages.
export async function all(where, key, query) {
  const found = [];
  for (let cursor = ""; cursor !== undefined;) {
    const told = await ask(where, { query: { ...query, cursor } });
    found.push(...told[key]);
    cursor = told.next;
  }
  return { [key]: found };
}

export const path = (...parts) => parts.map(encodeURIComponent).join("/");

function told(query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value != null && value !== "");
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
}

async function asked(url, { method, body, signal }) {
  const headers = { authorization: `Bearer ${localStorage.getItem(KEPT) ?? ""}` };
  if (body) headers["content-type"] = "application/json";
  const limits = [AbortSignal.timeout(PATIENCE_MILLISECONDS), signal].filter(Boolean);
  let answer;
  try {
    answer = await fetch(url, {
      method: method ?? (body ? "POST" : "GET"),
      headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.any(limits),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    const remedy = "is it still running? A local stack is started by `flowforge up`";
    throw new Trouble(0, { message: "the server does not answer", remedy });
  }
  const text = await answer.text();
  let document = {};
  try {
    document = text ? JSON.parse(text) : {};
  } catch {
    if (answer.ok) throw new Trouble(answer.status, { message: "the answer is no JSON" });
  }
  if (answer.status === 401) throw new Trouble(401, STRANGER);
  if (!answer.ok) throw new Trouble(answer.status, document);
  return document;
}
