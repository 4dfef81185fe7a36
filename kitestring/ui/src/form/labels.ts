/** Texts that name the options of a connector, with the words of its form in place of the keys of its configuration. */
import { fieldsOf, label, type Schema } from './schema';

export type Labels = ReadonlyMap<string, string>;

/** The words for each key, and for each constant that says which variant of a choice a configuration is. */
export function labelsOf(schema: Schema): Labels {
  const words = new Map<string, string>();
  const twice = new Set<string>();
  const add = (key: string, text: string) => {
    const known = words.get(key);
    // “API token” is the short form of “API token (until May)”.
    const [short, long] = [known ?? text, text].sort((left, right) => left.length - right.length) as [string, string];
    if (!long.toLowerCase().startsWith(short.toLowerCase())) twice.add(key);
    words.set(key, short);
  };
  const walk = (part: Schema) => {
    for (const [name, field] of fieldsOf(part)) {
      add(name, label(name, field));
      walk(field);
      if (field.items) walk(field.items);
    }
    for (const variant of part.oneOf ?? []) {
      for (const property of Object.values(variant.properties ?? {}))
        if (typeof property.const === 'string' && variant.title) add(property.const, variant.title);
      walk(variant);
    }
  };
  walk(schema);
  // A key with two meanings stays as it is.
  for (const key of twice) words.delete(key);
  return words;
}

const QUOTED = /`([^`\n]+)`/g;
const BARE = /(?<![\w`./${-])[a-z][a-z0-9]*(?:[_.][a-z0-9]+)+(?![\w`/(}-]|\.\w)/g;

/** A text in which each key that the form shows is named by its label: in backticks, or written out (`client_id`). */
export function withLabels(text: string, labels: Labels): string {
  const named = (key: string) => labels.get(key) ?? labels.get(key.split('.').at(-1)!);
  return text
    .split(/(`[^`\n]*`)/)
    .map((part) =>
      part.startsWith('`')
        ? part.replace(QUOTED, (whole, key: string) => (/^\w+(\.\w+)*$/.test(key) && named(key) ? `**${named(key)}**` : whole))
        : part.replace(BARE, (key) => (named(key) ? `**${named(key)}**` : key)),
    )
    .join('');
}
