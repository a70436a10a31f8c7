// What the page is made of. Everything that is shown comes in as text: nothing is ever read as markup.

/** An element with properties or, where it has no such property, attributes. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Text in which `code` is marked as Markdown does it. */
export function phrase(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

/** Paragraphs of such text. */
export function prose(text = "") {
  return text.split(/\n\n+/).filter(Boolean).map((paragraph) => element("p", {}, ...phrase(paragraph)));
}

/** A listing that can be scrolled with the keyboard, and copied. */
export function listing(label, text = "") {
  const code = element("code", {}, text);
  const copy = element("button", { type: "button", ariaLabel: `Copy ${label}` }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
  // Browsers keep the clipboard from pages that came without TLS, unless they are this machine's.
  copy.hidden = !navigator.clipboard;
  const figure = element("div", { className: "listing" }, element("pre", { tabIndex: 0, role: "group", ariaLabel: label }, code), copy);
  return { figure, write: (text) => (code.textContent = text) };
}
