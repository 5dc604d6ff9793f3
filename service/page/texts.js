// The page's texts in the language that the service has chosen; `code` stands in backticks.

import en from "./en.js";
import zh from "./zh.js";

export const lang = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
export const locale = { en: "en-GB", zh: "zh-CN" }[lang];
export const texts = { en, zh }[lang];

/** The text of this name, or of one of its parts, with these values in its braces. */
export function t(name, values = {}) {
  const text = name.split(".").reduce((found, step) => found?.[step], texts) ?? name;
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

/** One of two texts, by the number. */
export const plural = (name, count, values) => t(`${name}_${count === 1 ? "one" : "many"}`, values);

/** The nodes of a text: what stands in backticks is code. */
export function rich(text) {
  return text.split("`").map((piece, at) => {
    const element = document.createElement(at % 2 ? "code" : "span");
    element.append(piece);
    return element;
  });
}

/** Nothing; whatever says which text it has (`data-t`), or is called (`data-name`), has it. */
export function translate() {
  for (const element of document.querySelectorAll("[data-t]")) {
    element.replaceChildren(...rich(t(element.dataset.t)));
  }
  for (const element of document.querySelectorAll("[data-name]")) {
    element.setAttribute("aria-label", t(element.dataset.name));
  }
}
