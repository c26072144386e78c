// A page's address: #/NAME/ID?a=b. What a page shows by choice is kept there, so that it can be sent and gone back to.
export class Place {
  constructor(hash) {
    const [path, query] = hash.replace(/^#\/?/, "").split("?");
    this.path = path;
    [this.name, ...this.rest] = path.split("/");
    this.id = this.rest.length ? readable(this.rest.join("/")) : undefined;
    this.query = new URLSearchParams(query ?? "");
  }

  get(name) {
    return this.query.get(name) ?? "";
  }

  // This address with other values; empty ones are left out.
  with(changes) {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
    return `#/${this.path}${query.size ? `?${query}` : ""}`;
  }

  // Keeps values in the address without going anywhere.
  keep(changes) {
    history.replaceState(null, "", this.with(changes));
    this.query = new Place(location.hash).query;
  }
}

export const to = (name, id, query = {}) => new Place(`#/${name}${id ? `/${encodeURIComponent(id)}` : ""}`).with(query);

function readable(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
