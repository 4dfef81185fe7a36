/** What a page knows of values that a form asks for: by the path of a field, values to choose from and to begin with. */
import { createContext } from 'react';

import { fieldsOf, type Schema, type Values } from './schema';

export interface Suggestion {
  /** All values that make sense, offered while typing. */
  data: string[];
  /** The value of a new form. */
  value: string[];
}

export type Suggestions = Readonly<Record<string, Suggestion>>;

export const SuggestionsContext = createContext<Suggestions>({});

/** Airbyte's specifications ask for it and have no default, and a connector of Airbyte's suggests nothing. */
const CHUNK_SIZE = 'processing.chunk_size';
const CHUNK_TOKENS = 256;

/** The values of a new form with the suggested ones, for the fields that the form has. */
export function withSuggestions(schema: Schema, value: Values, suggestions: Suggestions, path = ''): Values {
  const next: Values = { ...value };
  for (const [name, property] of fieldsOf(schema)) {
    const place = path ? `${path}.${name}` : name;
    const suggestion = suggestions[place];
    if (suggestion?.value.length) next[name] = suggestion.value;
    else if (place === CHUNK_SIZE && next[name] === undefined) next[name] = CHUNK_TOKENS;
    else if (property.properties && [CHUNK_SIZE, ...Object.keys(suggestions)].some((other) => other.startsWith(`${place}.`)))
      next[name] = withSuggestions(property, (next[name] ?? {}) as Values, suggestions, place);
  }
  return next;
}
