// Schemas of openapi.json as outlines: the fields of a body, what each may be, and what is said of it.

import { element, phrase, prose } from "./elements.js";

/** The document, once it has been read. */
let openapi;
export const use = (read) => (openapi = read);

/** What a reference leads to, with what stands beside it; anything else as it is. */
export function resolve({ $ref, ...beside }) {
  if (!$ref) return beside;
  const found = $ref.split("/").slice(1).reduce((at, name) => at[name.replaceAll("~1", "/").replaceAll("~0", "~")], openapi);
  return { ...resolve(found), ...beside };
}

/** The examples that the document gives of a body or a parameter. */
export function examples({ example, examples, schema }) {
  if (example !== undefined) return [example];
  if (examples) return Object.values(examples).map((one) => resolve(one).value);
  return schema ? (resolve(schema).examples ?? []) : [];
}

/** The ways in which a value may be something else; variants that only demand fields are told in the description. */
const variants = (schema) => {
  const all = (schema.oneOf ?? schema.anyOf ?? []).map(resolve);
  return all.filter((one) => one.type || one.enum || "const" in one || one.oneOf || one.anyOf || one.allOf);
};

/** All fields of an object, with those of everything that it must be as well. */
function fields(schema) {
  const parts = [schema, ...(schema.allOf ?? []).map(resolve)];
  return {
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: new Set(parts.flatMap(({ required }) => required ?? [])),
  };
}

const range = (least, most, unit) => {
  if (least === undefined && most === undefined) return null;
  const number = (limit) => limit.toLocaleString("en");
  if (least === most) return `${number(least)} ${unit}`.trim();
  if (most === undefined) return least === 0 && unit ? null : `${number(least)} ${unit}`.trim() + " or more";
  return `${least === undefined || (least === 0 && unit) ? "up to" : `${number(least)} to`} ${number(most)} ${unit}`.trim();
};

/** In a few words, what a value may be. */
export function kind(given) {
  const schema = resolve(given);
  if ("const" in schema) return `\`${schema.const}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  const of = variants(schema);
  if (of.length > 0 && !schema.properties) return [...new Set(of.map(kind))].join(" or ");
  const types = [schema.type ?? (schema.properties || schema.allOf ? "object" : [])].flat();
  const words = types.map((type) => (type === "array" && schema.items ? `array of ${resolve(schema.items).type ?? "value"}s` : type));
  const pattern = schema.pattern?.length <= 60 ? `\`${schema.pattern}\`` : null;
  const details = [
    schema.format,
    range(schema.minLength, schema.maxLength, "characters"),
    range(schema.minimum, schema.maximum, ""),
    range(schema.minItems, schema.maxItems, "entries"),
    range(schema.minProperties, schema.maxProperties, "names"),
    pattern,
    "default" in schema ? `default \`${JSON.stringify(schema.default)}\`` : null,
  ];
  return [words.join(" or "), ...details.filter(Boolean)].filter(Boolean).join(", ");
}

/** What is inside of a value, as lists; null where its kind says it all. */
export function outline(given) {
  const schema = resolve(given);
  const { properties, required } = fields(schema);
  const names = Object.keys(properties);
  if (names.length > 0) {
    const line = (name) => {
      const field = resolve(properties[name]);
      const type = element("span", { className: "kind" }, ...phrase(kind(field)));
      const must = required.has(name) ? element("strong", {}, "required") : null;
      return element("li", {}, element("code", {}, name), " ", type, " ", must, ...prose(field.description), outline(field));
    };
    return element("ul", { className: "schema" }, ...names.map(line));
  }
  if (schema.items) return outline(schema.items);
  const inside = variants(schema).map(outline).filter(Boolean);
  if (inside.length === 0) return null;
  return element("div", {}, ...inside.flatMap((one, index) => (index > 0 ? [element("p", {}, "or"), one] : [one])));
}
